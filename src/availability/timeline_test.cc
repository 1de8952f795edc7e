#include "availability/timeline.h"

#include <doctest/doctest.h>

#include <vector>

#include "availability/test_support.h"

namespace nines::availability {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using testing::at;
using testing::close_to;
using testing::span_of;

Timeline day_with(std::vector<Interval> outages) {
  const Interval day = span_of(0h, 24h);
  return timeline_of(partition(day, {.up = Intervals({day}), .down = Intervals(std::move(outages))}),
                     Maintenance::kLeftOut);
}

TEST_CASE("timeline: one long outage and many short ones") {
  const Timeline one = day_with({span_of(600min, 615min)});
  std::vector<Interval> short_ones;
  for (int i = 0; i < 15; ++i) short_ones.push_back(span_of(minutes(96 * i + 48), minutes(96 * i + 49)));
  const Timeline many = day_with(short_ones);

  struct Row {
    Duration width;
    double one, many;  // percent
  };
  const Row rows[] = {
      {15min, 0, 93.333}, {30min, 50, 96.667}, {60min, 75, 98.333}, {240min, 93.75, 98.75}, {24h, 98.958, 98.958}};
  for (const Row& row : rows) {
    CAPTURE(row.width.count());
    CHECK(100 * worst_window(one, row.width)->availability.fraction() == close_to(row.one, 1e-5));
    CHECK(100 * worst_window(many, row.width)->availability.fraction() == close_to(row.many, 1e-5));
  }
  CHECK(availability_of(one)->unavailability() == 15.0 / 1440);
  CHECK(availability_of(many)->unavailability() == 15.0 / 1440);
}

TEST_CASE("timeline: which window it was") {
  const Timeline day = day_with({span_of(600min, 615min)});
  CHECK(worst_window(day, 15min)->at == span_of(600min, 615min));
  CHECK(worst_window(day, 10min)->at == span_of(600min, 610min));  // the earliest of many
  CHECK(worst_window(day, 60min)->at == span_of(555min, 615min));
  CHECK(worst_window(day, 24h)->at == span_of(0h, 24h));
  CHECK(!worst_window(day, 24h + 1ns));
  CHECK(worst_window(day_with({}), 1h)->availability == Availability());
  CHECK(worst_window(day_with({}), 1h)->at == span_of(0h, 1h));
}

TEST_CASE("timeline: what nobody saw is in no window") {
  const Interval day = span_of(0h, 24h);
  const Timeline gaps = timeline_of(
      partition(day, {.up = Intervals({span_of(0h, 1h), span_of(3h, 24h)}), .down = Intervals({span_of(1h, 2h)})}),
      Maintenance::kLeftOut);
  // 00:00 to 02:30 knows two hours of which one is down; a window that begins within the outage knows only that.
  CHECK(worst_window(gaps, 90min)->availability.unavailability() == 1);
  CHECK(worst_window(gaps, 90min)->at == span_of(1h, 150min));
  const Timeline nothing = timeline_of(partition(day, {}), Maintenance::kLeftOut);
  CHECK(!worst_window(nothing, 1h));
  CHECK(!availability_of(nothing));
  CHECK(!availability_of(Timeline{}));
  CHECK(!worst_window(Timeline{}, 1h));
}

TEST_CASE("timeline: maintenance is left out, or taken as it was") {
  const Interval day = span_of(0h, 24h);
  const Partition cut = partition(
      day, {.up = Intervals({day}), .down = Intervals({span_of(1h, 2h)}), .maintenance = Intervals({span_of(0h, 3h)})});
  CHECK(worst_window(timeline_of(cut, Maintenance::kLeftOut), 4h)->availability == Availability());
  CHECK(worst_window(timeline_of(cut, Maintenance::kAsObserved), 4h)->availability.unavailability() == 0.25);
}

TEST_CASE("timeline: degraded and up are one step") {
  const Interval day = span_of(0h, 24h);
  const Timeline timeline = timeline_of(
      partition(day, {.up = Intervals({day}), .degraded = Intervals({span_of(1h, 2h)})}), Maintenance::kLeftOut);
  CHECK(timeline.steps == std::vector{Step{.from = day.begin, .up = 1, .down = 0}});
}

TEST_CASE("timeline: windows that differ by one nanosecond of centuries are told apart") {
  // Both windows hold the same number of users down for all but one nanosecond; no double could tell.
  const std::uint32_t many = 4'000'000'000;
  const Duration century = 876'000h;
  const Interval window{WallTime(0ns), WallTime(2 * century)};
  Timeline timeline{
      .window = window,
      .steps = {
          {window.begin, many, many}, {window.begin + century - 1ns, 0, many}, {window.begin + century, many, many}}};
  const auto worst = worst_window(timeline, century);
  CHECK(worst->at == Interval{window.begin, window.begin + century});
  timeline.steps = {
      {window.begin, many, many}, {window.begin + century, 0, many}, {window.begin + century + 1ns, many, many}};
  CHECK(worst_window(timeline, century)->at == Interval{window.begin + 1ns, window.begin + century + 1ns});
}

// Every window that begins on a whole second, by adding up its seconds.
TEST_CASE("timeline: the worst of all windows, as trying them all says") {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    const int length = 20 + static_cast<int>(random.below(60));
    std::vector<std::pair<int, int>> users(static_cast<std::size_t>(length));  // up and down in each second
    Timeline timeline{.window = span_of(0s, seconds(length)), .steps = {}};
    const std::uint32_t most = 1 + random.below(3);
    for (int s = 0; s < length; ++s) {
      auto& now = users[static_cast<std::size_t>(s)];
      if (s > 0 && random.below(4) != 0) {
        now = users[static_cast<std::size_t>(s) - 1];
        continue;
      }
      now = {static_cast<int>(random.below(most + 1)),
             random.below(2) == 0 ? 0 : static_cast<int>(random.below(most + 1))};
      timeline.steps.push_back(
          {at(seconds(s)), static_cast<std::uint32_t>(now.first), static_cast<std::uint32_t>(now.second)});
    }
    const int width = 1 + static_cast<int>(random.below(static_cast<std::uint32_t>(length)));
    CAPTURE(width);
    const auto unavailability_from = [&](int begin) -> std::optional<double> {
      int up = 0, down = 0;
      for (int s = begin; s < begin + width; ++s) {
        up += users[static_cast<std::size_t>(s)].first;
        down += users[static_cast<std::size_t>(s)].second;
      }
      if (up + down == 0) return std::nullopt;
      return static_cast<double>(down) / (up + down);
    };
    std::optional<double> worst;
    for (int begin = 0; begin + width <= length; ++begin) {
      const auto one = unavailability_from(begin);
      if (one && (!worst || *one > *worst)) worst = one;
    }
    const auto found = worst_window(timeline, seconds(width));
    REQUIRE(found.has_value() == worst.has_value());
    if (!found) continue;
    CHECK(found->availability.unavailability() == *worst);
    const Duration begin = found->at.begin - timeline.window.begin;
    REQUIRE(begin % 1s == 0s);
    CHECK(found->at.length() == seconds(width));
    CHECK(unavailability_from(static_cast<int>(begin / 1s)) == worst);
    if (width == length) CHECK(found->availability == *availability_of(timeline));
  }
}

}  // namespace
}  // namespace nines::availability
