#include "app/gateway_settings.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "base/check.h"

namespace nines::app {
namespace {

constexpr std::size_t kPageMax = 1024 * 1024;

gateway::RouteTable routes_of(const config::Config& config) {
  std::vector<gateway::RouteRule> rules;
  for (const config::Route& route : config.routes) {
    rules.push_back({.path = route.path,
                     .replay_safe = route.replay == config::Replay::kSafe,
                     .hash_header = route.hash_header.value_or(""),
                     .first_byte = route.first_byte,
                     .stream_idle = route.stream_idle,
                     .body_bytes = route.body});
  }
  return gateway::RouteTable(std::move(rules));
}

void add_health(gateway::Settings& settings, const config::Replicas& replicas) {
  const config::Health& health = replicas.health;
  settings.health_path = health.path;
  settings.health_timeout = health.timeout;
  settings.health.interval = health.interval;
  settings.health.down = std::min(settings.health.down, health.interval);
  settings.health.transition = std::min(settings.health.transition, health.interval);
  settings.health.rise = health.rise;
  settings.health.fall = health.fall;
  if (replicas.canary) settings.canary = canary_of(*replicas.canary);
}

void add_timeouts(gateway::Settings& settings, const config::Timeouts& timeouts) {
  settings.connect_time = timeouts.connect;
  settings.head_time = timeouts.head;
  settings.body_idle = timeouts.body_idle;
  settings.patience.first_byte = timeouts.first_byte;
  settings.patience.first_byte_max = timeouts.first_byte_max;
  settings.answer_idle = timeouts.answer_idle;
  settings.stream_idle = timeouts.stream_idle;
  settings.tunnel_idle = timeouts.tunnel_idle;
  settings.keep_alive = timeouts.keep_alive;
  settings.upstream_idle = timeouts.upstream_idle;
}

// A proxied request needs two descriptors. Takes what the hard limit allows, and keeps the connections below it.
void fit_descriptors(gateway::Settings& settings) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  constexpr rlim_t kOwn = 256;
  const rlim_t usable = limit.rlim_cur > 2 * kOwn ? limit.rlim_cur - kOwn : limit.rlim_cur / 2;
  settings.connections = std::min<std::size_t>(settings.connections, usable / 2 / settings.workers);
}

gateway::AccessLogged logged_of(config::AccessLog log) {
  switch (log) {
    case config::AccessLog::kNone: return gateway::AccessLogged::kNone;
    case config::AccessLog::kProblems: return gateway::AccessLogged::kProblems;
    case config::AccessLog::kAll: return gateway::AccessLogged::kAll;
  }
  return gateway::AccessLogged::kProblems;
}

}  // namespace

gateway::CanarySettings canary_of(const config::Canary& canary) {
  gateway::CanarySettings settings{.method = canary.method,
                                   .target = canary.path,
                                   .content_type = canary.content_type,
                                   .body = canary.body,
                                   .timeout = canary.timeout,
                                   .stall = canary.stall,
                                   .before_ready = canary.before_ready};
  if (canary.expect) settings.expect = {.pointer = canary.expect->pointer, .equals = canary.expect->equals};
  return settings;
}

gateway::Settings settings_of(const config::Config& config, std::size_t threads) {
  INVARIANT(threads > 0);
  const config::Gateway& gateway = config.gateway;
  gateway::Settings settings;
  settings.workers = threads;
  settings.routes = routes_of(config);
  add_health(settings, config.replicas);
  add_timeouts(settings, gateway.timeouts);
  settings.admission.in_flight = static_cast<std::uint64_t>(gateway.in_flight);
  settings.admission.queue = static_cast<std::size_t>(gateway.queue);
  settings.admission.queue_time = gateway.queue_time;
  settings.connections = static_cast<std::size_t>(gateway.connections);
  settings.head.head_bytes = gateway.head;
  settings.body_bytes = gateway.body;
  settings.replay.repetitions = gateway.retries.most;
  settings.retry_budget.share = gateway.retries.budget_percent / 100.0;
  settings.slow_start.window = gateway.slow_start;
  settings.cancel_upstream = gateway.cancel_upstream;
  for (const config::Network& network : gateway.trusted_proxies)
    INVARIANT(settings.trusted_proxies.add(network.ip, network.prefix));
  return settings;
}

Result<std::string> read_unavailable_page(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return failure(os_error(errno, "the page for when nobody is ready cannot be read: " + path));
  std::string text(kPageMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  text.shrink_to_fit();
  if (text.empty()) return failure(Code::kNotFound, "the page for when nobody is ready is empty: " + path);
  if (text.size() > kPageMax)
    return failure(Code::kLimit, "the page for when nobody is ready has more than 1 MiB: " + path);
  return text;
}

GatewayLanes::Options lanes_of(const config::Config& config, const GatewayPlaces& places) {
  const int cores = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  GatewayLanes::Options options{
      .settings = settings_of(config, static_cast<std::size_t>(config.gateway.threads.value_or(cores)))};
  fit_descriptors(options.settings);
  if (const auto& name = config.gateway.unavailable_page) {
    if (auto page = read_unavailable_page(std::filesystem::path(places.folder) / *name)) {
      options.settings.unavailable_page = std::move(*page);
    } else {
      std::fprintf(stderr, "nines gateway: %s\n", page.error().text().c_str());
    }
  }
  if (!places.access_log.empty()) options.access_log = logged_of(config.gateway.access_log);
  options.access_file = places.access_log;
  return options;
}

}  // namespace nines::app
