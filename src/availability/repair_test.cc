#include "availability/repair.h"

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

#include "availability/test_support.h"

namespace nines::availability {
namespace {

using testing::at;
using testing::close_to;
using testing::span_of;

double hours(Duration d) { return std::chrono::duration<double, std::ratio<3600>>(d).count(); }

// 720 h, three failures repaired in 2, 1 and 3 h.
const Operation kWorked{.up = 714h, .down = 6h, .failures = 3};

TEST_CASE("repair: the worked example") {
  const Partition month = partition(
      span_of(0h, 720h), {.up = Intervals({span_of(0h, 720h)}),
                          .down = Intervals({span_of(100h, 102h), span_of(300h, 301h), span_of(500h, 503h)})});
  CHECK(operation_of(month) == kWorked);
  const auto figures = repair_figures(kWorked);
  REQUIRE(figures);
  CHECK(figures->mttf == 238h);
  CHECK(figures->mttr == 2h);
  CHECK(figures->mtbf == 240h);
  CHECK(100 * availability_of(kWorked)->fraction() == close_to(99.1667, 1e-6));
  CHECK(format_nines(*availability_of(kWorked)) == "2.079");
  const MttfInterval interval = mttf_interval(kWorked, 0.9);
  CHECK(hours(interval.low) == close_to(92.1, 0.0005));
  REQUIRE(interval.high);
  CHECK(hours(*interval.high) == close_to(873.2, 0.0001));
}

TEST_CASE("repair: without a failure there is a bound, never infinity") {
  const Operation quiet{.up = 720h, .down = 0h, .failures = 0};
  CHECK(!repair_figures(quiet));
  CHECK(hours(mttf_at_least(quiet, 0.95)) == close_to(240.3, 0.0002));
  CHECK(hours(mttf_at_least(quiet, 0.95)) == close_to(-720 / std::log(0.05)));  // what χ² with 2 degrees is
  const MttfInterval interval = mttf_interval(quiet, 0.9);
  CHECK(interval.low == mttf_at_least(quiet, 0.95));
  CHECK(!interval.high);
  CHECK(mttf_at_least({}, 0.95) == 0ns);
}

TEST_CASE("repair: chi-squared quantiles against printed tables") {
  // Degrees of freedom, upper-tail probability, quantile [NIST/SEMATECH e-Handbook, 1.3.6.7.4].
  struct Row {
    std::uint64_t failures;
    double one_sided, quantile;  // of 2N + 2 degrees
  };
  const Row rows[] = {{0, 0.90, 4.605},  {0, 0.975, 7.378}, {1, 0.95, 9.488},
                      {4, 0.99, 23.209}, {9, 0.90, 28.412}, {49, 0.95, 124.342}};
  for (const Row& row : rows) {
    CAPTURE(row.failures);
    const double bound = hours(mttf_at_least({.up = 1000h, .down = 0h, .failures = row.failures}, row.one_sided));
    CHECK(2 * 1000 / bound == close_to(row.quantile, 0.0001));
  }
}

TEST_CASE("repair: intervals widen with confidence, narrow with evidence, and hold the figure") {
  for (const std::uint64_t failures : {1ULL, 2ULL, 3ULL, 10ULL, 100ULL, 10'000ULL, 1'000'000'000ULL}) {
    CAPTURE(failures);
    const Operation operation{.up = 100'000h, .down = 1h, .failures = failures};
    const double mttf = hours(operation.up) / static_cast<double>(failures);
    const MttfInterval narrow = mttf_interval(operation, 0.5), wide = mttf_interval(operation, 0.99);
    CHECK(wide.low < narrow.low);
    CHECK(*narrow.high < *wide.high);
    CHECK(hours(narrow.low) < mttf);
    CHECK(hours(*narrow.high) > mttf);
    const double half = (hours(*wide.high) - hours(wide.low)) / 2 / mttf;
    if (failures >= 100) CHECK(half == close_to(2.576 / std::sqrt(static_cast<double>(failures)), 0.1));
  }
}

TEST_CASE("repair: the popular short form") {
  CHECK(100 * popular_short_form(kWorked)->fraction() == close_to(100 * 240.0 / 242));
  CHECK(100 * popular_short_form(kWorked)->fraction() == close_to(99.17, 0.0001));
  const Operation slow{.up = 540h, .down = 180h, .failures = 3};
  CHECK(popular_short_form(slow)->fraction() == 0.8);
  CHECK(availability_of(slow)->fraction() == 0.75);
  CHECK(!popular_short_form({}));
  CHECK(!availability_of(Operation{}));
}

TEST_CASE("repair: what is one failure, and what is none") {
  struct Row {
    const char* why;
    Observations seen;
    std::uint64_t failures;
    Duration down;
  };
  const auto set = [](std::initializer_list<Interval> parts) { return Intervals(std::vector(parts)); };
  const Intervals always = set({span_of(0h, 10h)});
  const Row rows[] = {
      {"nothing", {.up = always}, 0, 0h},
      {"one", {.up = always, .down = set({span_of(1h, 2h)})}, 1, 1h},
      {"degraded between ends it",
       {.up = always, .degraded = set({span_of(2h, 3h)}), .down = set({span_of(1h, 2h), span_of(3h, 4h)})},
       2,
       2h},
      {"a gap nobody watched does not",
       {.up = set({span_of(0h, 1h), span_of(4h, 10h)}), .down = set({span_of(1h, 2h), span_of(3h, 4h)})},
       1,
       2h},
      {"since before the window", {.up = always, .down = set({span_of(-5h, 1h)})}, 1, 1h},
      {"beyond the window", {.up = always, .down = set({span_of(9h, 12h)})}, 1, 1h},
      {"all of it in maintenance",
       {.up = always, .down = set({span_of(2h, 3h)}), .maintenance = set({span_of(1h, 4h)})},
       0,
       0h},
      {"it outlasts maintenance",
       {.up = always, .down = set({span_of(2h, 5h)}), .maintenance = set({span_of(1h, 4h)})},
       1,
       1h},
      {"maintenance in the midst of it",
       {.up = always, .down = set({span_of(1h, 5h)}), .maintenance = set({span_of(2h, 3h)})},
       1,
       3h},
      {"mended during maintenance, and again later",
       {.up = always, .down = set({span_of(1h, 2h), span_of(3h, 4h)}), .maintenance = set({span_of(2h, 3h)})},
       2,
       2h},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    const Operation operation = operation_of(partition(span_of(0h, 10h), row.seen));
    CHECK(operation.failures == row.failures);
    CHECK(operation.down == row.down);
  }
  CHECK(operation_of(partition(
            span_of(0h, 10h),
            {.up = set({span_of(0h, 5h)}), .degraded = set({span_of(4h, 7h)}), .down = set({span_of(7h, 8h)})})) ==
        Operation{.up = 7h, .down = 1h, .failures = 1});
}

Incident incident(Duration last_good, Duration first_bad, std::optional<Duration> noticed,
                  std::optional<Duration> verified) {
  Incident result{.last_good = at(last_good), .first_bad = at(first_bad)};
  if (noticed) result.at(Phase::kNoticed) = at(*noticed);
  if (verified) result.at(Phase::kVerified) = at(*verified);
  return result;
}

TEST_CASE("repair: an onset lies between the last good probe and the first bad one") {
  const Incident one = incident(100s, 110s, 140s, 400s);
  CHECK(time_to(Phase::kNoticed, one) == Bracket{30s, 40s});
  CHECK(time_to(Phase::kVerified, one) == Bracket{290s, 300s});
  CHECK(!time_to(Phase::kAcknowledged, one));
  const std::vector<Incident> all = {one, incident(0s, 10s, 20s, 30s), incident(0s, 10s, std::nullopt, std::nullopt)};
  CHECK(mean_time_to(Phase::kNoticed, all) == Bracket{20s, 30s});
  CHECK(!mean_time_to(Phase::kCauseFound, all));
  // A user called before the probe failed.
  CHECK(time_to(Phase::kNoticed, incident(100s, 110s, 105s, 120s)) == Bracket{0s, 5s});
  CHECK(time_to(Phase::kNoticed, incident(100s, 110s, 90s, 120s)) == Bracket{0s, 0s});
  // A clock that stepped back between the probes.
  CHECK(time_to(Phase::kNoticed, incident(200s, 110s, 140s, 400s)) == Bracket{30s, 30s});
}

TEST_CASE("repair: incidents that overlap are one failure") {
  const std::vector<Incident> incidents = {incident(0h, 0h, std::nullopt, 2h), incident(0h, 1h, std::nullopt, 3h),
                                           incident(4h, 5h, std::nullopt, 6h)};
  CHECK(operation_of(span_of(0h, 24h), incidents) == Operation{.up = 20h, .down = 4h, .failures = 2});
  const std::vector<Incident> open = {incident(20h, 22h, 23h, std::nullopt)};
  CHECK(operation_of(span_of(0h, 24h), open) == Operation{.up = 22h, .down = 2h, .failures = 1});
  CHECK(operation_of(span_of(0h, 24h), {}) == Operation{.up = 24h, .down = 0h, .failures = 0});
}

TEST_CASE("repair: periods add up") {
  Operation year = kWorked;
  year += kWorked;
  CHECK(year == Operation{.up = 1428h, .down = 12h, .failures = 6});
  CHECK(repair_figures(year)->mttf == 238h);
}

TEST_CASE("repair: figures scale with time and agree with each other") {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    const auto factor = 1 + random.below(50);
    const auto length = 1'000 + random.below(100'000);
    std::vector<Incident> incidents, slower;
    for (auto n = 1 + random.below(8); n > 0; --n) {
      const auto begin = random.below(length), takes = 1 + random.below(1'000), noticed = random.below(takes);
      const auto make = [&](std::uint32_t by) {
        const auto seconds = [&](std::uint32_t s) { return std::chrono::seconds(std::uint64_t{by} * s); };
        return incident(seconds(begin), seconds(begin), seconds(begin + noticed), seconds(begin + takes));
      };
      incidents.push_back(make(1));
      slower.push_back(make(factor));
    }
    const Operation one = operation_of(span_of(0s, std::chrono::seconds(length)), incidents);
    const Operation many = operation_of(span_of(0s, std::chrono::seconds(std::uint64_t{length} * factor)), slower);
    CHECK(many == Operation{one.up * factor, one.down * factor, one.failures});
    CHECK(availability_of(one) == availability_of(many));
    const auto a = repair_figures(one), b = repair_figures(many);
    REQUIRE(a);
    REQUIRE(b);
    CHECK(std::abs((b->mttr - a->mttr * factor).count()) <= factor);  // rounding
    CHECK(std::abs((a->mtbf - a->mttf - a->mttr).count()) <= 1);
    CHECK(a->mttr * static_cast<std::int64_t>(one.failures) <= one.down);
    // MTTF ÷ MTBF is up ÷ (up + down).
    CHECK(hours(a->mttf) / hours(a->mtbf) == close_to(availability_of(one)->fraction()));
    const auto detect = mean_time_to(Phase::kNoticed, incidents), later = mean_time_to(Phase::kNoticed, slower);
    CHECK(std::abs((later->most - detect->most * factor).count()) <= factor);
  }
}

}  // namespace
}  // namespace nines::availability
