#include "web/metrics.h"

#include <cmath>
#include <map>
#include <regex>
#include <set>

#include <doctest/doctest.h>

#include "web/test_support.h"

namespace nines::web {
namespace {

using testing::World;

struct Sample {
  std::string name;    // with its suffix
  std::string labels;  // as written
  double value = 0;
};

// The text format, strictly: what Prometheus would refuse or warn of, and what its conventions forbid, is a problem.
class Checker {
 public:
  explicit Checker(const std::string& text) {
    if (!text.ends_with('\n')) problems.emplace_back("the last line does not end");
    for (std::size_t at = 0; at < text.size();) {
      const auto end = text.find('\n', at);
      line(text.substr(at, end - at));
      at = end == std::string::npos ? text.size() : end + 1;
    }
    for (const auto& [name, type] : types_) {
      if (type == "histogram") check_histogram(name);
    }
  }

  std::vector<std::string> problems;
  std::vector<Sample> samples;

  const Sample* find(const std::string& name, const std::string& labels = "") const {
    const auto found =
        std::ranges::find_if(samples, [&](const Sample& s) { return s.name == name && s.labels == labels; });
    return found == samples.end() ? nullptr : &*found;
  }
  double value(const std::string& name, const std::string& labels = "") const {
    const Sample* const sample = find(name, labels);
    return sample != nullptr ? sample->value : NAN;
  }

 private:
  void line(const std::string& text) {
    static const std::regex kComment(R"(# (HELP|TYPE) ([a-z][a-z0-9_]*) (.+))");
    static const std::regex kSample(
        R"re(([a-z][a-z0-9_]*)(?:\{((?:[a-z_]+="(?:[^"\\]|\\["\\n])*"(?:,(?!\})|(?=\})))+)\})? ([0-9.e+-]+))re");
    std::smatch match;
    if (std::regex_match(text, match, kComment)) {
      comment(match[1], match[2], match[3]);
    } else if (std::regex_match(text, match, kSample)) {
      sample(match[1], match[2], match[3]);
    } else {
      problems.push_back("no line of the format: " + text);
    }
  }

  void comment(const std::string& what, const std::string& name, const std::string& rest) {
    if (what == "HELP") {
      if (!helps_.insert(name).second) problems.push_back("two HELPs: " + name);
      help_ = name;
      return;
    }
    if (help_ != name) problems.push_back("no HELP right before TYPE: " + name);
    if (!types_.emplace(name, rest).second) problems.push_back("two TYPEs: " + name);
    if (rest != "counter" && rest != "gauge" && rest != "histogram") problems.push_back("type of " + name);
    if ((rest == "counter") != name.ends_with("_total")) problems.push_back("_total belongs to counters: " + name);
    if (!name.starts_with("nines_") && name != "process_start_time_seconds") problems.push_back("whose is " + name);
    family_ = name;
  }

  void sample(const std::string& name, const std::string& labels, const std::string& value) {
    const std::string base =
        types_[family_] == "histogram" ? std::regex_replace(name, std::regex("_(bucket|sum|count)$"), "") : name;
    if (base != family_) problems.push_back("not below its TYPE: " + name);
    if (types_[family_] == "histogram" && base == name) problems.push_back("a bare sample of a histogram: " + name);
    if (!series_.insert(name + "{" + labels + "}").second) problems.push_back("twice: " + name + "{" + labels + "}");
    samples.push_back({name, labels, std::stod(value)});
  }

  void check_histogram(const std::string& name) {
    std::map<std::string, std::vector<std::pair<double, double>>> buckets;
    static const std::regex kLe(R"re((?:^|,)le="([^"]*)"$)re");
    for (const Sample& s : samples) {
      if (s.name != name + "_bucket") continue;
      std::smatch match;
      if (!std::regex_search(s.labels, match, kLe)) {
        problems.push_back("no le: " + s.labels);
        continue;
      }
      buckets[match.prefix()].emplace_back(match[1] == "+Inf" ? INFINITY : std::stod(match[1]), s.value);
    }
    for (const auto& [labels, list] : buckets) {
      const auto upwards = [&](auto part) { return std::ranges::is_sorted(list, {}, part); };
      if (!upwards(&std::pair<double, double>::first) || !upwards(&std::pair<double, double>::second))
        problems.push_back("not cumulative: " + name + labels);
      if (list.back().first != INFINITY) problems.push_back("no +Inf: " + name + labels);
      if (list.back().second != value(name + "_count", labels)) problems.push_back("+Inf is not the count: " + name);
      if (find(name + "_sum", labels) == nullptr) problems.push_back("no sum: " + name);
    }
  }

  std::set<std::string> helps_, series_;
  std::map<std::string, std::string> types_;
  std::string help_, family_;
};

std::string problems_of(const std::string& text) {
  std::string all;
  for (const std::string& problem : Checker(text).problems) all += problem + "\n";
  return all;
}

TEST_CASE("metrics: the checker finds what is wrong") {
  const std::string head = "# HELP nines_a_total a\n# TYPE nines_a_total counter\n";
  CHECK(problems_of(head + "nines_a_total 1\n").empty());
  CHECK_FALSE(problems_of("nines_a_total 1\n").empty());
  CHECK_FALSE(problems_of("# TYPE nines_a_total counter\nnines_a_total 1\n").empty());
  CHECK_FALSE(problems_of(head + "nines_a_total 1\nnines_a_total 2\n").empty());
  CHECK_FALSE(problems_of(head + "nines_b_total 1\n").empty());
  CHECK_FALSE(problems_of(head + "nines_a_total{a=\"x\"y\"} 1\n").empty());
  CHECK_FALSE(problems_of(head + "nines_a_total{a=\"x\",} 1\n").empty());
  CHECK_FALSE(problems_of(head + "nines_a_total  1\n").empty());
  CHECK_FALSE(problems_of(head + "nines_a_total 1").empty());
  CHECK_FALSE(problems_of(head + "nines_a_total 1\n" + head).empty());
  CHECK_FALSE(problems_of("# HELP nines_a a\n# TYPE nines_a counter\nnines_a 1\n").empty());
  const std::string histogram = "# HELP nines_h h\n# TYPE nines_h histogram\n";
  CHECK(problems_of(histogram +
                    "nines_h_bucket{le=\"1\"} 2\nnines_h_bucket{le=\"+Inf\"} 3\nnines_h_sum 9\nnines_h_count 3\n")
            .empty());
  CHECK_FALSE(problems_of(histogram +
                          "nines_h_bucket{le=\"1\"} 4\nnines_h_bucket{le=\"+Inf\"} 3\nnines_h_sum 9\nnines_h_count 3\n")
                  .empty());
  CHECK_FALSE(problems_of(histogram + "nines_h_bucket{le=\"+Inf\"} 4\nnines_h_sum 9\nnines_h_count 3\n").empty());
  CHECK_FALSE(problems_of(histogram + "nines_h_bucket{le=\"1\"} 3\nnines_h_sum 9\nnines_h_count 3\n").empty());
  CHECK_FALSE(problems_of(histogram + "nines_h_bucket{le=\"+Inf\"} 3\nnines_h_count 3\n").empty());
}

TEST_CASE("metrics: everything, once, in the format") {
  World world;
  world.table->service.requests = 100;
  plane::ServiceCounters& service = world.table->service;
  service.connections[0] = 4;
  service.waiting[1] = 7;
  service.rejected_queue_full = 11;
  service.rejected_queue_time = 12;
  service.retries_denied = 13;
  service.replays_after_exit = 14;
  service.streams = 15;
  service.streams_interrupted = 16;
  service.upgrades = 17;
  service.access_lines_dropped = 18;
  for (std::size_t i = 0; i < plane::kTimeouts; ++i) service.timeouts[i] = 20 + i;
  world.table->header.panic = 1;
  world.table->observed[2].errors = 5;
  world.facts.ledger = LedgerFacts{.rows = 42, .problem = ""};
  world.facts.backups = {{.archive = "a", .at = World::kWall - 1h, .bytes = 1'000, .verified = Verified::kYes}};
  world.push(plane::EventKind::kSpawned, 99'000s, 0);
  const std::string text = metrics(world.view());
  const Checker checked(text);
  CHECK(problems_of(text) == "");
  CHECK(checked.value("nines_build_info", "version=\"0.1.0\"") == 1);
  CHECK(checked.value("nines_service_info", "service=\"ai\"") == 1);
  CHECK(checked.value("nines_objective_ratio") == doctest::Approx(0.999));
  CHECK(checked.value("nines_service_up") == 1);
  CHECK(checked.value("nines_service_state", "state=\"up\"") == 1);
  CHECK(checked.value("nines_service_state", "state=\"down\"") == 0);
  CHECK(checked.value("nines_requests_total") == 100);
  CHECK(checked.value("nines_connections") == 4);
  CHECK(checked.value("nines_panic") == 1);
  CHECK(checked.value("nines_requests_waiting") == 7);
  CHECK(checked.value("nines_requests_rejected_total", "reason=\"queue_full\"") == 11);
  CHECK(checked.value("nines_requests_rejected_total", "reason=\"queue_time\"") == 12);
  CHECK(checked.value("nines_replays_denied_total") == 13);
  CHECK(checked.value("nines_replays_after_exit_total") == 14);
  CHECK(checked.value("nines_access_lines_dropped_total") == 18);
  CHECK(checked.value("nines_streams_total") == 15);
  CHECK(checked.value("nines_streams_interrupted_total") == 16);
  CHECK(checked.value("nines_tunnels_total") == 17);
  CHECK(checked.value("nines_timeouts_total", "timeout=\"request_head\"") == 20);
  CHECK(checked.value("nines_timeouts_total", "timeout=\"tunnel_idle\"") == 29);
  CHECK(checked.value("nines_replicas", "state=\"ready\"") == 3);
  CHECK(checked.value("nines_replica_up", "replica=\"ai-1\"") == 1);
  CHECK(checked.value("nines_replica_errors_total", "replica=\"ai-3\"") == 5);
  CHECK(checked.value("nines_part_up", "part=\"anchor\"") == 1);
  CHECK(checked.value("nines_part_starts_total", "part=\"gateway\"") == 1);
  CHECK(checked.value("nines_events_total") == 1);
  CHECK(checked.value("nines_ledger_events_waiting") == 1);
  CHECK(checked.value("nines_ledger_rows") == 42);
  const double now = std::chrono::duration<double>(World::kWall.time_since_epoch()).count();
  CHECK(checked.value("process_start_time_seconds") == now - 9'997);
  CHECK(checked.value("nines_replica_start_time_seconds", "replica=\"ai-2\"") == now - 5'999);
  CHECK(checked.value("nines_backup_last_taken_timestamp_seconds") == now - 3'600);
}

TEST_CASE("metrics: word for word, where replicas are counted") {
  World world;
  world.table->observed[0].requests = 12;
  world.table->observed[0].in_flight[1] = 2;
  world.table->observed[0].gateway_errors = 4;
  world.table->observed[0].ejections = 2;
  world.eject(0, World::kNow + 3s);
  world.table->observed[1].connect_failures = 3;
  world.table->observed[1].hangs = 1;
  world.change(1, [](plane::Route& route) { route.weight = 50; });
  world.verdict(1, plane::Health::kDown, 99'000s);
  world.table->routes[2].store({});
  const std::string text = metrics(world.view());
  const auto begin = text.find("# HELP nines_replicas ");
  CHECK(text.substr(begin, text.find("# HELP nines_replica_first_byte_seconds") - begin) ==
        R"(# HELP nines_replicas Replicas by state; unknown: the record of one cannot be read.
# TYPE nines_replicas gauge
nines_replicas{state="waiting"} 0
nines_replicas{state="starting"} 0
nines_replicas{state="ready"} 1
nines_replicas{state="unready"} 1
nines_replicas{state="draining"} 0
nines_replicas{state="stopping"} 0
nines_replicas{state="stopped"} 0
nines_replicas{state="unknown"} 0
# HELP nines_replica_up 1 while the gateway sends requests to the replica.
# TYPE nines_replica_up gauge
nines_replica_up{replica="ai-1"} 0
nines_replica_up{replica="ai-2"} 0
# HELP nines_replica_requests_total Attempts on the replica that ended, one way or another.
# TYPE nines_replica_requests_total counter
nines_replica_requests_total{replica="ai-1"} 12
nines_replica_requests_total{replica="ai-2"} 0
# HELP nines_replica_errors_total Attempts that got no answer, a broken answer, or a status from 500 up.
# TYPE nines_replica_errors_total counter
nines_replica_errors_total{replica="ai-1"} 0
nines_replica_errors_total{replica="ai-2"} 0
# HELP nines_replica_connect_failures_total Attempts for which no connection could be made.
# TYPE nines_replica_connect_failures_total counter
nines_replica_connect_failures_total{replica="ai-1"} 0
nines_replica_connect_failures_total{replica="ai-2"} 3
# HELP nines_replica_gateway_errors_total Attempts that broke, timed out, or were answered with 502, 503 or 504.
# TYPE nines_replica_gateway_errors_total counter
nines_replica_gateway_errors_total{replica="ai-1"} 4
nines_replica_gateway_errors_total{replica="ai-2"} 0
# HELP nines_replica_ejected 1 while the replica gets no requests because requests failed on it.
# TYPE nines_replica_ejected gauge
nines_replica_ejected{replica="ai-1"} 1
nines_replica_ejected{replica="ai-2"} 0
# HELP nines_replica_ejections_total How often the replica was ejected.
# TYPE nines_replica_ejections_total counter
nines_replica_ejections_total{replica="ai-1"} 2
nines_replica_ejections_total{replica="ai-2"} 0
# HELP nines_replica_hangs_total How often the replica was found to hang.
# TYPE nines_replica_hangs_total counter
nines_replica_hangs_total{replica="ai-1"} 0
nines_replica_hangs_total{replica="ai-2"} 1
# HELP nines_replica_weight_percent Percent of what a plain replica gets.
# TYPE nines_replica_weight_percent gauge
nines_replica_weight_percent{replica="ai-1"} 100
nines_replica_weight_percent{replica="ai-2"} 50
# HELP nines_replica_in_flight Attempts under way.
# TYPE nines_replica_in_flight gauge
nines_replica_in_flight{replica="ai-1"} 2
nines_replica_in_flight{replica="ai-2"} 0
# HELP nines_replica_restarts_total Crashes that were followed by a start.
# TYPE nines_replica_restarts_total counter
nines_replica_restarts_total{replica="ai-1"} 0
nines_replica_restarts_total{replica="ai-2"} 0
# HELP nines_replica_crashes_in_row Crashes without having been ready for a minute between them.
# TYPE nines_replica_crashes_in_row gauge
nines_replica_crashes_in_row{replica="ai-1"} 0
nines_replica_crashes_in_row{replica="ai-2"} 0
# HELP nines_replica_start_time_seconds When the replica's process was started, as Unix time.
# TYPE nines_replica_start_time_seconds gauge
nines_replica_start_time_seconds{replica="ai-1"} 1795458000
nines_replica_start_time_seconds{replica="ai-2"} 1795458001
)");
}

TEST_CASE("metrics: a histogram counts every latency in the right bucket, and estimates the sum") {
  World world;
  double sum = 0;
  for (const Duration latency : {Duration(0), Duration(300us), Duration(511us), Duration(513us), Duration(1ms),
                                 Duration(250ms), Duration(3s), Duration(600s), Duration(24h)}) {
    world.table->service.latency.record(latency);
    if (latency < 1h) sum += std::chrono::duration<double>(latency).count();
  }
  const Checker checked(metrics(world.view()));
  const std::string name = "nines_request_duration_seconds";
  CHECK(checked.value(name + "_bucket", "le=\"0.000512\"") == 3);
  CHECK(checked.value(name + "_bucket", "le=\"0.001024\"") == 5);
  CHECK(checked.value(name + "_bucket", "le=\"0.262144\"") == 6);
  CHECK(checked.value(name + "_bucket", "le=\"4.194304\"") == 7);
  CHECK(checked.value(name + "_bucket", "le=\"268.435456\"") == 7);
  CHECK(checked.value(name + "_bucket", "le=\"+Inf\"") == 9);
  CHECK(checked.value(name + "_count") == 9);
  // What is beyond the last of the table's buckets counts as its middle.
  const double last = std::chrono::duration<double>(plane::latency_bound(126) + plane::latency_bound(127)).count() / 2;
  CHECK(checked.value(name + "_sum") - last == doctest::Approx(sum).epsilon(0.125));
}

TEST_CASE("metrics: any bucket of the table keeps the estimate within 12.5 %") {
  for (std::size_t bucket = 1; bucket < plane::kLatencyBuckets; ++bucket) {
    CAPTURE(bucket);
    const Duration lowest = plane::latency_bound(bucket - 1), highest = plane::latency_bound(bucket) - 1ns;
    for (const Duration latency : {lowest, highest}) {
      if (plane::latency_bucket(latency) != bucket) continue;  // nothing is that short
      World world;
      world.table->service.latency.record(latency);
      const double sum = Checker(metrics(world.view())).value("nines_request_duration_seconds_sum");
      CHECK(sum == doctest::Approx(std::chrono::duration<double>(latency).count()).epsilon(0.1251));
    }
  }
}

TEST_CASE("metrics: what cannot be read has no sample, and hostile names break nothing") {
  World world;
  World::tear(world.table->routes[1]);
  World::tear(world.table->keeper);
  world.replica(0, "a\"b\\c\nd\xff{},");
  world.replica(2, "a\"b\\c\nd\xff{},");  // never two of a name, but if there were
  const std::string text = metrics(world.view());
  const Checker checked(text);
  CHECK(problems_of(text) == "");
  CHECK(checked.value("nines_replicas", "state=\"unknown\"") == 1);
  CHECK(text.find("slot 1") == std::string::npos);
  CHECK(text.find("part=\"keeper\"") == std::string::npos);
  CHECK(text.find("process_start_time") == std::string::npos);
  CHECK(text.find("nines_replica_up{replica=\"a\\\"b\\\\c\uFFFDd\uFFFD{},\"} 1\n") != std::string::npos);
}

TEST_CASE("metrics: a scrape stays small, with as many replicas as there can be") {
  World world;
  for (std::size_t slot = 0; slot < plane::kReplicasMax; ++slot)
    world.replica(slot, "a-service-with-a-long-name-" + std::to_string(slot));
  const std::string text = metrics(world.view());
  CHECK(problems_of(text) == "");
  CHECK(text.size() < 256 * 1024);
  const auto empty = std::make_unique<plane::Table>();
  CHECK(problems_of(metrics(view_of(*empty, {}, World::kNow, World::kWall))) == "");
}

}  // namespace
}  // namespace nines::web
