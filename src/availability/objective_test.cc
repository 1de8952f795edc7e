#include "availability/objective.h"

#include <doctest/doctest.h>

#include <string>

namespace nines::availability {
namespace {

using namespace std::chrono;

Objective objective(const char* text) { return parse_objective(text).value(); }

TEST_CASE("objective: downtime allowed, to the nanosecond") {
  struct Row {
    const char* target;
    Duration day, thirty_days, month, year;
  };
  const Row rows[] = {
      {"99%", 864s, 432min, 438min, 5256min},             // 14.4 min, 7.2 h, 7.3 h, 87.6 h
      {"99.9%", 86400ms, 2592s, 2628s, 31536s},           // 86.4 s, 43.2 min, 43.8 min, 8.76 h
      {"99.99%", 8640ms, 259200ms, 262800ms, 3153600ms},  // 8.64 s, 4.32 min, 4.38 min, 52.56 min
      {"99.999%", 864ms, 25920ms, 26280ms, 315360ms},     // 0.864 s, 25.92 s, 26.28 s, 5.256 min
  };
  for (const Row& row : rows) {
    CAPTURE(row.target);
    const Objective target = objective(row.target);
    CHECK(allowed_downtime(target, kDay) == row.day);
    CHECK(allowed_downtime(target, kWeek) == 7 * row.day);
    CHECK(allowed_downtime(target, kThirtyDays) == row.thirty_days);
    CHECK(allowed_downtime(target, kMeanMonth) == row.month);
    CHECK(allowed_downtime(target, kYear) == row.year);
  }
  CHECK(allowed_downtime(objective("99.9%"), 1ns) == 0ns);  // never more than allowed
  CHECK(allowed_downtime(objective("99.9%"), Duration::max()) == Duration(9'223'372'036'854'775));
}

TEST_CASE("objective: five dependencies at five nines use half of four nines") {
  CHECK(2 * (5 * allowed_downtime(objective("99.999%"), kYear)) == allowed_downtime(objective("99.99%"), kYear));
}

TEST_CASE("objective: the month as it really is") {
  const auto allowed = [](year_month month) {
    return allowed_downtime(objective("99.9%"), month_window(month).length());
  };
  CHECK(allowed(2026y / October) == 2678400ms);  // 31 days: 44.64 min
  CHECK(allowed(2026y / November) == 2592s);
  CHECK(month_window(2026y / February).length() == 28 * kDay);
  CHECK(month_window(2028y / February).length() == 29 * kDay);
  CHECK(month_window(2100y / February).length() == 28 * kDay);
  CHECK(month_window(2026y / December).end == WallTime(sys_days(2027y / January / 1)));
  CHECK(month_window(2026y / December).begin == WallTime(sys_days(2026y / December / 1)));
}

TEST_CASE("objective: a month in which clocks are changed is an hour longer or shorter") {
  const Interval october = month_window(2026y / October, 2h, 1h);  // Berlin
  CHECK(october.length() == 745h);
  CHECK(october.begin == WallTime(sys_days(2026y / September / 30)) + 22h);
  CHECK(october.end == WallTime(sys_days(2026y / October / 31)) + 23h);
  CHECK(month_window(2026y / March, 1h, 2h).length() == 743h);
}

TEST_CASE("objective: met on its bound") {
  const Objective target = objective("99.99%");
  CHECK(target.met_by({0, 1}));
  CHECK(target.met_by(ratio(259'200ms, kThirtyDays)));
  CHECK(!target.met_by(ratio(259'200ms + 1ns, kThirtyDays)));
  CHECK(target.availability().unavailability() == 1e-4);
}

TEST_CASE("objective: read") {
  CHECK(objective("99.9%").budget == Ratio{1, 1000});
  CHECK(objective("0.999") == objective("99.9 %"));
  for (const char* text : {"100%", "0%", "1.0", "0", "0.0"}) {
    CAPTURE(text);
    REQUIRE(!parse_objective(text));
    CHECK(parse_objective(text).error().text().contains("cannot be an objective"));
  }
  CHECK(parse_objective("x").error().text().contains("is no share"));
}

TEST_CASE("objective: months are read") {
  CHECK(parse_month("2026-11").value() == 2026y / November);
  CHECK(parse_month("1970-01").value() == 1970y / January);
  CHECK(parse_month("2199-12").value() == 2199y / December);
  for (const char* text : {"", "2026", "2026-13", "2026-00", "2026-1", "26-11", "2026/11", "1969-12", "2200-01",
                           "2026-1x", "2026-11-01", "x026-11"}) {
    CAPTURE(text);
    REQUIRE(!parse_month(text));
    CHECK(parse_month(text).error().text().contains("is no month"));
  }
}

}  // namespace
}  // namespace nines::availability
