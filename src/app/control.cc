#include "app/control.h"

#include <boost/json.hpp>

#include "app/supervisor.h"
#include "base/text.h"

namespace nines::app {
namespace {

namespace json = boost::json;

constexpr std::uint64_t kExact = 1ULL << 53;  // above it a double, and so many a JSON reader, is not exact

json::value number(std::uint64_t n) { return n > kExact ? json::value(std::to_string(n)) : json::value(n); }
json::value number_or_null(std::uint64_t n) { return n == 0 ? json::value(nullptr) : number(n); }

json::value milliseconds(std::optional<Duration> d) {
  return d ? json::value(static_cast<double>(d->count()) / 1e6) : json::value(nullptr);
}

json::object latency(const plane::LatencyHistogram& histogram) {
  const auto counts = histogram.snapshot();
  return {{"p50", milliseconds(plane::quantile(counts, 0.5))}, {"p99", milliseconds(plane::quantile(counts, 0.99))}};
}

double seconds(Duration d) { return static_cast<double>(d.count()) / 1e9; }

class Reporter {
 public:
  explicit Reporter(Supervisor& supervisor) : s_(supervisor), now_(net::boot_time()), wall_(net::wall_time()) {}

  json::object status() {
    const config::Config& config = s_.service().config;
    json::array listen, replicas;
    for (const std::string& url : s_.addresses()) listen.emplace_back(url);
    for (std::size_t slot = 0; slot < s_.replicas().size(); ++slot) replicas.push_back(replica(slot));
    const Paths& paths = s_.service().paths;
    return {{"service", *config.service},
            {"objective", config.objective ? json::value(*config.objective) : json::value(nullptr)},
            {"state", name_of(s_.phase())},
            {"since", wall(s_.begun())},
            {"uptime_s", seconds(now_ - s_.begun())},
            {"listen", std::move(listen)},
            {"config", paths.config_file.empty() ? json::value(nullptr) : json::value(paths.config_file)},
            {"folder", paths.folder},
            {"supervisor", {{"pid", ::getpid()}}},
            {"keeper", {{"pid", number_or_null(static_cast<std::uint64_t>(s_.keeper_pid()))}}},
            {"gateway", gateway()},
            {"replicas", std::move(replicas)},
            {"events", events(0, 20, true)}};
  }

  // The last `limit`, or the first `limit` from number `after` on.
  json::array events(std::uint64_t after, std::size_t limit, bool last) {
    const auto& entries = s_.events().entries();
    auto begin = last ? entries.end() - static_cast<std::ptrdiff_t>(std::min(limit, entries.size()))
                      : std::find_if(entries.begin(), entries.end(), [&](const auto& e) { return e.number >= after; });
    json::array list;
    for (; begin != entries.end() && list.size() < limit; ++begin) list.push_back(event(*begin));
    return list;
  }

 private:
  std::string wall(Instant t) const { return format_rfc3339(wall_ - (now_ - t)); }

  json::object gateway() {
    const plane::ServiceCounters& c = s_.table().service;
    return {{"pid", number_or_null(static_cast<std::uint64_t>(s_.gateway_pid()))},
            {"requests", number(c.requests)},
            {"errors", number(c.errors)},
            {"client_errors", number(c.client_errors)},
            {"replayed", number(c.replayed)},
            {"abandoned", number(c.abandoned)},
            {"unroutable", number(c.unroutable)},
            {"connections", number(plane::total(c.connections))},
            {"connections_refused", number(c.connections_refused)},
            {"latency_ms", latency(c.latency)}};
  }

  json::object replica(std::size_t slot) {
    const ReplicaUnit& unit = *s_.replicas()[slot];
    const plane::Observed& observed = s_.table().observed[slot];
    const auto verdict = observed.verdict.load();
    const bool unready = unit.machine().state() == supervise::State::kUnready;
    return {{"name", unit.name()},
            {"pid", number_or_null(static_cast<std::uint64_t>(unit.pid()))},
            {"port", unit.pid() != 0 ? number_or_null(unit.port()) : json::value(nullptr)},
            {"state", supervise::name_of(unit.machine().state())},
            {"since", wall(unit.since())},
            {"uptime_s", unit.pid() != 0 ? json::value(seconds(now_ - unit.spawned())) : json::value(nullptr)},
            {"restarts", number(unit.machine().restarts())},
            {"in_flight", number(plane::total(observed.in_flight))},
            {"requests", number(observed.requests)},
            {"errors", number(observed.errors)},
            {"latency_ms", latency(observed.latency)},
            {"log", unit.log_file()},
            {"note", unready && verdict ? verdict->reason : ""}};
  }

  json::object event(const EventLog::Entry& entry) {
    const plane::Event& e = entry.event;
    return {{"number", number(entry.number)},
            {"at", wall(e.at())},
            {"kind", plane::name_of(e.kind)},
            {"replica",
             e.replica < s_.replicas().size() ? json::value(s_.replicas()[e.replica]->name()) : json::value(nullptr)},
            {"pid", number_or_null(e.pid)},
            {"incarnation", number(e.incarnation)},
            {"a", e.a},
            {"b", e.b},
            {"text", e.text}};
  }

  Supervisor& s_;
  const Instant now_;
  const WallTime wall_;
};

http::Response json_response(const json::value& value, int status = 200) {
  return {.status = status, .body = json::serialize(value) + "\n"};
}

std::uint64_t query_number(std::string_view query, std::string_view name, std::uint64_t otherwise) {
  const auto text = http::query_parameter(query, name);
  return text ? parse_unsigned(*text).value_or(otherwise) : otherwise;
}

http::Response events_response(Supervisor& supervisor, std::string_view query) {
  const std::uint64_t after = query_number(query, "after", 0);
  const std::uint64_t limit = std::min<std::uint64_t>(query_number(query, "limit", 1000), EventLog::kKept);
  Reporter reporter(supervisor);
  json::array list = reporter.events(after, limit, false);
  const auto& log = supervisor.events();
  const std::uint64_t oldest = log.entries().empty() ? log.next_number() : log.entries().front().number;
  const std::uint64_t first = std::max(std::max<std::uint64_t>(after, 1), oldest);
  const std::uint64_t next = std::min(first + list.size(), log.next_number());
  const std::uint64_t forgotten = after != 0 && after < oldest ? oldest - after : 0;
  return json_response({{"events", std::move(list)}, {"next", number(next)}, {"lost", number(forgotten + log.lost())}});
}

std::string who_asks(const std::string& body) {
  boost::system::error_code bad;
  const json::value value = json::parse(body, bad);
  const json::value* const by = !bad && value.is_object() ? value.as_object().if_contains("by") : nullptr;
  return by != nullptr && by->is_string() ? std::string(by->as_string()) : "the control socket";
}

http::Response order_replica(Supervisor& supervisor, std::string_view rest) {
  const auto slash = rest.find('/');
  ReplicaUnit* const unit = supervisor.find(rest.substr(0, slash));
  if (unit == nullptr)
    return http::error_response(404, "there is no replica \"" + std::string(rest.substr(0, slash)) + "\"",
                                "no_such_replica");
  if (supervisor.phase() == Phase::kStopping) return http::error_response(409, "the service is going down", "stopping");
  const std::string_view order = slash == std::string_view::npos ? "" : rest.substr(slash + 1);
  if (order == "stop") {
    unit->stop();
  } else if (order == "start") {
    unit->start();
  } else if (order == "restart") {
    unit->restart();
  } else {
    return http::error_response(404, "a replica can be told to start, stop or restart", "no_such_order");
  }
  return json_response(json::object(), 202);
}

http::Response answer(Supervisor& supervisor, const http::Request& request) {
  const std::string_view path = request.head.path();
  constexpr std::string_view kReplicas = "/v1/replicas/";
  const bool post = path == "/v1/down" || path.starts_with(kReplicas);
  if (path != "/v1/status" && path != "/v1/events" && !post)
    return http::error_response(404, "no such path", "not_found");
  if (request.head.method() != (post ? "POST" : "GET"))
    return http::error_response(405, post ? "use POST" : "use GET", "method");
  if (path == "/v1/status") return json_response(Reporter(supervisor).status());
  if (path == "/v1/events") return events_response(supervisor, request.head.query());
  if (path == "/v1/down") {
    supervisor.wish_down(who_asks(request.body));
    return json_response(json::object(), 202);
  }
  return order_replica(supervisor, path.substr(kReplicas.size()));
}

Task<http::Response> handle(Supervisor& supervisor, http::Request& request) { co_return answer(supervisor, request); }

}  // namespace

http::Server::Handler control_handler(Supervisor& supervisor) {
  return [&supervisor](http::Request& request) { return handle(supervisor, request); };
}

}  // namespace nines::app
