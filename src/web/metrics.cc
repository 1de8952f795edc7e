#include "web/metrics.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <initializer_list>

#include "web/text.h"

namespace nines::web {
namespace {

// The bounds of histograms are powers of two of a microsecond, from 512 µs to 268 s. They are bounds of the table's own
// buckets, so the counts are exact; and one in four of them keeps a scrape with 64 replicas below 200 kB.
constexpr std::size_t kFirstPower = 9;
constexpr std::size_t kLastPower = 28;

// The last of the table's buckets that ends at 2^power µs: there are four to a power of two.
constexpr std::size_t bucket_below(std::size_t power) { return power * 4 - 1; }
static_assert(bucket_below(kLastPower) < plane::kLatencyBuckets);

struct Label {
  std::string_view name;
  std::string value;
};
using Labels = std::vector<Label>;

std::string number_text(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return {text, end};
}

double seconds(Duration d) { return static_cast<double>(d.count()) / 1e9; }

// Whole seconds: a start time is derived from two clocks, and would otherwise seem to change with every scrape.
std::string unix_time(WallTime t) {
  return std::to_string(std::chrono::round<std::chrono::seconds>(t).time_since_epoch().count());
}

// One value is written; the sum is not kept anywhere, so each request counts as the middle of its bucket.
double estimated_sum(const plane::LatencyCounts& counts) {
  double sum = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double above = i == 0 ? 0 : seconds(plane::latency_bound(i - 1));
    sum += static_cast<double>(counts[i]) * (above + seconds(plane::latency_bound(i))) / 2;
  }
  return sum;
}

// Families in the order in which they are begun; all samples of one stand together, as the format demands.
class Exposition {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    out_ += "# HELP " + name_ + " " + std::string(help) + "\n# TYPE " + name_ + " " + std::string(type) + "\n";
  }

  void sample(const Labels& labels, std::string_view value, std::string_view suffix = {}) {
    out_ += name_;
    out_ += suffix;
    std::string_view between = "{";
    for (const Label& label : labels) {
      out_ += between;
      out_ += label.name;
      out_ += "=\"" + label_escaped(label.value) + "\"";
      between = ",";
    }
    if (!labels.empty()) out_ += "}";
    out_ += " ";
    out_ += value;
    out_ += "\n";
  }
  void sample(const Labels& labels, std::uint64_t value) { sample(labels, std::to_string(value)); }

  // A family with one sample.
  void counter(std::string_view name, std::string_view help, std::uint64_t value) {
    family(name, "counter", help);
    sample({}, value);
  }
  void gauge(std::string_view name, std::string_view help, std::uint64_t value) {
    family(name, "gauge", help);
    sample({}, value);
  }

  void histogram(Labels labels, const plane::LatencyCounts& counts) {
    std::uint64_t within = 0;
    std::size_t bucket = 0;
    labels.push_back({"le", ""});
    for (std::size_t power = kFirstPower; power <= kLastPower; ++power) {
      for (; bucket <= bucket_below(power); ++bucket) within += counts[bucket];
      labels.back().value = number_text(seconds(Duration(1'000LL << power)));
      sample(labels, std::to_string(within), "_bucket");
    }
    for (; bucket < counts.size(); ++bucket) within += counts[bucket];
    labels.back().value = "+Inf";
    sample(labels, std::to_string(within), "_bucket");
    labels.pop_back();
    sample(labels, number_text(estimated_sum(counts)), "_sum");
    sample(labels, std::to_string(within), "_count");
  }

  std::string take() && { return std::move(out_); }

 private:
  std::string out_;
  std::string name_;
};

constexpr std::string_view kSumNote = " The sum is an estimate, at most 12.5 % off: only counts are kept.";

void write_service(Exposition& out, const View& view) {
  const ServiceView& service = view.service;
  out.family("nines_build_info", "gauge", "Always 1; the version of nines that answers.");
  out.sample({{"version", service.version}}, 1);
  out.family("nines_service_info", "gauge", "Always 1; the name of the service.");
  out.sample({{"service", service.name}}, 1);
  if (service.objective) {
    out.family("nines_objective_ratio", "gauge", "The availability that is aimed for.");
    out.sample({}, number_text(*service.objective));
  }
  out.gauge("nines_service_up", "1 while the gateway accepts connections and enough replicas take requests.",
            service.state == ServiceState::kDown ? 0 : 1);
  out.family("nines_service_state", "gauge", "1 for the state the service is in, 0 for the others.");
  for (const auto state : {ServiceState::kUp, ServiceState::kDegraded, ServiceState::kDown})
    out.sample({{"state", std::string(name_of(state))}}, service.state == state ? 1 : 0);
}

void write_gateway(Exposition& out, const View& view) {
  const GatewayView& gateway = view.gateway;
  out.counter("nines_requests_total", "Requests of clients that ended.", gateway.requests);
  out.counter("nines_request_errors_total",
              "Requests that were answered with a status from 500 up, or whose answer broke off.", gateway.errors);
  out.counter("nines_client_errors_total", "Requests that the gateway itself refused with a status from 400 to 499.",
              gateway.client_errors);
  out.counter("nines_replays_total", "Attempts that were made because another one failed.", gateway.replayed);
  out.counter("nines_requests_abandoned_total", "Requests whose client left before the end of the answer.",
              gateway.abandoned);
  out.counter("nines_requests_unroutable_total", "Requests that were answered with 503 because no replica was ready.",
              gateway.unroutable);
  out.family("nines_request_duration_seconds", "histogram",
             "From a request read to its answer sent." + std::string(kSumNote));
  out.histogram({}, gateway.latency.counts);
  out.gauge("nines_connections", "Connections of clients that are open.", gateway.connections);
  out.gauge("nines_panic", "1 while so few replicas are healthy that ejections are ignored.", gateway.panic ? 1 : 0);
  out.gauge("nines_requests_waiting", "Requests that wait for a replica.", gateway.waiting);
  out.family("nines_requests_rejected_total", "counter",
             "Requests that were answered with 503 because too many were waiting, or because they waited too long.");
  out.sample({{"reason", "queue_full"}}, gateway.rejected_queue_full);
  out.sample({{"reason", "queue_time"}}, gateway.rejected_queue_time);
  out.counter("nines_replays_denied_total", "Requests that were not sent again because the budget for that was spent.",
              gateway.retries_denied);
  out.counter("nines_replays_after_exit_total", "Of the replays: those after an attempt whose process had ended.",
              gateway.replays_after_exit);
  out.counter("nines_streams_total", "Answers that were event streams.", gateway.streams);
  out.counter("nines_streams_interrupted_total", "Event streams that broke off.", gateway.streams_interrupted);
  out.counter("nines_tunnels_total", "Connections that were upgraded and became tunnels.", gateway.upgrades);
  out.counter("nines_access_lines_dropped_total", "Lines of the access log for which there was no room.",
              gateway.access_lines_dropped);
  out.family("nines_timeouts_total", "counter", "Time limits of the data path that were reached, by limit.");
  for (std::size_t i = 0; i < gateway.timeouts.size(); ++i)
    out.sample({{"timeout", std::string(plane::name_of(static_cast<plane::Timeout>(i)))}}, gateway.timeouts[i]);
  out.counter("nines_connections_refused_total", "Connections that were refused because there were too many.",
              gateway.connections_refused);
}

// Those whose name can be read, each name once: two samples of one name would make the whole scrape invalid.
std::vector<const ReplicaView*> named_replicas(const View& view) {
  std::vector<const ReplicaView*> named;
  for (const ReplicaView& replica : view.replicas) {
    const bool seen =
        std::ranges::any_of(named, [&](const auto* other) { return clean(other->name) == clean(replica.name); });
    if (replica.known && !seen) named.push_back(&replica);
  }
  return named;
}

void write_replicas(Exposition& out, const View& view) {
  const auto replicas = named_replicas(view);
  const auto each = [&](std::string_view name, std::string_view type, std::string_view help, auto value) {
    out.family(name, type, help);
    for (const ReplicaView* replica : replicas)
      out.sample({{"replica", replica->name}}, static_cast<std::uint64_t>(value(*replica)));
  };
  out.family("nines_replicas", "gauge", "Replicas by state; unknown: the record of one cannot be read.");
  for (const std::string_view state :
       {"waiting", "starting", "ready", "unready", "draining", "stopping", "stopped", "unknown"}) {
    const auto count = std::ranges::count(view.replicas, state, &ReplicaView::state);
    out.sample({{"state", std::string(state)}}, static_cast<std::uint64_t>(count));
  }
  each("nines_replica_up", "gauge", "1 while the gateway sends requests to the replica.",
       [](const ReplicaView& r) { return r.takes_requests; });
  each("nines_replica_requests_total", "counter", "Attempts on the replica that ended, one way or another.",
       [](const ReplicaView& r) { return r.requests; });
  each("nines_replica_errors_total", "counter",
       "Attempts that got no answer, a broken answer, or a status from 500 up.",
       [](const ReplicaView& r) { return r.errors; });
  each("nines_replica_connect_failures_total", "counter", "Attempts for which no connection could be made.",
       [](const ReplicaView& r) { return r.connect_failures; });
  each("nines_replica_gateway_errors_total", "counter",
       "Attempts that broke, timed out, or were answered with 502, 503 or 504.",
       [](const ReplicaView& r) { return r.gateway_errors; });
  each("nines_replica_ejected", "gauge", "1 while the replica gets no requests because requests failed on it.",
       [](const ReplicaView& r) { return r.ejected; });
  each("nines_replica_ejections_total", "counter", "How often the replica was ejected.",
       [](const ReplicaView& r) { return r.ejections; });
  each("nines_replica_hangs_total", "counter", "How often the replica was found to hang.",
       [](const ReplicaView& r) { return r.hangs; });
  each("nines_replica_weight_percent", "gauge", "Percent of what a plain replica gets.",
       [](const ReplicaView& r) { return r.weight; });
  each("nines_replica_in_flight", "gauge", "Attempts under way.", [](const ReplicaView& r) { return r.in_flight; });
  each("nines_replica_restarts_total", "counter", "Crashes that were followed by a start.",
       [](const ReplicaView& r) { return r.restarts; });
  each("nines_replica_crashes_in_row", "gauge", "Crashes without having been ready for a minute between them.",
       [](const ReplicaView& r) { return r.crashes_in_row; });
  out.family("nines_replica_start_time_seconds", "gauge", "When the replica's process was started, as Unix time.");
  for (const ReplicaView* replica : replicas) {
    if (replica->spawned) out.sample({{"replica", replica->name}}, unix_time(*replica->spawned));
  }
  out.family("nines_replica_first_byte_seconds", "histogram",
             "Of answered attempts: from the first byte sent to the first byte of the answer." + std::string(kSumNote));
  for (const ReplicaView* replica : replicas) out.histogram({{"replica", replica->name}}, replica->latency.counts);
}

void write_parts(Exposition& out, const View& view) {
  out.family("nines_part_up", "gauge", "1 while this part of nines runs.");
  for (const PartView& part : view.parts) {
    if (part.state != PartState::kUnknown)
      out.sample({{"part", std::string(part.name)}}, part.state == PartState::kRunning ? 1 : 0);
  }
  out.family("nines_part_starts_total", "counter", "How often this part of nines was started.");
  for (const PartView& part : view.parts) {
    if (part.starts) out.sample({{"part", std::string(part.name)}}, *part.starts);
  }
  out.family("nines_part_start_time_seconds", "gauge", "When this part of nines was started, as Unix time.");
  for (const PartView& part : view.parts) {
    if (part.state == PartState::kRunning && part.since)
      out.sample({{"part", std::string(part.name)}}, unix_time(*part.since));
  }
  const auto keeper = std::ranges::find(view.parts, "keeper", &PartView::name);
  if (keeper == view.parts.end() || keeper->state != PartState::kRunning || !keeper->since) return;
  out.family("process_start_time_seconds", "gauge", "When the process that answers was started, as Unix time.");
  out.sample({}, unix_time(*keeper->since));
}

void write_records(Exposition& out, const View& view) {
  out.counter("nines_events_total", "Events of the service's log.", view.log.written);
  out.counter("nines_events_lost_total", "Events that were overwritten before they were recorded.", view.log.lost);
  if (view.ledger) {
    out.gauge("nines_ledger_events_waiting", "Events that are not in the ledger yet.", view.log.waiting);
    out.gauge("nines_ledger_healthy", "1 while events can be recorded in the ledger.",
              view.ledger->problem.empty() ? 1 : 0);
    if (view.ledger->rows) out.gauge("nines_ledger_rows", "Rows of the ledger.", *view.ledger->rows);
  }
  if (view.backups.empty()) return;
  const Backup& last = *std::ranges::max_element(view.backups, {}, &Backup::at);
  out.family("nines_backup_last_taken_timestamp_seconds", "gauge", "When the newest backup was taken, as Unix time.");
  out.sample({}, unix_time(last.at));
  out.gauge("nines_backup_last_size_bytes", "Size of the newest backup.", last.bytes);
  out.gauge("nines_backup_last_verified", "1 when the newest backup was verified and can be restored.",
            last.verified == Verified::kYes ? 1 : 0);
}

}  // namespace

std::string metrics(const View& view) {
  Exposition out;
  write_service(out, view);
  write_gateway(out, view);
  write_replicas(out, view);
  write_parts(out, view);
  write_records(out, view);
  return std::move(out).take();
}

}  // namespace nines::web
