// to_yaml(): every key written out, every text in double quotes, so that no YAML rule about plain words matters.
#include <type_traits>

#include "config/config.h"
#include "config/container.h"
#include "config/values.h"

namespace nines::config {
namespace {

std::string in_quotes(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += {'\\', c};
    } else if (byte < 0x20 || byte == 0x7f) {
      out += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string text_of(const EnvironmentValue& value) {
  if (const auto* const secret = std::get_if<Secret>(&value)) return secret->reference();
  return std::get<std::string>(value);
}

std::string_view text_of(Replay replay) { return replay == Replay::kSafe ? "safe" : "never"; }

void write(std::string& out, const Health& health) {
  out += "  health:\n";
  out += "    path: " + (health.path ? in_quotes(*health.path) : "none") + "\n";
  out += "    interval: " + write_duration(health.interval) + "\n";
  out += "    timeout: " + write_duration(health.timeout) + "\n";
  out += "    rise: " + std::to_string(health.rise) + "\n";
  out += "    fall: " + std::to_string(health.fall) + "\n";
  out += "    startup: " + write_duration(health.startup) + "\n";
  out += "    restart_after: " + (health.restart_after ? write_duration(*health.restart_after) : "never") + "\n";
}

std::string_view text_of(AccessLog log) {
  switch (log) {
    case AccessLog::kNone: return "none";
    case AccessLog::kProblems: return "problems";
    case AccessLog::kAll: return "all";
  }
  return "problems";
}

// The body as `text`, whatever the file called it: that is read back to the byte.
void write(std::string& out, const Canary& canary) {
  out += "  canary:\n";
  out += std::string(canary.method == "GET" ? "    get: " : "    post: ") + in_quotes(canary.path) + "\n";
  if (!canary.body.empty()) out += "    text: " + in_quotes(canary.body) + "\n";
  out += "    content_type: " + in_quotes(canary.content_type) + "\n";
  if (canary.expect) {
    out += "    expect:\n      pointer: " + in_quotes(canary.expect->pointer) + "\n";
    out += "      equals: " + canary.expect->equals + "\n";
  }
  out += "    timeout: " + write_duration(canary.timeout) + "\n";
  out += "    stall: " + write_duration(canary.stall) + "\n";
  out += "    every: " + write_duration(canary.every) + "\n";
  out += std::string("    before_ready: ") + (canary.before_ready ? "true" : "false") + "\n";
}

void write(std::string& out, const Endpoint& endpoint) {
  out += "    - address: " + in_quotes(endpoint.at.text()) + "\n";
  out += "      weight: " + std::to_string(endpoint.weight) + "\n";
  out += "      tier: " + std::to_string(endpoint.tier) + "\n";
}

void write(std::string& out, const Route& route) {
  out += "  - path: " + in_quotes(route.path) + "\n    replay: " + std::string(text_of(route.replay)) + "\n";
  if (route.hash_header) out += "    hash: {header: " + in_quotes(*route.hash_header) + "}\n";
  if (route.first_byte) out += "    first_byte: " + write_duration(*route.first_byte) + "\n";
  if (route.stream_idle) out += "    stream_idle: " + write_duration(*route.stream_idle) + "\n";
  if (route.body) out += "    body: " + write_size(*route.body) + "\n";
}

void write(std::string& out, const Timeouts& timeouts) {
  out += "  timeouts:\n";
  const auto line = [&](const char* name, Duration d) {
    out += "    " + std::string(name) + ": " + write_duration(d) + "\n";
  };
  line("connect", timeouts.connect);
  line("head", timeouts.head);
  line("body_idle", timeouts.body_idle);
  line("first_byte", timeouts.first_byte);
  line("first_byte_max", timeouts.first_byte_max);
  line("answer_idle", timeouts.answer_idle);
  line("stream_idle", timeouts.stream_idle);
  line("keep_alive", timeouts.keep_alive);
  line("tunnel_idle", timeouts.tunnel_idle);
  line("upstream_idle", timeouts.upstream_idle);
}

void write(std::string& out, const Gateway& gateway) {
  out += "gateway:\n";
  const auto line = [&](const char* name, const std::string& value) {
    out += "  " + std::string(name) + ": " + value + "\n";
  };
  if (gateway.threads) line("threads", std::to_string(*gateway.threads));
  line("in_flight", std::to_string(gateway.in_flight));
  line("queue", std::to_string(gateway.queue));
  line("queue_time", write_duration(gateway.queue_time));
  line("connections", std::to_string(gateway.connections));
  line("head", write_size(gateway.head));
  line("body", write_size(gateway.body));
  write(out, gateway.timeouts);
  line("retries", "{most: " + std::to_string(gateway.retries.most) +
                      ", budget: " + std::to_string(gateway.retries.budget_percent) + "%}");
  line("slow_start", write_duration(gateway.slow_start));
  line("cancel_upstream", gateway.cancel_upstream ? "true" : "false");
  line("access_log", std::string(text_of(gateway.access_log)));
  if (!gateway.trusted_proxies.empty()) out += "  trusted_proxies:\n";
  for (const Network& network : gateway.trusted_proxies) out += "    - " + in_quotes(network.text()) + "\n";
  if (gateway.unavailable_page) line("unavailable_page", in_quotes(*gateway.unavailable_page));
}

void write(std::string& out, const Container& container) {
  out += "  container:\n    image: " + in_quotes(container.image) + "\n";
  const bool host = container.network == Container::Network::kHost;
  out += std::string("    network: ") + (host ? "host" : "bridge") + "\n";
  if (!host) out += "    port: " + std::to_string(container.port) + "\n";
  const auto list = [&](const char* name, const std::vector<std::string>& items) {
    if (!items.empty()) out += "    " + std::string(name) + ":\n";
    for (const std::string& item : items) out += "      - " + in_quotes(item) + "\n";
  };
  list("command", container.command);
  list("volumes", container.volumes);
  if (!container.engine.empty()) out += "    engine: " + in_quotes(container.engine) + "\n";
  if (container.memory > 0) out += "    memory: " + write_size(container.memory) + "\n";
  if (container.cpu_percent > 0) out += "    cpus: " + in_quotes(write_cpus(container.cpu_percent)) + "\n";
}

std::string_view text_of(Restart restart) {
  switch (restart) {
    case Restart::kUnlessStopped: return "unless-stopped";
    case Restart::kAlways: return "always";
    case Restart::kOnFailure: return "on-failure";
    case Restart::kNever: return "never";
  }
  return "unless-stopped";
}

void write_list(std::string& out, const char* key, const std::vector<std::string>& items) {
  if (!items.empty()) out += "  " + std::string(key) + ":\n";
  for (const std::string& item : items) out += "    - " + in_quotes(item) + "\n";
}

std::string octal(int mask) {
  std::string digits;
  for (int shift = 6; shift >= 0; shift -= 3) digits += static_cast<char>('0' + (mask >> shift & 7));
  return digits;
}

void write(std::string& out, const ProcessLimits& limits) {
  if (limits == ProcessLimits()) return;
  out += "  limits:\n";
  if (limits.files) out += "    files: " + std::to_string(*limits.files) + "\n";
  if (limits.processes) out += "    processes: " + std::to_string(*limits.processes) + "\n";
  if (limits.core) out += "    core: " + write_size(*limits.core) + "\n";
  if (limits.memory) out += "    memory: " + write_size(*limits.memory) + "\n";
  if (limits.cpu_weight) out += "    cpu_weight: " + std::to_string(*limits.cpu_weight) + "\n";
}

void write(std::string& out, const Launch& launch) {
  if (launch.container) write(out, *launch.container);
  write_list(out, "command", launch.command);
  if (!launch.env.empty()) out += "  env:\n";
  for (const auto& [name, value] : launch.env)
    out += "    " + in_quotes(name) + ": " + in_quotes(text_of(value)) + "\n";
  write_list(out, "env_file", launch.env_file);
  if (launch.directory) out += "  directory: " + in_quotes(*launch.directory) + "\n";
  if (launch.user) out += "  user: " + in_quotes(*launch.user) + "\n";
  if (launch.umask) out += "  umask: " + in_quotes(octal(*launch.umask)) + "\n";
  write(out, launch.limits);
  write_list(out, "files", launch.files);
}

void write_processes(std::string& out, const Replicas& replicas) {
  out += "  count: " + std::to_string(replicas.count) + "\n";
  write(out, static_cast<const Launch&>(replicas));
  out += "  stop:\n";
  out += "    drain: " + write_duration(replicas.stop.drain) + "\n";
  out += "    grace: " + write_duration(replicas.stop.grace) + "\n";
  out += "  restart: " + std::string(text_of(replicas.restart)) + "\n";
  if (!replicas.needs.empty()) out += "  needs:\n";
  for (const Need& need : replicas.needs) out += "    - " + in_quotes(need.text()) + "\n";
  out += "  deploy:\n";
  out += "    surge: " + std::to_string(replicas.deploy.surge) + "\n";
  out += "    bake: " + write_duration(replicas.deploy.bake) + "\n";
  out += "    errors: " + std::to_string(replicas.deploy.errors_percent) + "%\n";
  out += "    latency: " + std::to_string(replicas.deploy.latency_percent) + "%\n";
}

void write(std::string& out, const Replicas& replicas) {
  out += "replicas:\n";
  if (replicas.endpoints.empty()) {
    write_processes(out, replicas);
  } else {
    out += "  endpoints:\n";
    for (const Endpoint& endpoint : replicas.endpoints) write(out, endpoint);
  }
  write(out, replicas.health);
  if (replicas.canary) write(out, *replicas.canary);
}

void write(std::string& out, const Backup& backup) {
  out += "  - to: " + in_quotes(backup.to) + "\n";
  if (!backup.archive.empty()) out += "    archive:\n";
  for (const TimeOfDay& time : backup.archive) out += "      - " + in_quotes(time.text()) + "\n";
  out += "    keep:\n";
  const auto rule = [&](const char* name, int count) {
    if (count > 0) out += "      " + std::string(name) + ": " + std::to_string(count) + "\n";
  };
  rule("last", backup.keep.last);
  rule("hourly", backup.keep.hourly);
  rule("daily", backup.keep.daily);
  rule("weekly", backup.keep.weekly);
  rule("monthly", backup.keep.monthly);
  if (backup.keep.within > 0s) out += "      within: " + write_duration(backup.keep.within) + "\n";
}

void write(std::string& out, const Sla& sla) {
  out += "sla:\n  target: " + write_objective(sla.target) + "\n";
  if (!sla.credits.empty()) out += "  credits:\n";
  for (const Sla::Credit& credit : sla.credits)
    out += "    - {below: " + write_objective(credit.below) + ", credit: " + std::to_string(credit.percent) + "%}\n";
  if (sla.monthly_fee) out += "  monthly_fee: " + write_dollars(*sla.monthly_fee) + "\n";
  if (!sla.exclude_maintenance) out += "  exclusions: none\n";
  if (sla.claims) out += "  claims: " + in_quotes(*sla.claims) + "\n";
}

void write(std::string& out, const Costs& costs) {
  out += "costs:\n";
  if (costs.per_request) out += "  per_request: " + write_dollars(*costs.per_request) + "\n";
  if (costs.per_hour) out += "  per_hour: " + write_dollars(*costs.per_hour) + "\n";
  const auto factor = [&out](const char* name, const char* count, const char* each,
                             const std::optional<Costs::Factor>& f) {
    if (f)
      out += std::string("  ") + name + ": {" + count + ": " + write_number(f->per_hour) + ", " + each + ": " +
             write_dollars(f->each) + "}\n";
  };
  factor("churn", "customers_per_hour", "per_customer", costs.churn);
  factor("support", "tickets_per_hour", "per_ticket", costs.support);
}

}  // namespace

std::string to_yaml(const Config& config) {
  std::string out;
  if (config.service) out += "service: " + in_quotes(*config.service) + "\n";
  if (config.objective) out += "objective: " + write_objective(*config.objective) + "\n";
  out += "listen:\n";
  for (const Address& address : config.listen) out += "  - " + in_quotes(address.text()) + "\n";
  write(out, config.replicas);
  if (!config.routes.empty()) out += "routes:\n";
  for (const Route& route : config.routes) write(out, route);
  write(out, config.gateway);
  if (!config.data.sqlite.empty()) out += "data:\n  sqlite:\n";
  for (const std::string& path : config.data.sqlite) out += "    - " + in_quotes(path) + "\n";
  if (!config.backups.empty()) out += "backups:\n";
  for (const Backup& backup : config.backups) write(out, backup);
  if (config.dashboard)
    out += "dashboard: " + (config.dashboard->at ? in_quotes(config.dashboard->at->text()) : "none") + "\n";
  if (config.timezone != Config::kUtc) out += "timezone: " + in_quotes(config.timezone) + "\n";
  if (config.sla) write(out, *config.sla);
  if (config.costs) write(out, *config.costs);
  return out;
}

}  // namespace nines::config
