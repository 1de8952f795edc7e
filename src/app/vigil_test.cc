#include "app/vigil.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace nines::app {
namespace {

Instant at(Duration d) { return Instant{d}; }

// The supervisor is started at 100 s. At each of `looks` the anchor sees the last of `beats` that is not later.
struct Row {
  const char* what;
  std::vector<Duration> beats;
  std::vector<Duration> looks;
  Duration hangs_at;  // the first look that says so; 0: none does
};

std::vector<Duration> every(Duration step, Duration from, Duration to) {
  std::vector<Duration> all;
  for (Duration t = from; t <= to; t += step) all.push_back(t);
  return all;
}

std::vector<Duration> operator+(std::vector<Duration> a, const std::vector<Duration>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Duration first_that_says_so(const Row& row) {
  Vigil vigil;
  vigil.begin(at(100s));
  for (const Duration look : row.looks) {
    Duration beat = 0s;
    for (const Duration one : row.beats) {
      if (one <= look) beat = one;
    }
    if (vigil.hangs(at(beat), at(look))) return look;
  }
  return 0s;
}

TEST_CASE("vigil: a supervisor hangs when it has been silent for ten seconds that we were there for") {
  const Row rows[] = {
      {"beats as it should", every(1s, 100s, 200s), every(2s, 102s, 200s), 0s},
      {"never beats", {}, every(2s, 102s, 200s), 110s},
      {"slow to begin, but in time", every(1s, 109s, 200s), every(2s, 102s, 200s), 0s},
      {"the beat of the one before says nothing about this one", {99s}, every(2s, 102s, 200s), 110s},
      {"stops beating", every(1s, 100s, 150s), every(2s, 102s, 200s), 160s},
      {"misses nine", every(1s, 100s, 150s) + every(1s, 160s, 200s), every(2s, 102s, 200s), 0s},
      {"beats once in nine seconds", every(9s, 100s, 400s), every(2s, 102s, 400s), 0s},
      {"the machine sleeps for an hour", every(1s, 100s, 150s) + every(1s, 3752s, 3800s),
       every(2s, 102s, 150s) + every(2s, 3751s, 3800s), 0s},
      {"the machine sleeps, and the supervisor does not wake", every(1s, 100s, 150s),
       every(2s, 102s, 150s) + every(2s, 3751s, 3800s), 3761s},
      {"it sleeps again and again, and both beat only between", every(30s, 100s, 400s), every(30s, 101s, 400s), 0s},
      {"the anchor's looks are late by less than what counts", every(1s, 100s, 120s), every(4s, 104s, 200s), 132s},
      {"a clock that stands still", {100s}, {100s, 100s, 100s}, 0s},
      {"a beat from the future is one from now", {105s}, {102s, 104s, 106s}, 0s},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    CHECK(first_that_says_so(row) == row.hangs_at);
  }
}

TEST_CASE("vigil: one that was told to go has its whole time again") {
  Vigil vigil;
  vigil.begin(at(0s));
  Duration t = 2s;
  while (!vigil.hangs(at(0s), at(t))) t += 2s;
  CHECK(t == 10s);
  vigil.begin(at(t));
  CHECK(vigil.next() == at(12s));
  CHECK(!vigil.hangs(at(0s), at(12s)));
  CHECK(!vigil.hangs(at(0s), at(18s)));  // 6 s late: we were away
  CHECK(!vigil.hangs(at(0s), at(20s)));
  CHECK(!vigil.hangs(at(0s), at(24s)));
  CHECK(vigil.hangs(at(0s), at(28s)));
}

}  // namespace
}  // namespace nines::app
