#include "config/replicas.h"

#include <algorithm>

#include "config/json_text.h"
#include "config/launch.h"
#include "config/protection.h"
#include "config/values.h"

namespace nines::config {
namespace {

constexpr std::string_view kOutside = "put it at the outermost level, without indentation";
constexpr std::string_view kInHealth = "indent it below replicas: health:";
constexpr std::string_view kEndpointsExample = "endpoints: [\"10.0.0.5:8000\"]";

constexpr Key kReplicasKeys[] = {{"count"},
                                 {"command"},
                                 {"container"},
                                 {"endpoints"},
                                 {"health"},
                                 {"canary"},
                                 {"env"},
                                 {"env_file"},
                                 {"directory"},
                                 {"user"},
                                 {"umask"},
                                 {"limits"},
                                 {"stop"},
                                 {"restart"},
                                 {"needs"},
                                 {"deploy"},
                                 {"files"},
                                 elsewhere("image", "indent it below container:"),
                                 elsewhere("port", "indent it below container:"),
                                 elsewhere("service", kOutside),
                                 elsewhere("objective", kOutside),
                                 elsewhere("listen", kOutside),
                                 elsewhere("routes", kOutside),
                                 elsewhere("gateway", kOutside),
                                 elsewhere("path", kInHealth),
                                 elsewhere("interval", kInHealth),
                                 elsewhere("timeout", kInHealth)};
constexpr Key kHealthKeys[] = {{"path"}, {"interval"}, {"timeout"}, {"rise"}, {"fall"}, {"startup"}, {"restart_after"}};
constexpr Key kCanaryKeys[] = {{"post"},
                               {"get"},
                               {"json"},
                               {"text"},
                               {"content_type"},
                               {"expect"},
                               {"timeout"},
                               {"stall"},
                               {"every"},
                               {"before_ready"},
                               elsewhere("pointer", "indent it below expect:"),
                               elsewhere("equals", "indent it below expect:")};
constexpr Key kExpectKeys[] = {{"pointer"}, {"equals"}};
constexpr Key kEndpointKeys[] = {{"address"}, {"weight"}, {"tier"}};
constexpr Key kStopKeys[] = {{"drain"}, {"grace"}};
constexpr Key kDeployKeys[] = {{"surge"}, {"bake"}, {"errors"}, {"latency"}};

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
  section->read("restart_after", health.restart_after, [](std::string_view text) -> Checked<std::optional<Duration>> {
    if (text == "never") return std::nullopt;
    const auto after = parse_duration(text);
    if (!after) return std::unexpected(after.error());
    const auto [min, max] = bounds::kRestartAfter;
    if (*after < min || *after > max)
      return wrong(quoted(text) + " is out of bounds",
                   "write a duration from " + write_duration(min) + " to " + write_duration(max) + ", or never");
    return *after;
  });
}

Checked<Restart> parse_restart(std::string_view text) {
  if (text == "unless-stopped") return Restart::kUnlessStopped;
  if (text == "always") return Restart::kAlways;
  if (text == "on-failure") return Restart::kOnFailure;
  if (text == "never") return Restart::kNever;
  return wrong(quoted(text) + " is none of unless-stopped, always, on-failure, never",
               "say what follows the end of a process: unless-stopped starts another one, unless a person stopped it");
}

void read_deploy(Section& replicas, Deploy& deploy) {
  auto section = replicas.section("deploy", kDeployKeys);
  if (!section) return;
  section->read("surge", deploy.surge, bounds::kSurge);
  section->read("bake", deploy.bake, bounds::kBake);
  section->read("errors", deploy.errors_percent,
                [](std::string_view text) { return parse_percent(text, bounds::kErrorsPercent); });
  section->read("latency", deploy.latency_percent,
                [](std::string_view text) { return parse_percent(text, bounds::kLatencyPercent); });
}

void read_json(Section& section, const Node& node, std::string& text) {
  auto json = json_text(node);
  if (json) {
    text = *std::move(json);
  } else {
    section.complain(json.error().at, json.error().complaint);
  }
}

void read_expectation(Section& canary, std::optional<Canary::Expect>& expect) {
  auto section = canary.section("expect", kExpectKeys);
  if (!section) return;
  Canary::Expect read;
  section->read("pointer", read.pointer, checked_by(check_json_pointer));
  // `equals: null` is a value.
  const auto equals = std::ranges::find_if(section->entries(), [](const auto& e) { return e.key->text == "equals"; });
  if (equals == section->entries().end()) {
    section->complain(section->at(), {"expect does not say what must be there", "add equals: VALUE"});
  } else {
    read_json(*section, *equals->value, read.equals);
  }
  expect = std::move(read);
}

void read_canary(Section& replicas, std::optional<Canary>& field) {
  auto section = replicas.section("canary", kCanaryKeys);
  if (!section) return;
  Canary canary;
  if (section->has("post") == section->has("get")) {
    section->complain(section->at(), {"canary needs either post or get", "say what is asked: post: /classify"});
  }
  canary.method = section->has("get") ? "GET" : "POST";
  section->read(section->has("get") ? "get" : "post", canary.path, checked_by(check_request_path));
  if (section->has("json") && section->has("text"))
    section->complain(section->at(), {"canary has both json and text", "a request has one body; remove the other"});
  if (section->has("get") && (section->has("json") || section->has("text")))
    section->complain(section->at(), {"canary: a request with get has no body", "write post, or remove the body"});
  if (const Node* const json = section->value("json")) read_json(*section, *json, canary.body);
  if (section->has("text")) canary.content_type = Canary::kText;
  section->read("text", canary.body, checked_by(check_text));
  section->read("content_type", canary.content_type, checked_by(check_content_type));
  if (canary.body.size() > bounds::kTextBytes)
    section->complain(section->at(),
                      {"the canary's body is longer than " + write_size(bounds::kTextBytes), "ask for less"});
  read_expectation(*section, canary.expect);
  section->read("timeout", canary.timeout, bounds::kCanaryTimeout);
  section->read("stall", canary.stall, bounds::kStall);
  section->read("every", canary.every, bounds::kCanaryEvery);
  section->read("before_ready", canary.before_ready, parse_truth);
  field = std::move(canary);
}

// A request there would come back to us, again and again.
bool is_ourselves(const Address& endpoint, const std::vector<Address>& listen) {
  const bool loopback = endpoint.ip.starts_with("127.") || endpoint.ip == "::1";
  return std::ranges::any_of(listen, [&](const Address& ours) {
    const bool everything = ours.ip == "0.0.0.0" || ours.ip == "::";
    return ours.port == endpoint.port && ours.is_ipv6() == endpoint.is_ipv6() &&
           (ours.ip == endpoint.ip || (everything && loopback));
  });
}

void read_endpoint(Section& replicas, const Node& node, const std::vector<Address>& listen,
                   std::vector<Endpoint>& endpoints) {
  const std::string what = replicas.dotted("endpoints");
  Endpoint endpoint;
  Position at = node.at;
  if (node.kind == Node::Kind::kMap) {
    Section section = replicas.item(node, what, kEndpointKeys);
    if (!section.has("address"))
      section.complain(section.at(), {"this endpoint has no address", "add one: {address: \"10.0.0.5:8000\"}"});
    section.read("address", endpoint.at, parse_endpoint);
    section.read("weight", endpoint.weight, bounds::kWeight);
    section.read("tier", endpoint.tier, bounds::kTier);
    if (const Node* const address = section.has("address") ? section.value("address") : nullptr) at = address->at;
  } else {
    replicas.read_node(node, what, endpoint.at, parse_endpoint);
  }
  if (endpoint.at.port == 0) return;
  if (is_ourselves(endpoint.at, listen))
    return replicas.complain(
        at, what, {quoted(endpoint.at.text()) + " is where nines itself listens", "name a server behind it"});
  if (std::ranges::find(endpoints, endpoint.at, &Endpoint::at) != endpoints.end())
    return replicas.complain(at, what, {quoted(endpoint.at.text()) + " is named already", "remove one"});
  endpoints.push_back(std::move(endpoint));
}

void read_endpoints(Section& replicas, const std::vector<Address>& listen, std::vector<Endpoint>& endpoints) {
  const Node* const node = replicas.value("endpoints");
  if (node == nullptr) return;
  const std::string what = replicas.dotted("endpoints");
  if (node->kind != Node::Kind::kSequence)
    return replicas.expected(*node, what, std::string("a list, such as ") + std::string(kEndpointsExample));
  if (node->items.empty())
    return replicas.complain(node->at,
                             {what + " is an empty list", "name a server: " + std::string(kEndpointsExample)});
  if (replicas.too_many(*node, what, node->items.size(), bounds::kEndpoints)) return;
  for (const Node* const item : node->items) read_endpoint(replicas, *item, listen, endpoints);
}

// What is about processes says nothing about servers elsewhere: better refused than ignored.
void refuse_beside_endpoints(Section& replicas) {
  for (const Node::Entry& entry : replicas.entries()) {
    const std::string& key = entry.key->text;
    constexpr std::string_view kOfServers[] = {"endpoints", "health", "canary"};
    if (std::ranges::find(kOfServers, key) != std::end(kOfServers) || key == "command" || key == "container") continue;
    if (std::ranges::find(kReplicasKeys, key, &Key::name) == std::end(kReplicasKeys)) continue;
    if (std::ranges::find(kReplicasKeys, key, &Key::name)->is != Key::Is::kRead) continue;
    replicas.complain(entry.key->at,
                      {quoted(key) + " is for servers that nines starts, not for endpoints", "remove the key"});
  }
}

// Exactly one of the ways to have a replica.
void check_kind(Section& replicas) {
  const bool command = replicas.has("command"), endpoints = replicas.has("endpoints");
  const bool container = replicas.has("container");
  if (container && (command || endpoints)) {
    replicas.complain(replicas.at(),
                      {std::string("replicas has both container and ") + (command ? "command" : "endpoints"),
                       command ? "remove one, or indent command below container:" : "remove one"});
  } else if (command && endpoints) {
    replicas.complain(replicas.at(), {"replicas has both command and endpoints",
                                      "nines either starts the servers or is told where they are; remove one"});
  } else if (!command && !endpoints && !container) {
    replicas.complain(replicas.at(),
                      {"replicas has no command", "say how one replica is started: " + std::string(kCommandExample)});
  }
}

}  // namespace

void read_replicas(Section& file, const std::vector<Address>& listen, Replicas& replicas) {
  auto section = file.section("replicas", kReplicasKeys);
  if (!section) {
    if (!file.has("replicas")) {
      file.complain(file.at(), {"nothing to run: the file has no replicas",
                                "add them: replicas: {" + std::string(kCommandExample) + "}"});
    }
    return;
  }
  check_kind(*section);
  section->read("count", replicas.count, bounds::kCount);
  read_launch(*section, replicas);
  read_endpoints(*section, listen, replicas.endpoints);
  if (section->has("endpoints")) {
    refuse_beside_endpoints(*section);
    replicas.count = static_cast<int>(replicas.endpoints.size());
  }
  read_health(*section, replicas.health);
  read_canary(*section, replicas.canary);
  if (auto stop = section->section("stop", kStopKeys)) {
    stop->read("drain", replicas.stop.drain, bounds::kStop);
    stop->read("grace", replicas.stop.grace, bounds::kStop);
  }
  if (replicas.user && replicas.by_socket())
    section->complain(section->value("user")->at,
                      {"another user than nines cannot listen on {socket}, which is in a folder of nines' own",
                       "use {port} in the command"});
  section->read("restart", replicas.restart, parse_restart);
  read_needs(*section, replicas.needs);
  read_deploy(*section, replicas.deploy);
  read_model_files(*section, replicas.files);
}

}  // namespace nines::config
