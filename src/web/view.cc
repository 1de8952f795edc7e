#include "web/view.h"

#include <algorithm>
#include <array>

namespace nines::web {
namespace {

// Both clocks at one moment: turns the one into the other.
class Clock {
 public:
  Clock(Instant now, WallTime wall) : now_(now), wall_(wall) {}

  // nullopt: no time this machine has seen. What is in shared memory may be anything.
  std::optional<WallTime> wall(std::int64_t boot_ns) const {
    if (boot_ns <= 0 || Duration(boot_ns) > now_.since_boot + kAhead) return std::nullopt;
    return wall_ - (now_ - Instant{Duration(boot_ns)});
  }

  bool is_ahead(std::int64_t boot_ns) const { return Instant{Duration(boot_ns)} > now_; }

 private:
  static constexpr Duration kAhead = 1min;  // written after the reader took the time
  Instant now_;
  WallTime wall_;
};

template <std::size_t N>
std::string text_of(const char (&field)[N]) {
  return {field, ::strnlen(field, N)};
}

// A gauge that was decremented once too often, by a process that died between two of its writes, is 0.
std::uint64_t gauge(const plane::Gauge& both) {
  const std::uint64_t sum = plane::total(both);
  return sum > (1ULL << 63) ? 0 : sum;
}

LatencyView latency_of(const plane::LatencyHistogram& histogram) {
  const auto counts = histogram.snapshot();
  return {.p50 = plane::quantile(counts, 0.5), .p99 = plane::quantile(counts, 0.99), .counts = counts};
}

// The numbers in plane::Route::state and the names of the JSON contract.
std::string_view replica_state(std::uint8_t state) {
  constexpr std::array<std::string_view, 7> kNames = {"waiting",  "starting", "ready",  "unready",
                                                      "draining", "stopping", "stopped"};
  return state < kNames.size() ? kNames[state] : "unknown";
}

class Viewer {
 public:
  Viewer(const plane::Table& table, const Facts& facts, Instant now, WallTime wall)
      : table_(table), facts_(facts), clock_(now, wall) {
    view_.taken = wall;
  }

  View take() && {
    for (std::size_t slot = 0; slot < plane::kReplicasMax; ++slot) add_replica(slot);
    if (!facts_.alone) add_part("anchor", table_.anchor);
    if (!facts_.alone) add_part("supervisor", table_.supervisor);
    add_part("gateway", table_.gateway);
    if (!facts_.alone) add_part("keeper", table_.keeper);
    add_gateway();
    add_log();
    view_.keeps_backups = facts_.keeps_backups;
    view_.backups = facts_.backups;
    view_.ledger = facts_.ledger;
    view_.hosts = facts_.hosts;
    add_service();
    return std::move(view_);
  }

 private:
  // When something got into the state it is in, where the answer is there.
  using Since = std::optional<WallTime>;

  bool alive(std::uint32_t pid, std::uint64_t start_time) const {
    return pid != 0 && (!facts_.alive || facts_.alive(pid, start_time));
  }

  void add_replica(std::size_t slot);
  void judge(ReplicaView& replica, const plane::Route& route, const std::optional<plane::Verdict>& verdict) const;
  void add_part(std::string_view name, const plane::Seqlock<plane::Part>& record);
  void add_gateway();
  void add_log();
  void add_service();

  std::string name_of_slot(std::uint16_t slot) const;
  const PartView& part(std::string_view name) const { return *std::ranges::find(view_.parts, name, &PartView::name); }
  std::string advice(const PartView& part) const;
  std::string replicas_lacking() const;
  Since gone_since(const PartView& part) const;
  Since down_since(std::size_t enough) const;
  Since degraded_since(std::size_t enough) const;
  Since up_since() const;

  const plane::Table& table_;
  const Facts& facts_;
  const Clock clock_;
  View view_;
  // Of each of view_.replicas: since when it takes requests, or takes none.
  std::vector<Since> turned_;
  std::vector<plane::Event> log_;
};

void Viewer::add_replica(std::size_t slot) {
  const auto route = table_.routes[slot].load();
  if (route && route->name[0] == '\0') return;
  const plane::Observed& observed = table_.observed[slot];
  ReplicaView replica{.slot = slot,
                      .name = route ? text_of(route->name) : "slot " + std::to_string(slot),
                      .known = route.has_value(),
                      .note = "its record cannot be read",
                      .in_flight = gauge(observed.in_flight),
                      .requests = observed.requests,
                      .errors = observed.errors,
                      .connect_failures = observed.connect_failures,
                      .gateway_errors = observed.gateway_errors,
                      .ejections = observed.ejections,
                      .hangs = observed.hangs,
                      .latency = latency_of(observed.latency)};
  Since turned;
  if (route) {
    const auto verdict = observed.verdict.load();
    judge(replica, *route, verdict);
    const bool by_verdict = verdict && verdict->incarnation == route->incarnation &&
                            route->wanted == plane::Wanted::kServe && verdict->health != plane::Health::kUnknown;
    if (replica.state != "unknown") turned = clock_.wall(by_verdict ? verdict->since_ns : route->since_ns);
  }
  view_.replicas.push_back(std::move(replica));
  turned_.push_back(turned);
}

// All sockets are in the service's run folder: their names tell them apart.
std::string place_of(const plane::Route& route) {
  const std::string host = text_of(route.host), socket = text_of(route.socket);
  if (!socket.empty()) return socket.substr(socket.rfind('/') + 1);
  if (route.port == 0) return "";
  std::string port = std::to_string(route.port);
  if (host.empty()) return port;
  return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + port;
}

// The supervisor's book and the gateway's verdict together. Where they differ, the verdict is what the gateway goes by
// and the book is late: its writer may be dead.
void Viewer::judge(ReplicaView& replica, const plane::Route& route,
                   const std::optional<plane::Verdict>& verdict) const {
  const bool elsewhere = route.host[0] != '\0';
  const bool there = (route.pid != 0 || elsewhere) && route.wanted != plane::Wanted::kAbsent;
  const bool wanted = route.wanted == plane::Wanted::kServe;
  const bool current = verdict && verdict->incarnation == route.incarnation;
  const auto health = current ? verdict->health : plane::Health::kUnknown;
  replica.state = replica_state(route.state);
  replica.since = clock_.wall(route.since_ns);
  replica.restarts = route.restarts;
  replica.crashes_in_row = route.crashes_in_row;
  replica.weight = route.weight;
  replica.held = route.held != 0;
  replica.note = replica.held ? "stopped by a person" : "";
  if (!there) return;
  if (!elsewhere && !alive(route.pid, route.start_time)) {
    replica.state = "unknown";
    replica.note = "its process " + std::to_string(route.pid) + " is gone, and the supervisor has not said so yet";
    return;
  }
  if (!elsewhere) replica.pid = route.pid;
  if (!elsewhere) replica.spawned = clock_.wall(route.spawned_ns);
  replica.at = place_of(route);
  replica.ejected = current && clock_.is_ahead(verdict->ejected_until_ns);
  const bool left_out = replica.ejected && table_.header.panic == 0;
  replica.takes_requests = wanted && health == plane::Health::kUp && !left_out && route.weight > 0;
  if (!wanted) return;
  if (!verdict) replica.note = "the gateway's verdict cannot be read";
  if (route.weight == 0) replica.note = "its weight is 0";
  if (replica.ejected) replica.note = "ejected: " + std::string(plane::words_of(verdict->cause));
  if (health == plane::Health::kDown) replica.note = text_of(verdict->reason);
  const bool turned_down = health == plane::Health::kDown && replica.state == "ready";
  const bool turned_up = health == plane::Health::kUp && replica.state == "unready";
  if (!turned_down && !turned_up) return;
  replica.state = turned_up ? "ready" : "unready";
  replica.since = clock_.wall(verdict->since_ns);
}

void Viewer::add_part(std::string_view name, const plane::Seqlock<plane::Part>& record) {
  PartView part{.name = name};
  if (const auto read = record.load()) {
    part.starts = read->starts;
    part.state = read->pid == 0                       ? PartState::kAbsent
                 : alive(read->pid, read->start_time) ? PartState::kRunning
                                                      : PartState::kGone;
    if (part.state == PartState::kRunning) part.pid = read->pid;
    part.since = part.state == PartState::kGone ? std::nullopt : clock_.wall(read->since_ns);
  }
  view_.parts.push_back(part);
}

void Viewer::add_gateway() {
  const plane::ServiceCounters& counters = table_.service;
  view_.gateway = {.requests = counters.requests,
                   .errors = counters.errors,
                   .client_errors = counters.client_errors,
                   .replayed = counters.replayed,
                   .abandoned = counters.abandoned,
                   .unroutable = counters.unroutable,
                   .connections_refused = counters.connections_refused,
                   .connections = gauge(counters.connections),
                   .waiting = gauge(counters.waiting),
                   .rejected_queue_full = counters.rejected_queue_full,
                   .rejected_queue_time = counters.rejected_queue_time,
                   .retries_denied = counters.retries_denied,
                   .replays_after_exit = counters.replays_after_exit,
                   .streams = counters.streams,
                   .streams_interrupted = counters.streams_interrupted,
                   .upgrades = counters.upgrades,
                   .access_lines_dropped = counters.access_lines_dropped,
                   .panic = table_.header.panic != 0,
                   // Not by the gateway's part: while one replaces another it may be the other one that serves.
                   .serving = alive(table_.header.gateway_serving, 0),
                   .latency = latency_of(counters.latency)};
  std::ranges::copy(counters.timeouts, view_.gateway.timeouts.begin());
}

std::string Viewer::name_of_slot(std::uint16_t slot) const {
  if (slot == plane::kNoReplica) return {};
  const auto found = std::ranges::find(view_.replicas, slot, &ReplicaView::slot);
  return found != view_.replicas.end() ? found->name : "slot " + std::to_string(slot);
}

void Viewer::add_log() {
  log_ = table_.log.read(1).events;
  for (plane::Event& event : log_) event.text[sizeof event.text - 1] = '\0';
  LogView& log = view_.log;
  log.written = table_.log.next_number() - 1;
  log.lost = table_.header.log_lost;
  log.waiting = log.written - std::min<std::uint64_t>(log.written, table_.header.log_taken);
  for (auto event = log_.rbegin(); event != log_.rend() && log.last.size() < kEventsShown; ++event) {
    log.last.push_back({.number = event->number,
                        .at = clock_.wall(event->at_ns),
                        .mood = plane::mood_of(*event),
                        .words = plane::describe(*event, name_of_slot(event->replica))});
  }
}

// What is missing, what it means, and what to do.
std::string Viewer::advice(const PartView& lacking) const {
  const std::string name(lacking.name);
  if (facts_.alone) return "the " + name + " is gone: start it again";
  if (lacking.state == PartState::kUnknown) return "the record about the " + name + " cannot be read";
  const bool anchor = part("anchor").state == PartState::kRunning;
  const bool supervisor = part("supervisor").state == PartState::kRunning;
  const std::string gone = "the " + name + " is " + (lacking.state == PartState::kGone ? "gone" : "not running") + ": ";
  if (name == "anchor") return gone + "`nines upgrade` puts one back";
  if (name == "supervisor") {
    return gone + (anchor ? "the anchor starts another"
                          : "nobody restarts replicas, and no anchor is there to start another: `nines up` does");
  }
  return gone + (supervisor ? "the supervisor starts another" : "it comes back once there is a supervisor again");
}

std::string Viewer::replicas_lacking() const {
  constexpr std::size_t kNamed = 5;
  std::size_t lacking = 0;
  std::string names;
  for (const ReplicaView& replica : view_.replicas) {
    if (replica.takes_requests || replica.held || replica.weight == 0) continue;
    if (++lacking > kNamed) continue;
    names += (names.empty() ? "" : ", ") + replica.name + " (" + std::string(replica.state) + ")";
  }
  if (lacking == 0) return {};
  if (lacking > kNamed) names += " and " + std::to_string(lacking - kNamed) + " more";
  return std::to_string(lacking) + " of " + std::to_string(view_.replicas.size()) +
         (view_.replicas.size() == 1 ? " replica" : " replicas") + (lacking == 1 ? " takes" : " take") +
         " no requests: " + names;
}

void Viewer::add_service() {
  ServiceView& service = view_.service;
  service = {.name = facts_.service,
             .version = facts_.version,
             .folder = facts_.folder,
             .listen = facts_.listen,
             .objective = facts_.objective};
  for (const ReplicaView& replica : view_.replicas) {
    service.taking_requests += replica.takes_requests ? 1 : 0;
    service.stopped += replica.held ? 1 : 0;
  }
  for (const PartView& part : view_.parts) {
    if (part.state != PartState::kRunning) service.lacking.push_back(advice(part));
  }
  if (!view_.gateway.serving && part("gateway").state == PartState::kRunning)
    service.lacking.emplace_back("the gateway does not accept connections: it is starting or leaving");
  if (auto replicas = replicas_lacking(); !replicas.empty()) service.lacking.push_back(std::move(replicas));
  if (view_.replicas.empty()) service.lacking.emplace_back("there are no replicas");

  const std::size_t wanted = view_.replicas.size() - service.stopped;
  const std::size_t enough = std::max<std::size_t>(1, std::min(facts_.enough, wanted));
  if (wanted == 0 && service.stopped > 0)
    service.lacking.emplace_back("every replica was stopped by a person: `nines start REPLICA` starts one");
  const bool down = !view_.gateway.serving || service.taking_requests < enough;
  service.state = down ? ServiceState::kDown : service.lacking.empty() ? ServiceState::kUp : ServiceState::kDegraded;
  service.since = down ? down_since(enough) : service.lacking.empty() ? up_since() : degraded_since(enough);
}

// Since when this part has not been there; nullopt: neither its record nor the log says.
Viewer::Since Viewer::gone_since(const PartView& part) const {
  if (part.since) return part.since;
  const auto kind = plane::event_kind(std::string(part.name) + "_exited");
  for (auto event = log_.rbegin(); kind && event != log_.rend(); ++event) {
    if (event->kind == *kind) return clock_.wall(event->at_ns);
  }
  return std::nullopt;
}

// Times of the replicas that take requests, or of those that take none, in order; nullopt first, since it may have been
// at any time.
std::vector<std::optional<WallTime>> turned(const std::vector<ReplicaView>& replicas,
                                            const std::vector<std::optional<WallTime>>& times, bool takes_requests) {
  std::vector<std::optional<WallTime>> found;
  for (std::size_t i = 0; i < replicas.size(); ++i) {
    if (replicas[i].takes_requests == takes_requests) found.push_back(times[i]);
  }
  std::ranges::sort(found);
  return found;
}

// The first moment at which too few took requests, or at which the gateway was gone.
Viewer::Since Viewer::down_since(std::size_t enough) const {
  Since earliest;
  if (!view_.gateway.serving) {
    earliest = gone_since(part("gateway"));
    if (!earliest) return std::nullopt;
  }
  if (view_.service.taking_requests >= enough) return earliest;
  const auto idle = turned(view_.replicas, turned_, false);
  // Without replicas it never was up; and with one that turned nobody knows when, nobody knows.
  if (view_.replicas.size() < enough || !idle.front()) return std::nullopt;
  const Since too_few = idle[view_.replicas.size() - enough];
  return earliest ? std::min(earliest, too_few) : too_few;
}

// The first moment from which on something was lacking and yet enough took requests.
Viewer::Since Viewer::degraded_since(std::size_t enough) const {
  std::vector<Since> lacks;
  for (std::size_t i = 0; i < view_.replicas.size(); ++i) {
    const ReplicaView& replica = view_.replicas[i];
    if (!replica.takes_requests && !replica.held && replica.weight > 0) lacks.push_back(turned_[i]);
  }
  for (const PartView& part : view_.parts) {
    if (part.state != PartState::kRunning) lacks.push_back(gone_since(part));
  }
  const auto serving = turned(view_.replicas, turned_, true);
  const std::vector<Since> needed = {lacks.empty() ? Since() : std::ranges::min(lacks), serving[enough - 1],
                                     part("gateway").since};
  if (lacks.empty() || std::ranges::any_of(needed, [](const Since& since) { return !since; })) return std::nullopt;
  return std::ranges::max(needed);
}

// The last moment at which something that is wanted came to be there.
Viewer::Since Viewer::up_since() const {
  std::vector<Since> came;
  for (std::size_t i = 0; i < view_.replicas.size(); ++i) came.push_back(turned_[i]);
  for (const PartView& part : view_.parts) came.push_back(part.since);
  if (std::ranges::any_of(came, [](const Since& since) { return !since; })) return std::nullopt;
  return std::ranges::max(came);
}

}  // namespace

std::string_view name_of(ServiceState state) {
  switch (state) {
    case ServiceState::kUp: return "up";
    case ServiceState::kDegraded: return "degraded";
    case ServiceState::kDown: return "down";
  }
  return "unknown";
}

std::string_view name_of(PartState state) {
  switch (state) {
    case PartState::kRunning: return "running";
    case PartState::kGone: return "gone";
    case PartState::kAbsent: return "not running";
    case PartState::kUnknown: return "unknown";
  }
  return "unknown";
}

View view_of(const plane::Table& table, const Facts& facts, Instant now, WallTime wall) {
  return Viewer(table, facts, now, wall).take();
}

}  // namespace nines::web
