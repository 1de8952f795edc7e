#include "cli/moment.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <ctime>
#include <string>

namespace nines::cli {
namespace {

// A zone with a rule for summer, written out, so that no database of zones is needed.
struct InBerlin {
  InBerlin() {
    ::setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    ::tzset();
  }
  ~InBerlin() {
    ::unsetenv("TZ");
    ::tzset();
  }
};

constexpr WallTime kNow = std::chrono::sys_days(std::chrono::year(2026) / 11 / 23) + 22h;  // 23:00 in Berlin

TEST_CASE("moment: as people write it") {
  const InBerlin zone;
  struct Row {
    const char* typed;
    const char* means;
  };
  const Row rows[] = {
      {"10m", "2026-11-23T21:50:00.000Z"},
      {"1.5s", "2026-11-23T21:59:58.500Z"},
      {"7d", "2026-11-16T22:00:00.000Z"},
      {"0s", "2026-11-23T22:00:00.000Z"},
      {"2026-11-23T22:30:00Z", "2026-11-23T22:30:00.000Z"},
      {"2026-11-23T22:30:00.123456789Z", "2026-11-23T22:30:00.123Z"},
      {"2026-11-23T22:30Z", "2026-11-23T22:30:00.000Z"},
      {"2026-11-23T22:30:00+05:30", "2026-11-23T17:00:00.000Z"},
      {"2026-11-23 22:30-0800", "2026-11-24T06:30:00.000Z"},
      {"2026-11-23 22:30", "2026-11-23T21:30:00.000Z"},
      {"2026-07-23 22:30:15", "2026-07-23T20:30:15.000Z"},
      {"2026-11-23T22:30", "2026-11-23T21:30:00.000Z"},
      {"2026-11-23", "2026-11-22T23:00:00.000Z"},
      {" 22:30 ", "2026-11-23T21:30:00.000Z"},
      {"9:05", "2026-11-23T08:05:00.000Z"},
      {"23:00:00", "2026-11-23T22:00:00.000Z"},
      {"23:00:01", "2026-11-22T22:00:01.000Z"},  // still to come today
  };
  for (const Row& row : rows) {
    CAPTURE(row.typed);
    const auto moment = parse_moment(row.typed);
    REQUIRE(moment);
    CHECK(format_rfc3339(moment->resolve(kNow)) == row.means);
  }
  CHECK(parse_moment("100000d")->resolve(kNow) == WallTime{});
}

TEST_CASE("moment: what cannot be understood says what can") {
  for (const char* typed : {"",
                            "yesterday",
                            "10",
                            "-5m",
                            "10 parsecs",
                            "25:00",
                            "22:60",
                            "22:30Z",
                            "22:30:00.5",
                            "2026-02-30",
                            "2026-13-01 10:00",
                            "2026-11-23T",
                            "2026-11-23T22",
                            "2026-11-23T22:30:00X",
                            "2026-11-23T22:30:00+1",
                            "2026-11-23T22:30:00Z now",
                            "23.11.2026",
                            "1969-12-31",
                            "2026-11-23T22:30:00.Z",
                            "99999999d"}) {
    CAPTURE(typed);
    const auto moment = parse_moment(typed);
    REQUIRE(!moment);
    CHECK(moment.error().what.size() > 5);
    CHECK(moment.error().fix.size() > 5);
  }
  CHECK(parse_moment("10").error().text() == "\"10\" has no unit; add one, such as \"10s\"");
  CHECK(parse_moment("yesterday").error().text().starts_with("\"yesterday\" is no moment; write how long ago (10m"));
}

}  // namespace
}  // namespace nines::cli
