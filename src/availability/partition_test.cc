#include "availability/partition.h"

#include <doctest/doctest.h>

#include <array>
#include <map>

#include "availability/test_support.h"

namespace nines::availability {
namespace {

using testing::at;
using testing::close_to;
using testing::span_of;

TEST_CASE("partition: three hours down, two reports, one day") {
  const Partition day = partition(
      span_of(0h, 24h), {.up = Intervals({span_of(0h, 24h)}), .down = Intervals({span_of(0h, 2h), span_of(1h, 3h)})});
  CHECK(day.account().in(State::kDown) == 180min);
  CHECK(availability_of(contractual(day.account()))->observed->unavailability() == 0.125);  // 87.50 %
}

TEST_CASE("partition: what is not known makes a bracket") {
  const ObservedTime month{.up = 711h, .down = 1h, .unknown = 8h};
  const auto figures = availability_of(month);
  REQUIRE(figures);
  CHECK(100 * figures->observed->fraction() == close_to(99.860, 1e-5));
  CHECK(figures->low.fraction() == 0.9875);
  CHECK(100 * figures->high.fraction() == close_to(99.861, 1e-5));
  CHECK(100 * figures->coverage == close_to(98.89, 1e-4));
  CHECK(unavailability_at_worst(month) == Ratio{9, 720});
}

TEST_CASE("partition: degraded is up, and is told apart") {
  const auto figures = availability_of({.up = 1h, .degraded = 2h, .down = 1h});
  CHECK(figures->observed->unavailability() == 0.25);
  CHECK(figures->coverage == 1);
}

TEST_CASE("partition: where nothing is known, nothing is claimed") {
  CHECK(!availability_of({}));
  CHECK(!unavailability_at_worst({}));
  const auto figures = availability_of({.unknown = 1h});
  REQUIRE(figures);
  CHECK(!figures->observed);
  CHECK(figures->low.unavailability() == 1);
  CHECK(figures->high.unavailability() == 0);
  CHECK(figures->coverage == 0);
}

TEST_CASE("partition: which state wins") {
  struct Row {
    const char* why;
    bool up, degraded, down, maintenance;
    State state, observed;
  };
  using enum State;
  const Row rows[] = {
      {"nobody saw it", false, false, false, false, kUnknown, kUnknown},
      {"up", true, false, false, false, kUp, kUp},
      {"two saw different things: the worse one holds", true, true, false, false, kDegraded, kDegraded},
      {"down beats up", true, false, true, false, kDown, kDown},
      {"down beats all that was seen", true, true, true, false, kDown, kDown},
      {"declared maintenance wins", true, false, false, true, kMaintenance, kUp},
      {"... also where it really was down", false, false, true, true, kMaintenance, kDown},
      {"... or nobody looked", false, false, false, true, kMaintenance, kUnknown},
  };
  const Interval hour = span_of(0h, 1h);
  for (const Row& row : rows) {
    CAPTURE(row.why);
    const auto set = [&](bool there) { return there ? Intervals({hour}) : Intervals(); };
    const Partition cut = partition(hour, {set(row.up), set(row.degraded), set(row.down), set(row.maintenance)});
    REQUIRE(cut.slices.size() == 1);
    CHECK(cut.slices[0].at == hour);
    CHECK(cut.slices[0].state() == row.state);
    CHECK(cut.slices[0].observed == row.observed);
    CHECK(cut.account().in(row.state) == 1h);
  }
}

TEST_CASE("partition: raw and contractual") {
  // Ten hours; two of declared maintenance, in one of which it was really down; one more hour down without notice.
  const Account account = partition(span_of(0h, 10h), {.up = Intervals({span_of(0h, 10h)}),
                                                       .down = Intervals({span_of(3h, 4h), span_of(6h, 7h)}),
                                                       .maintenance = Intervals({span_of(3h, 5h)})})
                              .account();
  CHECK(account.in(State::kMaintenance) == 2h);
  CHECK(availability_of(contractual(account))->observed->unavailability() == 0.125);  // 1 of 8
  CHECK(availability_of(raw(account))->observed->unavailability() == 0.2);            // 2 of 10
}

TEST_CASE("partition: slices follow each other, and neighbours differ") {
  const Partition cut = partition(span_of(1h, 9h), {.up = Intervals({span_of(0h, 4h), span_of(5h, 20h)}),
                                                    .degraded = Intervals({span_of(6h, 7h)}),
                                                    .down = Intervals({span_of(3h, 4h)})});
  using enum State;
  const std::array expected = {Slice{span_of(1h, 3h), kUp, false},       Slice{span_of(3h, 4h), kDown, false},
                               Slice{span_of(4h, 5h), kUnknown, false},  Slice{span_of(5h, 6h), kUp, false},
                               Slice{span_of(6h, 7h), kDegraded, false}, Slice{span_of(7h, 9h), kUp, false}};
  CHECK(std::ranges::equal(cut.slices, expected));
  // An edge of a set that changes nothing cuts nothing.
  CHECK(partition(span_of(0h, 2h), {.up = Intervals({span_of(0h, 1h)}), .down = Intervals({span_of(0h, 2h)})})
            .slices.size() == 1);
}

TEST_CASE("partition: of an empty window") {
  CHECK(partition(span_of(1h, 1h), {.up = Intervals({span_of(0h, 4h)})}).slices.empty());
  CHECK(partition(span_of(2h, 1h), {.up = Intervals({span_of(0h, 4h)})}).account().total() == 0ns);
}

TEST_CASE("partition: names") {
  CHECK(name_of(State::kUp) == "UP");
  CHECK(name_of(State::kMaintenance) == "MAINTENANCE");
  CHECK(name_of(State::kUnknown) == "UNKNOWN");
}

Account random_account(Random& random) {
  const auto time = [&] { return std::chrono::seconds(random.below(3) == 0 ? 0 : random.below(3600)); };
  return {.outside = {time(), time(), time(), time()}, .maintenance = {time(), time(), time(), time()}};
}

TEST_CASE("partition: slices add up in any order") {
  for (std::uint64_t seed = 1; seed <= 1'000; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    const Account a = random_account(random), b = random_account(random), c = random_account(random);
    CHECK(((a + b) + c) == (a + (b + c)));
    CHECK((a + b) == (b + a));
    CHECK((a + Account{}) == a);
    CHECK((a + b).total() == a.total() + b.total());
    CHECK(raw(a + b) == raw(a) + raw(b));
  }
}

TEST_CASE("partition: as a count of seconds says, and low <= observed <= high") {
  constexpr std::uint32_t kSeconds = 150;
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    const auto up = testing::random_stretches(random, 8, kSeconds),
               degraded = testing::random_stretches(random, 4, kSeconds),
               down = testing::random_stretches(random, 4, kSeconds),
               maintenance = testing::random_stretches(random, 3, kSeconds);
    const Interval window =
        span_of(std::chrono::seconds(random.below(20)), std::chrono::seconds(130 + random.below(20)));
    const Partition cut =
        partition(window, {Intervals(up), Intervals(degraded), Intervals(down), Intervals(maintenance)});

    const auto is_up = testing::mark(up, kSeconds), is_degraded = testing::mark(degraded, kSeconds),
               is_down = testing::mark(down, kSeconds), is_maintenance = testing::mark(maintenance, kSeconds);
    std::map<State, Duration> counted;
    Duration really_down{0};
    for (std::uint32_t s = 0; s < kSeconds; ++s) {
      if (!window.contains(at(std::chrono::seconds(s)))) continue;
      const State state = is_maintenance[s] ? State::kMaintenance
                          : is_down[s]      ? State::kDown
                          : is_degraded[s]  ? State::kDegraded
                          : is_up[s]        ? State::kUp
                                            : State::kUnknown;
      counted[state] += 1s;
      if (is_down[s]) really_down += 1s;
    }
    const Account account = cut.account();
    for (const State state : {State::kUp, State::kDegraded, State::kDown, State::kMaintenance, State::kUnknown})
      CHECK(account.in(state) == counted[state]);
    CHECK(raw(account).down == really_down);
    CHECK(account.total() == window.length());

    WallTime end = window.begin;
    for (std::size_t i = 0; i < cut.slices.size(); ++i) {
      CHECK(cut.slices[i].at.begin == end);
      end = cut.slices[i].at.end;
      if (i > 0) {
        const bool differs = cut.slices[i].observed != cut.slices[i - 1].observed ||
                             cut.slices[i].maintenance != cut.slices[i - 1].maintenance;
        CHECK(differs);
      }
    }
    CHECK(end == window.end);

    for (const ObservedTime& time : {contractual(account), raw(account)}) {
      const auto figures = availability_of(time);
      if (!figures || !figures->observed) continue;
      CHECK(figures->low <= *figures->observed);
      CHECK(*figures->observed <= figures->high);
      CHECK((figures->coverage == 1) == (time.unknown == 0ns));
      CHECK((figures->low == figures->high) == (time.unknown == 0ns));
    }
  }
}

}  // namespace
}  // namespace nines::availability
