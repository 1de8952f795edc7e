#include "cli/summary.h"

#include <algorithm>
#include <boost/json.hpp>

#include "config/values.h"

namespace nines::cli {
namespace {

namespace json = boost::json;

std::string url_of(const config::Address& address) { return "http://" + address.text(); }

std::string in_a_row(int count, const char* one, const char* many) {
  return count == 1 ? "1 " + std::string(one) : std::to_string(count) + " " + many + " in a row";
}

std::string health_text(const config::Health& health) {
  const auto text = [](Duration d) { return config::write_duration(d); };
  return (health.path ? "GET " + *health.path : std::string("a TCP connect")) + " every " + text(health.interval) +
         ", at most " + text(health.timeout) + "; in after " + in_a_row(health.rise, "success", "successes") +
         ", out after " + in_a_row(health.fall, "failure", "failures") + "; " + text(health.startup) + " to start";
}

std::string endpoint_text(const config::Endpoint& endpoint) {
  std::string text = url_of(endpoint.at);
  if (endpoint.weight != config::Endpoint().weight) text += ", weight " + std::to_string(endpoint.weight);
  if (endpoint.tier != config::Endpoint().tier) text += ", tier " + std::to_string(endpoint.tier);
  return text;
}

json::array endpoints_json(const std::vector<config::Endpoint>& endpoints) {
  json::array list;
  for (const config::Endpoint& endpoint : endpoints)
    list.push_back(json::object{{"address", endpoint.at.text()}, {"weight", endpoint.weight}, {"tier", endpoint.tier}});
  return list;
}

std::string_view replay_name(config::Replay replay) { return replay == config::Replay::kSafe ? "safe" : "never"; }

std::string keep_text(const config::Keep& keep) {
  std::string text;
  const auto add = [&](const std::string& rule) { text += (text.empty() ? "" : ", ") + rule; };
  const auto count = [&](int n, const char* name) {
    if (n > 0) add(std::to_string(n) + " " + name);
  };
  if (keep.within > 0s) add("all within " + config::write_duration(keep.within));
  count(keep.last, "last");
  count(keep.hourly, "hourly");
  count(keep.daily, "daily");
  count(keep.weekly, "weekly");
  count(keep.monthly, "monthly");
  return text;
}

std::string backup_text(const config::Backup& backup) {
  std::string times;
  for (const config::TimeOfDay& time : backup.archive) times += (times.empty() ? "at " : ", ") + time.text();
  return backup.to + " " + (times.empty() ? "by hand only" : times + " local time") + "; keeps " +
         keep_text(backup.keep);
}

json::array texts_json(const std::vector<std::string>& texts) {
  json::array list;
  for (const std::string& text : texts) list.emplace_back(text);
  return list;
}

json::array backups_json(const std::vector<config::Backup>& backups) {
  json::array list;
  for (const config::Backup& backup : backups) {
    json::array times;
    for (const config::TimeOfDay& time : backup.archive) times.emplace_back(time.text());
    list.push_back(json::object{{"to", backup.to}, {"archive", std::move(times)}, {"keep", keep_text(backup.keep)}});
  }
  return list;
}

json::object health_json(const config::Health& health) {
  return {{"path", health.path ? json::value(*health.path) : json::value(nullptr)},
          {"interval", config::write_duration(health.interval)},
          {"timeout", config::write_duration(health.timeout)},
          {"rise", health.rise},
          {"fall", health.fall},
          {"startup", config::write_duration(health.startup)}};
}

}  // namespace

std::string shell_words(const std::vector<std::string>& words) {
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,+@%{}";
  std::string out;
  for (const std::string& word : words) {
    if (!out.empty()) out += ' ';
    if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
      out += word;
      continue;
    }
    out += '\'';
    for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
    out += '\'';
  }
  return out;
}

std::string summary_text(const config::Config& config, const std::string& file, const std::string& program) {
  std::string out = file + " is right. `nines up` would run\n\n";
  const auto line = [&](std::string_view name, const std::string& value) {
    constexpr std::size_t kNameWidth = 11;
    out += "  " + std::string(name) + std::string(kNameWidth - std::min(kNameWidth, name.size()), ' ') + value + "\n";
  };
  line("service", config.service.value_or(""));
  if (config.objective) line("objective", config::write_objective(*config.objective));
  for (const config::Address& address : config.listen)
    line(address == config.listen.front() ? "listen" : "", url_of(address));
  for (const config::Endpoint& endpoint : config.replicas.endpoints)
    line(&endpoint == &config.replicas.endpoints.front() ? "endpoints" : "", endpoint_text(endpoint));
  if (config.replicas.endpoints.empty()) {
    const auto& container = config.replicas.container;
    line("replicas", std::to_string(config.replicas.count) + " × " +
                         (container ? "container of " + container->image : shell_words(config.replicas.command)));
    if (container && !container->command.empty()) line("command", shell_words(container->command));
    if (!container) line("command", program);
  }
  line("health", health_text(config.replicas.health));
  for (const config::Route& route : config.routes) {
    const char* replay = route.replay == config::Replay::kSafe ? ", sent again elsewhere after a failure" : "";
    line(&route == &config.routes.front() ? "routes" : "", route.path + replay);
  }
  for (const std::string& path : config.data.sqlite) line(path == config.data.sqlite.front() ? "data" : "", path);
  for (const std::string& path : config.replicas.files)
    line(path == config.replicas.files.front() ? "files" : "", path);
  for (const config::Backup& backup : config.backups)
    line(&backup == &config.backups.front() ? "backups" : "", backup_text(backup));
  if (!config.data.sqlite.empty() && config.backups.empty()) line("backups", "none: nothing guards the data");
  return out;
}

std::string summary_json(const config::Config& config, const std::string& file, const std::string& program) {
  json::array listen, command, routes;
  for (const config::Address& address : config.listen) listen.emplace_back(url_of(address));
  const auto& container = config.replicas.container;
  for (const std::string& word : container ? container->command : config.replicas.command) command.emplace_back(word);
  for (const config::Route& route : config.routes)
    routes.push_back(json::object{{"path", route.path}, {"replay", replay_name(route.replay)}});
  return json::serialize(
      json::object{{"valid", true},
                   {"file", file},
                   {"service", config.service.value_or("")},
                   {"objective", config.objective ? json::value(*config.objective) : json::value(nullptr)},
                   {"listen", std::move(listen)},
                   {"replicas", config.replicas.count},
                   {"command", std::move(command)},
                   {"image", container ? json::value(container->image) : json::value(nullptr)},
                   {"program", program.empty() ? json::value(nullptr) : json::value(program)},
                   {"endpoints", endpoints_json(config.replicas.endpoints)},
                   {"health", health_json(config.replicas.health)},
                   {"routes", std::move(routes)},
                   {"data", texts_json(config.data.sqlite)},
                   {"files", texts_json(config.replicas.files)},
                   {"backups", backups_json(config.backups)},
                   {"problems", json::array{}}});
}

std::string problems_json(const std::vector<config::Problem>& problems, const std::string& file) {
  json::array list;
  for (const config::Problem& problem : problems) {
    list.push_back(json::object{{"line", problem.at.line},
                                {"column", problem.at.column},
                                {"what", problem.complaint.what},
                                {"fix", problem.complaint.fix},
                                {"source", problem.source}});
  }
  return json::serialize(json::object{{"valid", false}, {"file", file}, {"problems", std::move(list)}});
}

}  // namespace nines::cli
