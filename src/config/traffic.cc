#include "config/traffic.h"

#include <algorithm>

#include "config/values.h"

namespace nines::config {
namespace {

constexpr std::string_view kInTimeouts = "indent it below gateway: timeouts:";
constexpr Key kRouteKeys[] = {{"path"},
                              {"replay"},
                              {"hash"},
                              {"first_byte"},
                              {"stream_idle"},
                              {"body"},
                              elsewhere("header", "indent it below hash:")};
constexpr Key kHashKeys[] = {{"header"}};
constexpr Key kGatewayKeys[] = {{"threads"},
                                {"in_flight"},
                                {"queue"},
                                {"queue_time"},
                                {"connections"},
                                {"head"},
                                {"body"},
                                {"timeouts"},
                                {"retries"},
                                {"slow_start"},
                                {"cancel_upstream"},
                                {"access_log"},
                                {"trusted_proxies"},
                                {"unavailable_page"},
                                elsewhere("first_byte", kInTimeouts),
                                elsewhere("stream_idle", kInTimeouts),
                                elsewhere("keep_alive", kInTimeouts)};
constexpr Key kTimeoutKeys[] = {{"connect"},     {"head"},        {"body_idle"},  {"first_byte"},  {"first_byte_max"},
                                {"answer_idle"}, {"stream_idle"}, {"keep_alive"}, {"tunnel_idle"}, {"upstream_idle"}};
constexpr Key kRetriesKeys[] = {{"most"}, {"budget"}};

void read_size(Section& section, std::string_view key, std::uint64_t& field, Bounds<std::uint64_t> bounds) {
  section.read(key, field, [&](std::string_view text) -> Checked<std::uint64_t> {
    const auto size = parse_size(text);
    if (size && (*size < bounds.min || *size > bounds.max)) {
      return wrong(quoted(text) + " is out of bounds",
                   "it must be from " + write_size(bounds.min) + " to " + write_size(bounds.max));
    }
    return size;
  });
}

void read_override(Section& route, std::string_view key, std::optional<Duration>& field) {
  if (!route.has(key)) return;
  Duration value = bounds::kWait.min;
  route.read(key, value, bounds::kWait);
  field = value;
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
  if (auto hash = route.section("hash", kHashKeys)) {
    if (!hash->has("header"))
      hash->complain(hash->at(), {"hash does not say by what", "name a header: hash: {header: X-Session-Id}"});
    hash->read("header", read.hash_header, checked_by(check_field_name));
  }
  read_override(route, "first_byte", read.first_byte);
  read_override(route, "stream_idle", read.stream_idle);
  if (route.has("body")) {
    std::uint64_t body = 0;
    read_size(route, "body", body, bounds::kBody);
    read.body = body;
  }
  if (read.path.empty()) return;
  if (std::ranges::find(routes, read.path, &Route::path) != routes.end()) {
    return route.complain(route.value("path")->at, {"a second route for " + quoted(read.path), "remove one"});
  }
  routes.push_back(std::move(read));
}

void read_timeouts(Section& gateway, Timeouts& timeouts) {
  auto section = gateway.section("timeouts", kTimeoutKeys);
  if (!section) return;
  section->read("connect", timeouts.connect, bounds::kConnect);
  section->read("head", timeouts.head, bounds::kWait);
  section->read("body_idle", timeouts.body_idle, bounds::kWait);
  section->read("first_byte", timeouts.first_byte, bounds::kWait);
  section->read("first_byte_max", timeouts.first_byte_max, bounds::kWait);
  section->read("answer_idle", timeouts.answer_idle, bounds::kWait);
  section->read("stream_idle", timeouts.stream_idle, bounds::kWait);
  section->read("keep_alive", timeouts.keep_alive, bounds::kWait);
  section->read("tunnel_idle", timeouts.tunnel_idle, bounds::kWait);
  section->read("upstream_idle", timeouts.upstream_idle, bounds::kUpstreamIdle);
  // Who raises the first means it.
  if (timeouts.first_byte_max >= timeouts.first_byte) return;
  if (section->has("first_byte_max")) {
    section->complain(section->value("first_byte_max")->at,
                      {"first_byte_max is below first_byte, " + write_duration(timeouts.first_byte),
                       "it is how long is waited while a replica proves to be alive; raise it"});
  }
  timeouts.first_byte_max = timeouts.first_byte;
}

Checked<AccessLog> parse_access_log(std::string_view text) {
  if (text == "none") return AccessLog::kNone;
  if (text == "problems") return AccessLog::kProblems;
  if (text == "all") return AccessLog::kAll;
  return wrong(quoted(text) + " is none of none, problems, all", "say which requests are written down");
}

void read_trusted(Section& gateway, std::vector<Network>& trusted) {
  const Node* const node = gateway.value("trusted_proxies");
  if (node == nullptr) return;
  const std::string what = gateway.dotted("trusted_proxies");
  const std::vector<const Node*> items = Section::items_of(*node);
  if (gateway.too_many(*node, what, items.size(), bounds::kTrustedProxies)) return;
  for (const Node* const item : items) {
    Network network;
    gateway.read_node(*item, what, network, parse_network);
    if (!network.ip.empty()) trusted.push_back(std::move(network));
  }
}

}  // namespace

void read_gateway(Section& file, Gateway& gateway) {
  auto section = file.section("gateway", kGatewayKeys);
  if (!section) return;
  if (section->has("threads")) {
    int threads = bounds::kThreads.min;
    section->read("threads", threads, bounds::kThreads);
    gateway.threads = threads;
  }
  section->read("in_flight", gateway.in_flight, bounds::kInFlight);
  section->read("queue", gateway.queue, bounds::kQueue);
  section->read("queue_time", gateway.queue_time, bounds::kQueueTime);
  section->read("connections", gateway.connections, bounds::kConnections);
  read_size(*section, "head", gateway.head, bounds::kHead);
  read_size(*section, "body", gateway.body, bounds::kBody);
  read_timeouts(*section, gateway.timeouts);
  if (auto retries = section->section("retries", kRetriesKeys)) {
    retries->read("most", gateway.retries.most, bounds::kRetries);
    retries->read("budget", gateway.retries.budget_percent,
                  [](std::string_view text) { return parse_percent(text, bounds::kBudget); });
  }
  section->read("slow_start", gateway.slow_start, bounds::kSlowStart);
  section->read("cancel_upstream", gateway.cancel_upstream, parse_truth);
  section->read("access_log", gateway.access_log, parse_access_log);
  read_trusted(*section, gateway.trusted_proxies);
  section->read("unavailable_page", gateway.unavailable_page, checked_by(check_file_name));
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

}  // namespace nines::config
