#include "app/control.h"

#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>

#include "app/supervisor.h"
#include "base/text.h"
#include "base/version.h"
#include "gateway/upstreams.h"

namespace nines::app {
namespace {

namespace json = boost::json;

// web/ shows the state of a replica out of the table, and may not ask supervise/ what its number means.
static_assert(static_cast<int>(supervise::State::kWaiting) == 0 && static_cast<int>(supervise::State::kReady) == 2 &&
              static_cast<int>(supervise::State::kStopped) == 6);

constexpr std::uint64_t kExact = 1ULL << 53;  // above it a double, and so many a JSON reader, is not exact

json::value number(std::uint64_t n) { return n > kExact ? json::value(std::to_string(n)) : json::value(n); }
json::value text_or_null(const std::string& text) { return text.empty() ? json::value(nullptr) : json::value(text); }
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
    for (std::size_t slot = 0; slot < s_.replicas().size(); ++slot) {
      const ReplicaUnit& unit = *s_.replicas()[slot];
      if (!unit.spare() || !unit.stopped()) replicas.push_back(replica(slot));
    }
    for (std::size_t slot = 0; slot < s_.endpoints().size(); ++slot) replicas.push_back(endpoint(slot));
    const Paths& paths = s_.service().paths;
    return {{"service", *config.service},
            {"objective", config.objective ? json::value(*config.objective) : json::value(nullptr)},
            {"state", name_of(s_.phase())},
            {"since", wall(s_.begun())},
            {"uptime_s", seconds(now_ - s_.begun())},
            {"listen", std::move(listen)},
            {"config", paths.config_file.empty() ? json::value(nullptr) : json::value(paths.config_file)},
            {"folder", paths.folder},
            {"version", kVersion},
            {"degraded", !s_.problems().empty()},
            {"problems", problems()},
            {"renewing", s_.renewing()},
            {"configuration", s_.configuration()},
            {"reloading", s_.reloading()},
            {"release", release()},
            {"deploy", deploy()},
            {"dashboard", dashboard()},
            {"anchor", part(s_.table().anchor, s_.anchor_pid())},
            {"supervisor", part(s_.table().supervisor, ::getpid())},
            {"keeper", part(s_.table().keeper, s_.keeper_pid())},
            {"gateway", gateway()},
            {"replicas", std::move(replicas)},
            {"events", events(last_events())}};
  }

  json::object releases() {
    json::array all;
    for (const SharedRelease& release : s_.deployment().releases().all()) all.push_back(one(*release));
    return {{"active", release()}, {"deploy", deploy()}, {"releases", std::move(all)}};
  }

  json::array events(const std::vector<plane::Event>& all) {
    json::array list;
    for (const plane::Event& e : all) list.push_back(event(e));
    return list;
  }

 private:
  json::value release() {
    const SharedRelease active = s_.deployment().active();
    return active ? json::value(active->number) : json::value(nullptr);
  }

  // What is under way.
  json::value deploy() {
    const auto& rollout = s_.deployment().releases().rollout;
    if (!rollout) return nullptr;
    return json::object{{"release", rollout->to},
                        {"from", rollout->from},
                        {"stage", supervise::name_of(rollout->stage)},
                        {"progress", s_.deployment().progress()},
                        {"why", text_or_null(rollout->why)}};
  }

  static json::object one(const Release& release) {
    json::array command;
    for (const std::string& word : release.launch.command) command.emplace_back(word);
    return {{"release", release.number},
            {"what", release.what},
            {"by", release.by},
            {"at", format_rfc3339(release.at)},
            {"outcome", name_of(release.outcome)},
            {"why", text_or_null(release.why)},
            {"ended", release.ended ? json::value(format_rfc3339(*release.ended)) : json::value(nullptr)},
            {"command", std::move(command)}};
  }

  std::string wall(Instant t) const { return format_rfc3339(wall_ - (now_ - t)); }

  std::vector<plane::Event> last_events() {
    constexpr std::uint64_t kShown = 20;
    const std::uint64_t next = s_.table().log.next_number();
    return s_.table().log.read(next > kShown ? next - kShown : 1).events;
  }

  json::array problems() {
    json::array all;
    for (const std::string& problem : s_.problems()) all.emplace_back(problem);
    return all;
  }

  json::value dashboard() {
    const std::uint32_t port = s_.table().header.dashboard_port;
    if (port == 0) return nullptr;
    const auto& configured = s_.service().config.dashboard;
    config::Address at{std::string(config::kDashboardIp), static_cast<std::uint16_t>(port)};
    if (configured && configured->at) at.ip = configured->at->ip;
    return json::value("http://" + at.text());
  }

  static json::object part(const plane::Seqlock<plane::Part>& record, pid_t pid) {
    return {{"pid", number_or_null(static_cast<std::uint64_t>(pid))},
            {"starts", record.load().value_or(plane::Part{}).starts}};
  }

  static json::object outcomes(const plane::ServiceCounters& c) {
    const auto of = [&c](plane::Outcome outcome) { return number(c.outcomes[static_cast<std::size_t>(outcome)]); };
    return {{"good", of(plane::Outcome::kGood)},
            {"bad", of(plane::Outcome::kBad)},
            {"excluded", of(plane::Outcome::kExcluded)},
            {"aborted", of(plane::Outcome::kAborted)}};
  }

  json::object gateway() {
    const plane::ServiceCounters& c = s_.table().service;
    return {{"pid", number_or_null(static_cast<std::uint64_t>(s_.gateway_pid()))},
            {"starts", s_.table().gateway.load().value_or(plane::Part{}).starts},
            {"requests", number(c.requests)},
            {"errors", number(c.errors)},
            {"client_errors", number(c.client_errors)},
            {"replayed", number(c.replayed)},
            {"abandoned", number(c.abandoned)},
            {"unroutable", number(c.unroutable)},
            {"outcomes", outcomes(c)},
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
            {"address", unit.pid() != 0 ? address_of(unit.route()) : json::value(nullptr)},
            {"socket", unit.pid() != 0 && !unit.socket().empty() ? json::value(unit.socket()) : json::value(nullptr)},
            {"state", supervise::name_of(unit.machine().state())},
            {"since", wall(unit.since())},
            {"uptime_s", unit.pid() != 0 ? json::value(seconds(now_ - unit.spawned())) : json::value(nullptr)},
            {"restarts", number(unit.machine().restarts())},
            {"release", s_.endpoints().empty() ? json::value(unit.release()) : json::value(nullptr)},
            {"in_flight", number(plane::total(observed.in_flight))},
            {"requests", number(observed.requests)},
            {"errors", number(observed.errors)},
            {"latency_ms", latency(observed.latency)},
            {"log", unit.log_file()},
            {"weight", unit.wish().percent(kPlainWeight)},
            {"weight_wished", weight_wished(unit.wish())},
            {"held_by", text_or_null(unit.wish().stopped_by)},
            {"drained_by", text_or_null(unit.wish().drained_by)},
            {"note", unready && verdict ? verdict->reason : ""}};
  }

  static json::value address_of(const plane::Route& route) {
    const net::Address address = gateway::address_of(route);
    return address.is_set() ? json::value(address.text()) : json::value(nullptr);
  }

  static json::value weight_wished(const Wish& wish) {
    return wish.weight ? json::value(*wish.weight) : json::value(nullptr);
  }

  // The keys of a replica, as far as they say something about a server elsewhere.
  json::object endpoint(std::size_t slot) {
    const Endpoint& endpoint = s_.endpoints()[slot];
    const plane::Route& route = endpoint.route();
    const plane::Observed& observed = s_.table().observed[slot];
    const auto verdict = observed.verdict.load();
    return {{"name", endpoint.name()},
            {"pid", nullptr},
            {"port", nullptr},
            {"address", address_of(route)},
            {"socket", nullptr},
            {"state", supervise::name_of(static_cast<supervise::State>(route.state))},
            {"since", wall(Instant{Duration(route.since_ns)})},
            {"uptime_s", nullptr},
            {"restarts", 0},
            {"release", nullptr},
            {"in_flight", number(plane::total(observed.in_flight))},
            {"requests", number(observed.requests)},
            {"errors", number(observed.errors)},
            {"latency_ms", latency(observed.latency)},
            {"log", nullptr},
            {"weight", route.weight},
            {"weight_wished", weight_wished(endpoint.wish())},
            {"held_by", nullptr},
            {"drained_by", text_or_null(endpoint.wish().drained_by)},
            {"note", verdict && verdict->incarnation == route.incarnation ? verdict->reason : ""}};
  }

  json::object event(const plane::Event& e) {
    const std::string name = s_.name_of_slot(e.replica);
    return {{"number", number(e.number)},
            {"at", wall(e.at())},
            {"kind", plane::name_of(e.kind)},
            {"replica", name.empty() ? json::value(nullptr) : json::value(name)},
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
  const std::uint64_t limit = std::min<std::uint64_t>(query_number(query, "limit", 1000), plane::EventRing::kSize);
  const auto read = supervisor.table().log.read(after, limit);
  const bool from_the_oldest = after == 0;
  return json_response({{"events", Reporter(supervisor).events(read.events)},
                        {"next", number(read.next)},
                        {"lost", number(from_the_oldest ? 0 : read.lost)}});
}

// The body as an object; an empty one when it is none.
json::object object_of(const std::string& body) {
  boost::system::error_code bad;
  json::value value = json::parse(body, bad);
  return !bad && value.is_object() ? std::move(value.as_object()) : json::object();
}

std::string text_in(const json::object& object, std::string_view key, std::string_view otherwise = "") {
  const json::value* const value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string(otherwise);
}

std::int64_t number_in(const json::object& object, std::string_view key) {
  const json::value* const value = object.if_contains(key);
  return value != nullptr && value->is_int64() ? value->as_int64() : 0;
}

// Never empty: who wished something is also how it is known that somebody did.
std::string who_asks(const std::string& body) {
  const std::string who = text_in(object_of(body), "by");
  return who.empty() ? "the control socket" : who;
}

// Only time that is to come, but for the moment the request took, and no more than a month of it.
bool may_be_maintenance(std::int64_t from, std::int64_t to) {
  constexpr std::int64_t kMoment = 60, kMost = 31 * 86'400;
  const std::int64_t now = std::chrono::floor<std::chrono::seconds>(net::wall_time()).time_since_epoch().count();
  return from >= now - kMoment && from < to && to - from <= kMost;
}

// What commands do on their own, and the record should know.
http::Response note_event(Supervisor& supervisor, const std::string& body) {
  const json::object object = object_of(body);
  const std::string kind = text_in(object, "kind");
  using Kind = plane::EventKind;
  for (const Kind known :
       {Kind::kBackupTaken, Kind::kBackupFailed, Kind::kRestored, Kind::kMaintenancePlanned, Kind::kMaintenanceEnded,
        Kind::kIncidentAcknowledged, Kind::kIncidentNoted, Kind::kIncidentsMerged, Kind::kCorrected}) {
    if (plane::name_of(known) != kind) continue;
    // What a person says of the record is kept whole, or not at all.
    if (known >= Kind::kIncidentAcknowledged && text_in(object, "text").size() >= sizeof(plane::Event::text))
      return http::error_response(
          400, "the text has at most " + std::to_string(sizeof(plane::Event::text) - 1) + " bytes", "too_long");
    if (known == Kind::kMaintenancePlanned && !may_be_maintenance(number_in(object, "a"), number_in(object, "b")))
      return http::error_response(400, "maintenance is declared before it begins, and for 31 days at most", "no_time");
    plane::Event event{.kind = known, .a = number_in(object, "a"), .b = number_in(object, "b")};
    event.set_text(text_in(object, "text"));
    supervisor.note(event);
    return json_response(json::object(), 202);
  }
  return http::error_response(
      400,
      "kind must be backup_taken, backup_failed, restored, maintenance_planned, maintenance_ended, "
      "incident_acknowledged, incident_noted, incidents_merged or corrected",
      "no_such_kind");
}

http::Response upgrade(Supervisor& supervisor, const std::string& body) {
  const std::string program = text_in(object_of(body), "program");
  if (!program.starts_with('/') || ::access(program.c_str(), X_OK) != 0)
    return http::error_response(400, "program must be the absolute path of an executable file", "no_program");
  const auto wished = supervisor.wish_upgrade(program);
  if (wished) return json_response(json::object(), 202);
  return http::error_response(409, wished.error().text(),
                              wished.error().code() == Code::kUnavailable ? "no_anchor" : "not_now");
}

http::Response answer_to(const Result<ReleaseNumber>& begun) {
  if (begun) return json_response({{"release", *begun}}, 202);
  const Code code = begun.error().code();
  return code == Code::kExists     ? http::error_response(409, begun.error().text(), "under_way")
         : code == Code::kInvalid  ? http::error_response(400, begun.error().text(), "nothing_to_deploy")
         : code == Code::kNotFound ? http::error_response(404, begun.error().text(), "no_such_release")
         : code == Code::kRefused  ? http::error_response(409, begun.error().text(), "too_late")
                                   : http::error_response(507, begun.error().text(), "not_kept");
}

std::map<std::string, std::string> texts_in(const json::object& object, std::string_view key) {
  std::map<std::string, std::string> texts;
  const json::value* const value = object.if_contains(key);
  if (value == nullptr || !value->is_object()) return texts;
  for (const auto& [name, text] : value->as_object())
    if (text.is_string()) texts[name] = std::string(text.as_string());
  return texts;
}

// The keeper's, about guarded files: {"known": {PATH: DIGEST}, "release": N}, or {"path": …, "what":
// "placed"|"put_back"|"lost"| "unkept", "digest": …, "why": …, "displaced": …, "good_until_ns": …, "inode": …, "ns":
// …}.
http::Response hear_of_file(Supervisor& supervisor, const std::string& body) {
  const json::object object = object_of(body);
  Deployment& deployment = supervisor.deployment();
  if (object.contains("known")) {
    deployment.files_known(static_cast<ReleaseNumber>(number_in(object, "release")), texts_in(object, "known"));
    return json_response(json::object(), 202);
  }
  const std::string path = text_in(object, "path"), what = text_in(object, "what");
  const auto note = [&](plane::EventKind kind, const std::string& text, std::int64_t a = 0) {
    plane::Event event{.kind = kind, .a = a};
    event.set_text(text);
    supervisor.note(event);
  };
  if (what == "placed") {
    deployment.file_placed(path, text_in(object, "digest"));
    note(plane::EventKind::kFilePutBack, path + " is the one of the present release");
    return json_response(json::object(), 202);
  }
  const std::string displaced = text_in(object, "displaced");
  note(plane::EventKind::kFileDamaged,
       path + ": " + text_in(object, "why") + (displaced.empty() ? "" : "; what was there is " + displaced));
  if (what != "put_back") return json_response(json::object(), 202);
  note(plane::EventKind::kFilePutBack, path, number_in(object, "ns"));
  deployment.file_was_damaged(path, Instant{Duration(number_in(object, "good_until_ns"))}, net::boot_time(),
                              static_cast<std::uint64_t>(number_in(object, "inode")));
  return json_response(json::object(), 202);
}

// The body: {"by": …, "config": the configuration as text, "files": {PATH: DIGEST}, "again": true}. What of it no
// process is started from is not looked at.
http::Response deploy(Supervisor& supervisor, const std::string& body) {
  const json::object object = object_of(body);
  const auto config = config::parse(text_in(object, "config"));
  if (!config) return http::error_response(400, config::format(config.error().front(), "config"), "no_config");
  if (!config->replicas.endpoints.empty())
    return http::error_response(400, "the configuration has no command: there is nothing to deploy", "no_command");
  const json::value* const again = object.if_contains("again");
  return answer_to(supervisor.deployment().deploy({.launch = static_cast<const config::Launch&>(config->replicas),
                                                   .files = texts_in(object, "files"),
                                                   .again = again != nullptr && again->is_bool() && again->as_bool()},
                                                  who_asks(body)));
}

http::Response roll_back(Supervisor& supervisor, const std::string& body) {
  const std::int64_t number = number_in(object_of(body), "release");
  const auto release = number > 0 ? std::optional(static_cast<ReleaseNumber>(number)) : std::nullopt;
  return answer_to(supervisor.deployment().roll_back(release, who_asks(body)));
}

// The body: {"by": …, "config": the configuration as text, "only_ask": true}.
http::Response reload(Supervisor& supervisor, const std::string& body) {
  const json::object object = object_of(body);
  auto config = config::parse(text_in(object, "config"));
  if (!config) return http::error_response(400, config::format(config.error().front(), "config"), "no_config");
  const json::value* const only_ask = object.if_contains("only_ask");
  const bool asks = only_ask != nullptr && only_ask->is_bool() && only_ask->as_bool();
  const auto plan = supervisor.wish_reload(*std::move(config), who_asks(body), asks);
  if (!plan) {
    const Code code = plan.error().code();
    return code == Code::kUnavailable ? http::error_response(503, plan.error().text(), "succession")
           : code == Code::kExists    ? http::error_response(409, plan.error().text(), "taken")
           : code == Code::kRefused   ? http::error_response(409, plan.error().text(), "not_in_place")
                                      : http::error_response(507, plan.error().text(), "not_begun");
  }
  json::array changes;
  for (const config::Change& change : plan->changes) {
    changes.push_back(json::object{
        {"key", change.key}, {"before", text_or_null(change.before)}, {"after", text_or_null(change.after)}});
  }
  return json_response({{"configuration", digest_of(plan->config)}, {"changes", std::move(changes)}}, asks ? 200 : 202);
}

// Deploys and rollbacks.
http::Response release_order(Supervisor& supervisor, std::string_view path, const std::string& body) {
  if (!supervisor.endpoints().empty())
    return http::error_response(409, "the endpoints run elsewhere: nobody here deploys them", "runs_elsewhere");
  if (supervisor.phase() == Phase::kStopping) return http::error_response(409, "the service is going down", "stopping");
  if (supervisor.phase() == Phase::kLeaving || !supervisor.inherited())
    return http::error_response(503, "another supervisor is taking over: ask again", "succession");
  if (supervisor.reloading()) return http::error_response(409, "a reload is under way: ask again", "under_way");
  return path == "/v1/deploy" ? deploy(supervisor, body) : roll_back(supervisor, body);
}

// To a person's wish that was done.
http::Response answer_to(const Result<>& kept) {
  if (kept) return json_response(json::object(), 202);
  return http::error_response(507, "done, but it would be forgotten at the next start: " + kept.error().text(),
                              "not_kept");
}

constexpr int kWeightMax = config::bounds::kWeight.max;

// drain, undrain and weight: of replicas and of servers elsewhere. nullopt: it is none of these orders.
std::optional<http::Response> order_share(Supervisor& supervisor, const std::string& name, std::string_view order,
                                          const std::string& body) {
  const json::object object = object_of(body);
  const std::string who = who_asks(body);
  plane::Event event;
  event.set_text(who);
  Result<> kept;
  if (order == "drain") {
    event.kind = plane::EventKind::kDrainWished;
    kept = supervisor.wish_share(name, [&](Wish& wish) { wish.drained_by = who; }, event);
  } else if (order == "undrain") {
    event.kind = plane::EventKind::kUndrainWished;
    kept = supervisor.wish_share(name, [](Wish& wish) { wish.drained_by.clear(); }, event);
  } else if (order == "weight") {
    event.kind = plane::EventKind::kWeightWished;
    const json::value* const weight = object.if_contains("weight");
    const bool back = weight != nullptr && weight->is_null();
    const bool good =
        weight != nullptr && weight->is_int64() && weight->as_int64() >= 0 && weight->as_int64() <= kWeightMax;
    if (!back && !good)
      return http::error_response(400,
                                  "weight is a whole percentage from 0 to " + std::to_string(kWeightMax) +
                                      ", or null for the one of the configuration",
                                  "no_weight");
    event.a = good ? weight->as_int64() : -1;
    kept = supervisor.wish_share(
        name, [&](Wish& wish) { wish.weight = good ? std::optional(static_cast<int>(event.a)) : std::nullopt; }, event);
  } else {
    return std::nullopt;
  }
  return answer_to(kept);
}

http::Response order_replica(Supervisor& supervisor, std::string_view rest, const std::string& body) {
  const auto slash = rest.find('/');
  const std::string name(rest.substr(0, slash));
  const std::string_view order = slash == std::string_view::npos ? "" : rest.substr(slash + 1);
  const bool elsewhere =
      std::ranges::find(supervisor.endpoints(), name, &Endpoint::name) != supervisor.endpoints().end();
  ReplicaUnit* const unit = supervisor.find(name);
  if (unit == nullptr && !elsewhere)
    return http::error_response(404, "there is no replica \"" + name + "\"", "no_such_replica");
  if (supervisor.phase() == Phase::kStopping) return http::error_response(409, "the service is going down", "stopping");
  if (!supervisor.inherited()) return http::error_response(503, "the supervisor is just beginning", "beginning");
  if (supervisor.phase() == Phase::kLeaving)
    return http::error_response(503, "another supervisor is taking over: ask again", "succession");
  if (unit != nullptr && supervisor.is_surplus(*unit))
    return http::error_response(409, name + " is being taken away by a reload (replicas.count)", "surplus");
  if (auto answer = order_share(supervisor, name, order, body)) return std::move(*answer);
  const std::string who = who_asks(body);
  if (elsewhere)
    return http::error_response(409, name + " runs elsewhere: nobody here starts, stops or restarts it",
                                "runs_elsewhere");
  Result<> kept;
  if (order == "stop") {
    kept = unit->stop(who);
  } else if (order == "start") {
    kept = unit->start(who);
  } else if (order == "restart") {
    kept = unit->restart(who);
  } else {
    return http::error_response(404,
                                "a replica can be told to start, stop or restart, and what share of the requests it "
                                "gets: drain, undrain, weight",
                                "no_such_order");
  }
  return answer_to(kept);
}

http::Response answer(Supervisor& supervisor, const http::Request& request) {
  const std::string_view path = request.head.path();
  constexpr std::string_view kReplicas = "/v1/replicas/";
  const bool events = path == "/v1/events";  // both
  const bool release = path == "/v1/deploy" || path == "/v1/rollback";
  const bool post = path == "/v1/down" || path == "/v1/upgrade" || path == "/v1/reload" || path == "/v1/files" ||
                    release || path.starts_with(kReplicas);
  if (path != "/v1/status" && path != "/v1/releases" && !events && !post)
    return http::error_response(404, "no such path", "not_found");
  const bool posted = request.head.method() == "POST";
  if (posted ? !post && !events : post || request.head.method() != "GET")
    return http::error_response(405, post ? "use POST" : "use GET", "method");
  if (path == "/v1/status") return json_response(Reporter(supervisor).status());
  if (path == "/v1/releases") return json_response(Reporter(supervisor).releases());
  if (release) return release_order(supervisor, path, request.body);
  if (events && posted) return note_event(supervisor, request.body);
  if (events) return events_response(supervisor, request.head.query());
  if (path == "/v1/files") {
    if (supervisor.inherited() && supervisor.phase() != Phase::kLeaving && supervisor.endpoints().empty())
      return hear_of_file(supervisor, request.body);
    return http::error_response(503, "another supervisor is taking over: ask again", "succession");
  }
  if (path == "/v1/reload") return reload(supervisor, request.body);
  if (path == "/v1/upgrade") return upgrade(supervisor, request.body);
  if (path == "/v1/down") {
    if (supervisor.phase() == Phase::kLeaving)
      return http::error_response(503, "another supervisor is taking over: ask again", "succession");
    supervisor.wish_down(who_asks(request.body));
    return json_response(json::object(), 202);
  }
  return order_replica(supervisor, path.substr(kReplicas.size()), request.body);
}

Task<http::Response> handle(Supervisor& supervisor, http::Request& request) { co_return answer(supervisor, request); }

}  // namespace

http::Server::Handler control_handler(Supervisor& supervisor) {
  return [&supervisor](http::Request& request) { return handle(supervisor, request); };
}

}  // namespace nines::app
