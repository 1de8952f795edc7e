#include "config/config.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <tuple>

#include "base/error.h"
#include "base/fd.h"
#include "config/document.h"
#include "config/protection.h"
#include "config/reader.h"
#include "config/values.h"

namespace nines::config {
namespace {

// The whole contract of nines.yaml: an unknown key is a typo, a key of a part still to come is not, and a key at the
// wrong level is told its place.
constexpr std::string_view kInReplicas = "indent it below replicas:";
constexpr std::string_view kInHealth = "indent it below replicas: health:";
constexpr std::string_view kInData = "indent it below data:";
constexpr std::string_view kOutside = "put it at the outermost level, without indentation";
constexpr std::string_view kUseCommand = "start the server with command:";

constexpr Key kFileKeys[] = {{"service"},
                             {"objective"},
                             {"listen"},
                             {"replicas"},
                             {"routes"},
                             {"gateway"},
                             {"data"},
                             {"backups"},
                             {"dashboard"},
                             missing("services"),
                             missing("alerts"),
                             missing("costs"),
                             elsewhere("count", kInReplicas),
                             elsewhere("command", kInReplicas),
                             elsewhere("health", kInReplicas),
                             elsewhere("env", kInReplicas),
                             elsewhere("stop", kInReplicas),
                             elsewhere("files", kInReplicas),
                             elsewhere("sqlite", kInData)};
constexpr Key kReplicasKeys[] = {{"count"},
                                 {"command"},
                                 {"health"},
                                 {"env"},
                                 {"stop"},
                                 {"files"},
                                 missing("container", kUseCommand),
                                 missing("endpoints", kUseCommand),
                                 missing("canary"),
                                 elsewhere("service", kOutside),
                                 elsewhere("objective", kOutside),
                                 elsewhere("listen", kOutside),
                                 elsewhere("routes", kOutside),
                                 elsewhere("gateway", kOutside),
                                 elsewhere("path", kInHealth),
                                 elsewhere("interval", kInHealth),
                                 elsewhere("timeout", kInHealth)};
constexpr Key kHealthKeys[] = {{"path"}, {"interval"}, {"timeout"}, {"rise"}, {"fall"}, {"startup"}};
constexpr Key kStopKeys[] = {{"drain"}, {"grace"}};
constexpr Key kRouteKeys[] = {{"path"}, {"replay"}};
constexpr Key kGatewayKeys[] = {{"threads"}};

constexpr std::string_view kCommandExample = "command: [my-server, --port, \"{port}\"]";

// One socket per address: the same one twice, or one inside another, could not be opened.
const Address* overlap(const std::vector<Address>& addresses, const Address& added) {
  const auto everything = [](const Address& a) { return a.ip == "0.0.0.0" || a.ip == "::"; };
  const auto found = std::ranges::find_if(addresses, [&](const Address& other) {
    return other.port == added.port && other.is_ipv6() == added.is_ipv6() &&
           (other.ip == added.ip || everything(other) || everything(added));
  });
  return found == addresses.end() ? nullptr : &*found;
}

void read_listen(Section& file, std::vector<Address>& listen) {
  const Node* const node = file.value("listen");
  if (node == nullptr) return;
  const std::vector<const Node*> items = Section::items_of(*node);
  if (items.empty())
    return file.complain(node->at, {"listen is an empty list", "name an address, such as 127.0.0.1:8000"});
  if (file.too_many(*node, "listen", items.size(), bounds::kListenAddresses)) return;
  listen.clear();
  for (const Node* const item : items) {
    Address address;
    file.read_node(*item, "listen", address, parse_address);
    if (address.port == 0) continue;
    if (const Address* const other = overlap(listen, address)) {
      file.complain(item->at,
                    {"listen: " + address.text() + " is covered by " + other->text() + " already", "remove one"});
      continue;
    }
    listen.push_back(std::move(address));
  }
}

// `[server, --port, {port}]` without quotes is the mistake everybody makes once: YAML reads {port} as a mapping.
bool is_unquoted_placeholder(const Node& node) {
  return node.kind == Node::Kind::kMap && node.entries.size() == 1 && node.entries[0].value->kind == Node::Kind::kNull;
}

void read_command(Section& replicas, std::vector<std::string>& command) {
  const Node* const node = replicas.value("command");
  if (node == nullptr) return;
  const std::string what = replicas.dotted("command");
  std::vector<std::string> words;
  std::size_t failures = 0;
  const auto check_one = [&](const Node& at, std::string_view word) {
    if (auto checked = check_text(word); !checked) ++failures, replicas.complain(at.at, what, checked.error());
  };
  if (node->kind == Node::Kind::kScalar) {
    auto split = split_words(node->text);
    if (!split) return replicas.complain(node->at, what, split.error());
    words = *std::move(split);
    for (const std::string& word : words) check_one(*node, word);
  } else if (node->kind == Node::Kind::kSequence) {
    for (const Node* const item : node->items) {
      if (is_unquoted_placeholder(*item)) {
        const std::string name = "{" + item->entries[0].key->text + "}";
        ++failures;
        replicas.complain(item->at, what,
                          {quoted(name) + " without quotes is a mapping in YAML", "write " + quoted(name)});
        continue;
      }
      if (item->kind != Node::Kind::kScalar) {
        ++failures;
        replicas.expected(*item, "an argument of " + what, "text; quote it if it contains {, [, : or #");
        continue;
      }
      check_one(*item, item->text);
      words.push_back(item->text);
    }
  } else {
    return replicas.expected(*node, what, std::string("a list or one string, such as ") + std::string(kCommandExample));
  }
  if (failures > 0) return;  // what is left may well lack {port}, and that would be news about our reading only
  if (auto checked = check_command(words); !checked) return replicas.complain(node->at, what, checked.error());
  command = std::move(words);
}

void read_health(Section& replicas, Health& health) {
  auto section = replicas.section("health", kHealthKeys);
  if (!section) return;
  health.path = Health::kDefaultPath;
  section->read("path", health.path, [](std::string_view text) -> Checked<std::optional<std::string>> {
    if (text == "none") return std::nullopt;
    if (auto checked = check_request_path(text); !checked) {
      checked.error().fix += "; \"none\" checks by TCP connect";
      return std::unexpected(checked.error());
    }
    return std::string(text);
  });
  section->read("interval", health.interval, bounds::kInterval);
  section->read("timeout", health.timeout, bounds::kTimeout);
  section->read("rise", health.rise, bounds::kRiseFall);
  section->read("fall", health.fall, bounds::kRiseFall);
  section->read("startup", health.startup, bounds::kStartup);
}

void read_environment(Section& replicas, std::map<std::string, EnvironmentValue>& env) {
  const Node* const node = replicas.value("env");
  if (node == nullptr) return;
  auto section = replicas.section("env", {});
  if (!section || section->too_many(*node, section->name(), section->entries().size(), bounds::kVariables)) return;
  for (const Node::Entry& entry : section->entries()) {
    const std::string& name = entry.key->text;
    if (auto checked = check_variable_name(name); !checked) {
      section->complain(entry.key->at, section->name(), checked.error());
    } else if (entry.value->kind == Node::Kind::kNull) {
      section->complain(entry.key->at,
                        {section->dotted(name) + " has no value", "write \"\" for an empty one, or remove the key"});
    } else {
      EnvironmentValue value;
      section->read_node(*entry.value, section->dotted(name), value, parse_environment_value);
      env.emplace(name, std::move(value));
    }
  }
}

void read_replicas(Section& file, Replicas& replicas) {
  auto section = file.section("replicas", kReplicasKeys);
  if (!section) {
    if (!file.has("replicas")) {
      file.complain(file.at(), {"nothing to run: the file has no replicas",
                                "add them: replicas: {" + std::string(kCommandExample) + "}"});
    }
    return;
  }
  if (!section->has("command") && !section->has("container") && !section->has("endpoints")) {
    section->complain(section->at(),
                      {"replicas has no command", "say how one replica is started: " + std::string(kCommandExample)});
  }
  section->read("count", replicas.count, bounds::kCount);
  read_command(*section, replicas.command);
  read_health(*section, replicas.health);
  read_environment(*section, replicas.env);
  if (auto stop = section->section("stop", kStopKeys)) {
    stop->read("drain", replicas.stop.drain, bounds::kStop);
    stop->read("grace", replicas.stop.grace, bounds::kStop);
  }
  read_model_files(*section, replicas.files);
}

Checked<Replay> parse_replay(std::string_view text) {
  if (text == "safe") return Replay::kSafe;
  if (text == "never") return Replay::kNever;
  return wrong(quoted(text) + " is neither safe nor never",
               "safe: after a failure the request may go to another replica; never: it may not");
}

void read_route(Section& route, std::vector<Route>& routes) {
  Route read;
  if (!route.has("path")) route.complain(route.at(), {"this route has no path", "add one, such as path: /classify"});
  route.read("path", read.path, checked_by(check_route_path));
  route.read("replay", read.replay, parse_replay);
  if (read.path.empty()) return;
  if (std::ranges::find(routes, read.path, &Route::path) != routes.end()) {
    return route.complain(route.value("path")->at, {"a second route for " + quoted(read.path), "remove one"});
  }
  routes.push_back(std::move(read));
}

void read_routes(Section& file, std::vector<Route>& routes) {
  const Node* const node = file.value("routes");
  if (node == nullptr) return;
  if (node->kind != Node::Kind::kSequence) {
    return file.expected(*node, "routes", "a list, such as [{path: /classify, replay: safe}]");
  }
  if (file.too_many(*node, "routes", node->items.size(), bounds::kRoutes)) return;
  for (const Node* const item : node->items) {
    if (item->kind != Node::Kind::kMap) {
      file.expected(*item, "a route", "{path: /classify, replay: safe}");
      continue;
    }
    Section route = file.item(*item, "routes", kRouteKeys);
    read_route(route, routes);
  }
}

void read_dashboard(Section& file, Config& config) {
  file.read("dashboard", config.dashboard, [&](std::string_view text) -> Checked<std::optional<Dashboard>> {
    if (text == "none") return Dashboard{};
    auto address = parse_address(text);
    if (!address) {
      address.error().fix += "; \"none\" leaves it out";
      return std::unexpected(address.error());
    }
    if (const Address* const other = overlap(config.listen, *address))
      return wrong(address->text() + " is covered by " + other->text() + " of listen already", "choose another port");
    return Dashboard{*std::move(address)};
  });
}

Config read_file(const Node& root, std::vector<Problem>& problems) {
  Config config;
  Section file(problems, root, "", kFileKeys);
  if (root.kind != Node::Kind::kMap) return config;
  file.read("service", config.service, checked_by(check_service_name));
  file.read("objective", config.objective, parse_objective);
  read_listen(file, config.listen);
  read_replicas(file, config.replicas);
  read_routes(file, config.routes);
  if (auto gateway = file.section("gateway", kGatewayKeys); gateway && gateway->has("threads")) {
    int threads = bounds::kThreads.min;
    gateway->read("threads", threads, bounds::kThreads);
    config.gateway.threads = threads;
  }
  read_data(file, config.data);
  read_backups(file, config.backups);
  read_dashboard(file, config);
  return config;
}

// Sorted by position; what an alias repeats is said once.
std::vector<Problem> finished(std::vector<Problem> problems, const Lines& lines) {
  const auto key = [](const Problem& p) { return std::tuple(p.at, p.complaint.what, p.complaint.fix); };
  std::ranges::sort(problems, {}, key);
  const auto repeated = std::ranges::unique(problems, {}, key);
  problems.erase(repeated.begin(), repeated.end());
  constexpr std::size_t kShownMax = 4096;  // ten thousand problems in a line of a megabyte would be ten gigabytes
  for (Problem& problem : problems) {
    const std::string_view line = lines.line(problem.at.line);
    if (line.size() <= kShownMax) problem.source = line;
  }
  return problems;
}

Problem about_the_file(Complaint complaint) { return {.at = {0, 0}, .complaint = std::move(complaint), .source = {}}; }

Result<std::string> read_at_most(const std::string& path, std::size_t max) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return failure(os_error(errno, "cannot read it"));
  std::string text;
  std::array<char, 16 * 1024> buffer;
  while (text.size() <= max) {
    const ssize_t got = ::read(file.get(), buffer.data(), buffer.size());
    if (got == 0) return text;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure(os_error(errno, "cannot read it"));
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return text;
}

}  // namespace

Parsed parse(std::string_view yaml_text) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (yaml_text.starts_with(kByteOrderMark)) yaml_text.remove_prefix(kByteOrderMark.size());
  if (yaml_text.size() > bounds::kFileBytes) {
    return std::unexpected(
        std::vector{about_the_file({"the configuration is larger than 1 MiB", "is this the right file?"})});
  }
  const Lines lines(yaml_text);
  auto document = read_document(yaml_text, lines);
  if (!document) return std::unexpected(finished({std::move(document).error()}, lines));

  std::vector<Problem> problems = std::move(document->problems);
  Config config;
  if (document->root == nullptr || document->root->kind == Node::Kind::kNull) {
    problems.push_back(
        {{}, {"the file is empty", "say what to run: replicas: {" + std::string(kCommandExample) + "}"}, {}});
  } else {
    config = read_file(*document->root, problems);
  }
  if (problems.empty() && to_yaml(config).size() > bounds::kFileBytes) {
    problems.push_back({{}, {"larger than 1 MiB with every alias written out", "move long texts into files"}, {}});
  }
  if (!problems.empty()) return std::unexpected(finished(std::move(problems), lines));
  return config;
}

Parsed load(const std::string& path) {
  auto text = read_at_most(path, bounds::kFileBytes);
  if (text) return parse(*text);
  std::string fix = "check its permissions";
  if (text.error().code() == Code::kNotFound) {
    fix = "write one, name another with -c FILE, or do without: nines run -- COMMAND";
  }
  return std::unexpected(std::vector{about_the_file({text.error().text(), std::move(fix)})});
}

}  // namespace nines::config
