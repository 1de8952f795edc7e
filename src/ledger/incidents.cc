#include "ledger/incidents.h"

#include <algorithm>

namespace nines::ledger {
namespace {

// What the third number of an exit means (plane::ExitIs), which this module may not include.
constexpr std::int64_t kOrdered = 0, kOutOfMemory = 2, kGivenUp = 3;

WallTime seconds(std::int64_t since_1970) { return WallTime(std::chrono::seconds(since_1970)); }

void add_once(std::vector<std::string>& names, const std::string& name) {
  if (!name.empty() && std::ranges::find(names, name) == names.end()) names.push_back(name);
}

// Causes may come before what they cause.
void note_row(Incident& incident, std::uint64_t seq) {
  if (incident.rows.size() >= Incidents::kRowsOfOne) return;
  const auto place = std::ranges::lower_bound(incident.rows, seq);
  if (place == incident.rows.end() || *place != seq) incident.rows.insert(place, seq);
}

// A sentence's beginning is the caller's: "language-id-2 exited: killed by SIGKILL (9)".
std::string words_of(const Row& row) {
  const Event& event = row.event;
  std::string words = event.target.empty() ? event.kind : event.target + " " + event.kind;
  std::ranges::replace(words, '_', ' ');
  return event.text.empty() ? words : words + ": " + event.text;
}

struct Known {
  std::string_view kind;
  Cause cause;
};
// What may be the cause of an incident and is told by a kind alone.
constexpr Known kOfReplicas[] = {{"hung", Cause::kHang},
                                 {"canary_failed", Cause::kCanary},
                                 {"ejected", Cause::kUpstream},
                                 {"out_of_memory", Cause::kMemory}};

constexpr std::string_view kAcknowledged = "incident_acknowledged", kNoted = "incident_noted",
                           kMerged = "incidents_merged";

}  // namespace

std::string_view name_of(Cause cause) {
  switch (cause) {
    case Cause::kUnknown: return "unknown";
    case Cause::kUpstream: return "upstream";
    case Cause::kCheck: return "check";
    case Cause::kCanary: return "canary";
    case Cause::kHang: return "hang";
    case Cause::kExit: return "exit";
    case Cause::kMemory: return "oom";
    case Cause::kGateway: return "gateway";
    case Cause::kDeploy: return "deploy";
    case Cause::kStopped: return "stopped";
    case Cause::kHost: return "host";
  }
  return "unknown";
}

std::string_view name_of(Incident::Severity severity) {
  switch (severity) {
    case Incident::Severity::kNone: return "unnoticed";
    case Incident::Severity::kDegraded: return "degraded";
    case Incident::Severity::kDown: return "down";
  }
  return "unknown";
}

std::span<const std::string_view> Incidents::kinds() {
  static constexpr std::string_view kKinds[] = {"service_down",
                                                "service_degraded",
                                                "service_up",
                                                "ready",
                                                "canary_passed",
                                                "unejected",
                                                "exited",
                                                "unready",
                                                "hung",
                                                "canary_failed",
                                                "ejected",
                                                "out_of_memory",
                                                "gateway_exited",
                                                "deploy_began",
                                                "deploy_done",
                                                "deploy_undone",
                                                "service_stopping",
                                                "host_down",
                                                "service_started",
                                                "supervisor_started",
                                                "clock_stepped"};
  return kKinds;
}

std::span<const std::string_view> Incidents::remark_kinds() {
  static constexpr std::string_view kKinds[] = {kAcknowledged, kNoted, kMerged};
  return kKinds;
}

std::vector<Incident> Incidents::all() const { return incidents_; }

void Incidents::add(const Row& row) {
  const Event& event = row.event;
  const std::string_view kind = event.kind;
  mind_table(event);
  if (kind == kAcknowledged || kind == kNoted) return remark(row);
  if (kind == kMerged) return merge(row);
  if (kind == "service_down") return begin_of_service(row, Incident::Severity::kDown);
  if (kind == "service_degraded") return begin_of_service(row, Incident::Severity::kDegraded);
  if (kind == "service_up") return end_of_service(row);
  if (kind == "ready") return end_of_replica(row);
  if (kind == "canary_passed" || kind == "unejected") return end_of_replica(row);
  if (kind == "exited") {
    if (event.b == kOrdered) return end_of_replica(row);  // whoever was ill is gone
    return begin_of_replica(row, event.b == kOutOfMemory ? Cause::kMemory
                                 : event.b == kGivenUp   ? Cause::kHang
                                                         : Cause::kExit);
  }
  if (kind == "unready") {
    if (event.a != 1) begin_of_replica(row, Cause::kCheck);  // else it never was
    return;
  }
  for (const Known& known : kOfReplicas)
    if (kind == known.kind) return begin_of_replica(row, known.cause);
  if (kind == "gateway_exited" && event.b != 0) return remember(row, Cause::kGateway, words_of(row));
  if (kind == "deploy_began") {
    deploy_ = event.a;
    return remember(row, Cause::kDeploy, "deploy of release " + std::to_string(event.a));
  }
  if (kind == "deploy_done" || kind == "deploy_undone") {
    deploy_.reset();
    if (kind == "deploy_undone")
      remember(row, Cause::kDeploy, "release " + std::to_string(event.a) + " was rolled back: " + event.text);
    return;
  }
  if (kind == "service_stopping") return remember(row, Cause::kStopped, "ended by " + event.text);
  if (kind == "host_down") return remember(row, Cause::kHost, event.text);
  if (kind == "clock_stepped") step_clock(Duration(event.a));
}

// What goes on is told by the clock as it is now, so that nothing ends before it begins.
void Incidents::step_clock(Duration step) {
  const auto shift = [step](Incident& incident) {
    for (WallTime* const when : {&incident.last_good, &incident.first_bad, &incident.detected}) *when += step;
  };
  if (service_) shift(incidents_[*service_]);
  for (const auto& [target, index] : replicas_) shift(incidents_[index]);
  for (Happened& happened : lately_) happened.at += step;
}

// What was counted of an outage is in the table, and a new one begins at 0.
void Incidents::mind_table(const Event& event) {
  if (event.table_id == 0) return;
  const bool is_new = event.kind == "service_started" || (table_ != 0 && table_ != event.table_id);
  if (is_new && service_) incidents_[*service_].counted_in_part = true;
  table_ = event.table_id;
}

Incident* Incidents::find(std::int64_t id) {
  const auto found = std::ranges::find(incidents_, static_cast<std::uint64_t>(id), &Incident::id);
  return found == incidents_.end() ? nullptr : &*found;
}

void Incidents::remark(const Row& row) {
  Incident* const incident = find(row.event.a);
  if (incident == nullptr) return;
  const Incident::Remark said{row.seq, row.event.when.wall, row.event.text};
  if (row.event.kind == kNoted) {
    incident->notes.push_back(said);
  } else if (!incident->acknowledged) {
    incident->acknowledged = said;
  }
}

// Both stay what they were measured to be; one level deep, so that nothing is part of itself.
void Incidents::merge(const Row& row) {
  Incident *const whole = find(row.event.a), *const part = find(row.event.b);
  if (whole == nullptr || part == nullptr || whole == part) return;
  if (whole->part_of || part->part_of || !part->parts.empty()) return;
  part->part_of = whole->id;
  part->notes.push_back({row.seq, row.event.when.wall, row.event.text});
  whole->parts.push_back(part->id);
}

void Incidents::begin_of_service(const Row& row, Incident::Severity severity) {
  if (service_) {
    Incident& incident = incidents_[*service_];
    incident.severity = std::max(incident.severity, severity);
    note_row(incident, row.seq);
    return;
  }
  Incident incident{.id = row.seq,
                    .severity = severity,
                    .last_good = seconds(row.event.a),
                    .first_bad = seconds(row.event.b),
                    .detected = row.event.when.wall,
                    .rows = {row.seq}};
  // Requests failed, and if nothing else turns up, it is what the replicas answered.
  incident.cause = Cause::kUpstream;
  incident.evidence = (row.event.text.empty() ? "requests failed" : row.event.text) +
                      ", and nothing is known to have happened to a replica";
  for (const Happened& happened : lately_)
    if (happened.at >= incident.first_bad - kBefore) explain(incident, happened);
  service_ = incidents_.size();
  incidents_.push_back(std::move(incident));
}

void Incidents::end_of_service(const Row& row) {
  if (!service_) return;
  Incident& incident = incidents_[*service_];
  incident.ended = seconds(row.event.a);
  incident.failed_requests = static_cast<std::uint64_t>(std::max<std::int64_t>(row.event.b, 0));
  note_row(incident, row.seq);
  service_.reset();
}

void Incidents::begin_of_replica(const Row& row, Cause cause) {
  const Event& event = row.event;
  remember(row, cause, words_of(row), event.target);
  const auto known = replicas_.find(event.target);
  if (known != replicas_.end()) {  // one thing leads to another: a hang to a kill
    Incident& incident = incidents_[known->second];
    if (cause > incident.cause) {
      incident.cause = cause;
      incident.evidence = words_of(row);
    }
    note_row(incident, row.seq);
    return;
  }
  replicas_[event.target] = incidents_.size();
  incidents_.push_back({.id = row.seq,
                        .target = event.target,
                        .cause = cause,
                        .evidence = words_of(row),
                        .last_good = event.when.wall,
                        .first_bad = event.when.wall,
                        .detected = event.when.wall,
                        .replicas = {event.target},
                        .rows = {row.seq}});
}

void Incidents::end_of_replica(const Row& row) {
  const auto known = replicas_.find(row.event.target);
  if (known == replicas_.end()) return;
  Incident& incident = incidents_[known->second];
  incident.ended = row.event.when.wall;
  note_row(incident, row.seq);
  replicas_.erase(known);
}

void Incidents::remember(const Row& row, Cause cause, const std::string& words, const std::string& replica) {
  const WallTime at = row.event.when.wall;
  // While a release is deployed, what happens to a replica is most likely its doing.
  Happened happened{row.seq, at, cause, words, replica};
  if (deploy_ && cause < Cause::kDeploy) {
    happened.cause = Cause::kDeploy;
    happened.words = "during the deploy of release " + std::to_string(*deploy_) + ", " + words;
  }
  if (service_ && may_explain(incidents_[*service_], happened)) explain(incidents_[*service_], happened);
  std::erase_if(lately_, [&](const Happened& old) { return old.at + kBefore + kBefore < at; });
  lately_.push_back(std::move(happened));
}

// What people do during an outage, they do because of it; what comes to light of a replica was there before.
bool Incidents::may_explain(const Incident& incident, const Happened& happened) {
  constexpr Duration kAtOnce = 3s;
  const bool of_people = happened.cause == Cause::kStopped || happened.cause == Cause::kDeploy;
  return !of_people || happened.at <= incident.first_bad + kAtOnce;
}

void Incidents::explain(Incident& incident, const Happened& happened) {
  if (happened.cause > incident.cause) {
    incident.cause = happened.cause;
    incident.evidence = happened.words;
  }
  add_once(incident.replicas, happened.replica);
  note_row(incident, happened.seq);
}

}  // namespace nines::ledger
