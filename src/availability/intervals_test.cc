#include "availability/intervals.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "availability/test_support.h"

namespace nines::availability {
namespace {

using testing::at;
using testing::span_of;

TEST_CASE("intervals: what overlaps is united before it is summed") {
  const Intervals down({span_of(1h, 3h), span_of(0h, 2h)});
  REQUIRE(down.parts().size() == 1);
  CHECK(down.parts()[0] == span_of(0h, 3h));
  CHECK(down.total() == 180min);
}

TEST_CASE("intervals: neighbours become one, gaps stay") {
  const Intervals set({span_of(2h, 3h), span_of(0h, 1h), span_of(1h, 2h), span_of(4h, 5h)});
  REQUIRE(set.parts().size() == 2);
  CHECK(set.total() == 4h);
  CHECK(set.contains(at(0h)));
  CHECK(set.contains(at(3h - 1ns)));
  CHECK(!set.contains(at(3h)));
  CHECK(!set.contains(at(0h - 1ns)));
  CHECK(set.contains(at(4h)));
  CHECK(!set.contains(at(5h)));
  CHECK(!Intervals().contains(at(0h)));
}

TEST_CASE("intervals: one inside another shortens nothing") {
  CHECK(Intervals({span_of(0h, 5h), span_of(1h, 2h)}).total() == 5h);
}

TEST_CASE("intervals: a clock that stepped back makes no time") {
  CHECK(span_of(2h, 1h).length() == 0ns);
  CHECK(span_of(2h, 2h).empty());
  CHECK(Intervals({span_of(2h, 1h), span_of(3h, 3h)}).empty());
  CHECK(Intervals({span_of(2h, 1h), span_of(0h, 1h)}).total() == 1h);
}

TEST_CASE("intervals: all of time is as long as can be said") {
  const Interval ever{WallTime::min(), WallTime::max()};
  CHECK(ever.length() == Duration::max());
  CHECK(Intervals({{WallTime::min(), WallTime(-1ns)}, {WallTime(1ns), WallTime::max()}}).total() == Duration::max());
}

TEST_CASE("intervals: union, intersection and difference") {
  const Intervals a({span_of(0h, 2h), span_of(4h, 6h)}), b({span_of(1h, 5h)});
  CHECK((a | b) == Intervals({span_of(0h, 6h)}));
  CHECK((a & b) == Intervals({span_of(1h, 2h), span_of(4h, 5h)}));
  CHECK((a - b) == Intervals({span_of(0h, 1h), span_of(5h, 6h)}));
  CHECK((b - a) == Intervals({span_of(2h, 4h)}));
  CHECK((a - a).empty());
  CHECK((a & Intervals()).empty());
  CHECK((Intervals({span_of(0h, 1h)}) | Intervals({span_of(1h, 2h)})) == Intervals({span_of(0h, 2h)}));
  CHECK((Intervals({span_of(0h, 1h)}) & Intervals({span_of(1h, 2h)})).empty());
}

TEST_CASE("intervals: as a count of seconds says, whatever overlaps") {
  constexpr std::uint32_t kSeconds = 200;
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    const auto one = testing::random_stretches(random, 8, kSeconds),
               two = testing::random_stretches(random, 8, kSeconds);
    const auto in_one = testing::mark(one, kSeconds), in_two = testing::mark(two, kSeconds);
    const Intervals a(one), b(two);
    const Intervals both = a & b, either = a | b, first = a - b;
    CHECK(a.total() == std::chrono::seconds(std::ranges::count(in_one, true)));
    for (const Intervals* set : {&a, &b, &both, &either, &first}) {
      for (std::size_t i = 0; i < set->parts().size(); ++i) {
        CHECK(!set->parts()[i].empty());
        if (i > 0) CHECK(set->parts()[i - 1].end < set->parts()[i].begin);
      }
    }
    for (std::uint32_t s = 0; s < kSeconds; ++s) {
      const WallTime t = at(std::chrono::seconds(s));
      REQUIRE(a.contains(t) == in_one[s]);
      REQUIRE(both.contains(t) == (in_one[s] && in_two[s]));
      REQUIRE(either.contains(t) == (in_one[s] || in_two[s]));
      REQUIRE(first.contains(t) == (in_one[s] && !in_two[s]));
    }
    CHECK((both.total() + either.total()) == (a.total() + b.total()));
  }
}

}  // namespace
}  // namespace nines::availability
