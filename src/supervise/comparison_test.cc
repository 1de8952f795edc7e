#include "supervise/comparison.h"

#include <doctest/doctest.h>

namespace nines::supervise {
namespace {

// So many requests, so many of them errors, all answered after so long.
Evidence evidence(std::uint64_t requests, std::uint64_t errors, Duration latency) {
  Evidence e{.requests = requests, .errors = errors};
  e.latency[plane::latency_bucket(latency)] = requests;
  return e;
}

TEST_CASE("comparison: a table") {
  struct Row {
    const char* why;
    Evidence old, fresh;
    bool errors, latency;  // is it worse?
  };
  Evidence tail = evidence(94, 0, 2ms);
  tail += evidence(6, 0, 100ms);
  Evidence short_tail = evidence(93, 0, 2ms);
  short_tail += evidence(6, 0, 100ms);
  const Row rows[] = {
      {"nothing was asked", {}, {}, false, false},
      {"too few to say", evidence(1000, 0, 2ms), evidence(19, 0, 200ms), false, false},
      {"as good", evidence(1000, 0, 2ms), evidence(1000, 0, 2ms), false, false},
      {"two errors may be bad luck", evidence(1000, 0, 2ms), evidence(20, 2, 2ms), false, false},
      {"three are not", evidence(1000, 0, 2ms), evidence(20, 3, 2ms), true, false},
      {"three of very few", evidence(1000, 0, 2ms), evidence(3, 3, 2ms), true, false},
      {"as many as the old one has", evidence(1000, 100, 2ms), evidence(100, 10, 2ms), false, false},
      {"a percent more", evidence(1000, 100, 2ms), evidence(100, 11, 2ms), false, false},
      {"two percent more", evidence(1000, 100, 2ms), evidence(100, 12, 2ms), true, false},
      {"errors, and nothing of the old one to compare with", {}, evidence(20, 3, 2ms), true, false},
      {"ten times slower", evidence(1000, 0, 2ms), evidence(20, 0, 20ms), false, true},
      {"a bit slower", evidence(1000, 0, 4ms), evidence(20, 0, 6ms), false, false},
      {"much slower, which nobody notices", evidence(1000, 0, 200us), evidence(20, 0, 1900us), false, false},
      {"faster", evidence(1000, 0, 20ms), evidence(1000, 0, 2ms), false, false},
      {"slower, and too few of the old one to compare with", evidence(19, 0, 2ms), evidence(20, 0, 200ms), false,
       false},
      {"only its slowest are slower", evidence(100, 0, 2ms), tail, false, true},
      {"... which takes a hundred to see", evidence(100, 0, 2ms), short_tail, false, false},
      {"... of both", evidence(99, 0, 2ms), tail, false, false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    CHECK(more_errors(row.old, row.fresh, {}).has_value() == row.errors);
    CHECK(slower(row.old, row.fresh, {}).has_value() == row.latency);
  }
}

TEST_CASE("comparison: the tolerance is the user's") {
  CHECK_FALSE(more_errors(evidence(100, 0, 2ms), evidence(100, 9, 2ms), {.errors = 0.1}));
  CHECK(more_errors(evidence(100, 0, 2ms), evidence(100, 11, 2ms), {.errors = 0.1}));
  CHECK_FALSE(slower(evidence(100, 0, 8ms), evidence(100, 0, 30ms), {.latency = 4}));
  CHECK(slower(evidence(100, 0, 8ms), evidence(100, 0, 60ms), {.latency = 4}));
}

TEST_CASE("comparison: what is said") {
  CHECK(more_errors(evidence(100, 1, 2ms), evidence(40, 9, 2ms), {}) ==
        "9 of 40 requests failed, of the old one 1 of 100 requests failed");
  CHECK(slower(evidence(100, 0, 2ms), evidence(40, 0, 40ms), {})->starts_with("its median latency is "));
}

TEST_CASE("comparison: a difference of counts never runs back") {
  const Evidence later = evidence(10, 1, 2ms), earlier = evidence(12, 3, 2ms);
  const Evidence none = later - earlier;
  CHECK(none.requests == 0);
  CHECK(none.errors == 0);
  CHECK(none.latency[plane::latency_bucket(2ms)] == 0);
}

}  // namespace
}  // namespace nines::supervise
