// What the tests of slices share.
#pragma once

#include <random>

#include "ledger/slice.h"

namespace nines::ledger::testing {

// Counts of all kinds, and at most `seconds_max` of the ten seconds known.
inline Slice random_slice(std::mt19937_64& random, std::int64_t start, std::uint64_t seconds_max = 10) {
  const auto some = [&](std::uint64_t below) { return random() % below; };
  Slice slice{.start = start, .good = some(1000), .bad = some(10), .excluded = some(5), .aborted = some(5)};
  slice.probes_good = some(6), slice.probes_bad = some(3);
  std::uint64_t left = some(seconds_max + 1);
  for (const SliceCount count : kSeconds) {
    slice.*count = some(left + 1);
    left -= slice.*count;
  }
  for (std::uint64_t i = some(4); i > 0; --i)
    slice.latency[static_cast<std::uint16_t>(some(kBucketsMax))] += 1 + some(1ULL << 40);
  return slice;
}

inline Slice sum_of(Slice a, const Slice& b) {
  add(a, b);
  return a;
}

}  // namespace nines::ledger::testing
