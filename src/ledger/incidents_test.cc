#include "ledger/incidents.h"

#include <doctest/doctest.h>

#include <sstream>

#include "ledger/test_support.h"

namespace nines::ledger {
namespace {

using testing::kMonday;

// Rows from lines: "SECOND KIND TARGET A B TEXT…", "-" for no target.
std::vector<Row> rows_of(const std::string& text) {
  std::vector<Row> rows;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::int64_t second = 0;
    Row row{.seq = rows.size() + 1};
    if (!(words >> second >> row.event.kind >> row.event.target >> row.event.a >> row.event.b)) continue;
    if (row.event.target == "-") row.event.target.clear();
    std::getline(words >> std::ws, row.event.text);
    row.event.when = testing::moment(static_cast<std::uint64_t>(second));
    // In the record these are Unix seconds.
    const std::int64_t monday = std::chrono::floor<std::chrono::seconds>(kMonday).time_since_epoch().count();
    if (row.event.kind.starts_with("service_") && row.event.kind != "service_stopping") {
      row.event.a += monday;
      if (row.event.kind != "service_up") row.event.b += monday;
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::int64_t at(WallTime time) { return std::chrono::round<std::chrono::seconds>(time - kMonday).count(); }

std::string text(const Incident& i) {
  std::string all = (i.of_service() ? "service" : i.target) + " " + std::string(name_of(i.severity)) + " " +
                    std::string(name_of(i.cause)) + " (" + std::to_string(at(i.last_good)) + ".." +
                    std::to_string(at(i.first_bad)) + ")-" + (i.ended ? std::to_string(at(*i.ended)) : "?") +
                    " failed " + std::to_string(i.failed_requests) + " of";
  for (const std::string& name : i.replicas) all += " " + name;
  all += " rows";
  for (const auto seq : i.rows) all += " " + std::to_string(seq);
  return all;
}

std::vector<std::string> incidents_of(const std::string& rows) {
  Incidents incidents;
  for (const Row& row : rows_of(rows)) incidents.add(row);
  std::vector<std::string> all;
  for (const Incident& incident : incidents.all()) all.push_back(text(incident));
  return all;
}

TEST_CASE("incidents: what goes on while the clock is set is told by the clock as it is then") {
  const std::string hour = std::to_string(3'600'000'000'000);
  // The rows behind the step are of the clock that was set.
  CHECK(incidents_of("100 service_down - 99 100\n110 exited a 1 1\n120 clock_stepped - -" + hour +
                     " 0\n-3470 ready a 0 0\n-3460 service_up - -3460 7") ==
        std::vector<std::string>{"service down exit (-3501..-3500)--3460 failed 7 of a rows 1 2 5",
                                 "a unnoticed exit (-3490..-3490)--3470 failed 0 of a rows 2 4"});
}

TEST_CASE("incidents: where nothing is known of a replica the evidence is what was seen") {
  Incidents incidents;
  for (const auto& row : rows_of("100 service_down - 99 100 GET /health was answered with 503")) incidents.add(row);
  CHECK(incidents.all().front().evidence ==
        "GET /health was answered with 503, and nothing is known to have happened to a replica");
}

TEST_CASE("incidents: what the events come to") {
  struct Row {
    const char* name;
    const char* events;
    std::vector<std::string> expected;
  };
  const Row rows[] = {
      {"nothing", "1 ready api-1 0 0\n2 exited api-1 0 0 as ordered\n3 ready api-1 0 0\n", {}},
      {"a crash that no user saw",
       "5 exited api-1 9 1 killed by SIGKILL (9)\n6 spawned api-1 0 0\n7 ready api-1 0 0\n",
       {"api-1 unnoticed exit (5..5)-7 failed 0 of api-1 rows 1 3"}},
      {"it goes on", "5 exited api-1 9 1 gone\n", {"api-1 unnoticed exit (5..5)-? failed 0 of api-1 rows 1"}},
      {"a hang that ends in a kill is one, by its gravest cause",
       "5 hung api-1 0 0 no byte\n6 unready api-1 0 0 timed out\n9 exited api-1 9 3 did not answer\n12 ready api-1 0 "
       "0\n",
       {"api-1 unnoticed hang (5..5)-12 failed 0 of api-1 rows 1 2 3 4"}},
      {"out of memory",
       "5 exited api-1 9 2 oom\n6 ready api-1 0 0\n",
       {"api-1 unnoticed oom (5..5)-6 failed 0 of api-1 rows 1 2"}},
      {"one that was never ready is none", "5 unready api-1 1 0 refused\n", {}},
      {"a wrong answer",
       "5 canary_failed api-1 0 0 wrong\n8 canary_passed api-1 0 0\n",
       {"api-1 unnoticed canary (5..5)-8 failed 0 of api-1 rows 1 2"}},
      {"two replicas at once",
       "5 exited api-1 9 1\n5 exited api-2 9 1\n6 ready api-2 0 0\n7 ready api-1 0 0\n",
       {"api-1 unnoticed exit (5..5)-7 failed 0 of api-1 rows 1 4",
        "api-2 unnoticed exit (5..5)-6 failed 0 of api-2 rows 2 3"}},
      {"the crash before it is the cause of an outage",
       "5 exited api-1 9 1 gone\n7 service_down - 5 6\n8 ready api-1 0 0\n18 service_up - 8 40\n",
       {"api-1 unnoticed exit (5..5)-8 failed 0 of api-1 rows 1 3",
        "service down exit (5..6)-8 failed 40 of api-1 rows 1 2 4"}},
      {"and so is one that comes to light during it",
       "7 service_degraded - 5 6\n9 hung api-2 0 0 no byte\n10 service_down - 8 9\n12 unready api-2 0 0\n30 service_up "
       "- 20 9\n",
       {"service down hang (5..6)-20 failed 9 of api-2 rows 1 2 3 4 5",
        "api-2 unnoticed hang (9..9)-? failed 0 of api-2 rows 2 4"}},
      {"one that was long ago is not",
       "5 exited api-1 9 1\n6 ready api-1 0 0\n50 service_degraded - 48 49\n70 service_up - 60 3\n",
       {"api-1 unnoticed exit (5..5)-6 failed 0 of api-1 rows 1 2",
        "service degraded upstream (48..49)-60 failed 3 of rows 3 4"}},
      {"what the replicas answer, with nothing else known",
       "7 service_degraded - 5 6\n30 service_up - 20 9\n",
       {"service degraded upstream (5..6)-20 failed 9 of rows 1 2"}},
      {"during a deploy it is the deploy",
       "2 deploy_began - 7 0\n5 exited api-1 1 1 bad\n7 service_down - 5 6\n9 deploy_undone - 7 0 crashes\n12 ready "
       "api-1 0 0\n30 service_up - 13 2\n",
       {"api-1 unnoticed exit (5..5)-12 failed 0 of api-1 rows 2 5",
        "service down deploy (5..6)-13 failed 2 of api-1 rows 1 2 3 4 6"}},
      {"the data path itself",
       "5 gateway_exited gateway 9 1 killed\n6 service_down - 4 5\n20 service_up - 6 24\n",
       {"service down gateway (4..5)-6 failed 24 of rows 1 2 3"}},
      {"a gateway that left as it should is no cause",
       "5 gateway_exited gateway 0 0\n6 service_down - 4 5\n20 service_up - 6 24\n",
       {"service down upstream (4..5)-6 failed 24 of rows 2 3"}},
      {"a person",
       "5 service_stopping service 0 0 nines down (me)\n6 service_down - 4 5\n20 service_up - 19 0\n",
       {"service down stopped (4..5)-19 failed 0 of rows 1 2 3"}},
      {"a person who ends it because of an outage is not its cause",
       "7 service_down - 5 6\n20 service_stopping service 0 0 nines down (me)\n60 service_up - 50 9\n",
       {"service down upstream (5..6)-50 failed 9 of rows 1 3"}},
      {"a replica that was ill and is taken away is ill no more",
       "5 exited api-3 9 1\n6 spawned api-3 0 0\n8 exited api-3 15 0 killed by SIGTERM (15)\n",
       {"api-3 unnoticed exit (5..5)-8 failed 0 of api-3 rows 1 3"}},
      {"an end without a beginning is none: it was removed for its age", "5 service_up - 3 9\n6 ready api-1 0 0\n", {}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    CHECK(incidents_of(row.events) == row.expected);
  }
}

TEST_CASE("incidents: evidence is bounded") {
  Incidents incidents;
  std::string text = "1 exited api-1 9 1\n";
  for (int i = 0; i < 500; ++i) text += "2 hung api-1 0 0\n";
  for (const Row& row : rows_of(text)) incidents.add(row);
  REQUIRE(incidents.all().size() == 1);
  CHECK(incidents.all()[0].rows.size() == Incidents::kRowsOfOne);
}

TEST_CASE("incidents: what people say of them comes later, and changes nothing that was measured") {
  Incidents incidents;
  const auto rows = rows_of(
      "1 service_down - 0 1\n20 service_up - 9 40\n50 service_down - 49 50\n80 service_up - 60 7\n"
      "90 incident_acknowledged - 1 0 alice\n91 incident_acknowledged - 1 0 bob\n"
      "92 incident_noted - 1 0 the switch; alice\n93 incidents_merged - 1 3 same switch; alice\n"
      "94 incidents_merged - 3 1 the other way round; bob\n95 incidents_merged - 1 1 itself; bob\n"
      "96 incident_noted - 77 0 no such; bob\n97 incidents_merged - 1 77 no such; bob\n");
  std::vector<Incident> before;
  for (const Row& row : rows) {
    if (row.event.kind.starts_with("incident") && before.empty()) before = incidents.all();
    incidents.add(row);
  }
  auto all = incidents.all();
  REQUIRE(all.size() == 2);
  CHECK(all[0].acknowledged->text == "alice");
  CHECK(at(all[0].acknowledged->at) == 90);
  REQUIRE(all[0].notes.size() == 1);
  CHECK(all[0].notes[0].text == "the switch; alice");
  CHECK(all[0].parts == std::vector<std::uint64_t>{3});
  CHECK_FALSE(all[0].part_of);
  CHECK(all[1].part_of == 1);
  REQUIRE(all[1].notes.size() == 1);
  for (Incident& incident : all)
    incident.acknowledged.reset(), incident.notes.clear(), incident.part_of.reset(), incident.parts.clear();
  CHECK(all == before);
}

}  // namespace
}  // namespace nines::ledger
