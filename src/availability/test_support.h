// For this module's tests: moments and stretches counted in seconds from an arbitrary beginning, and random sets of
// them that a brute-force count of seconds can check.
#pragma once

#include <cmath>
#include <ostream>
#include <vector>

#include "availability/intervals.h"
#include "base/random.h"

namespace nines::availability::testing {

// Equal but for a share of the value. doctest's Approx takes all that is far below 1 for equal.
struct CloseTo {
  double value;
  double share;

  friend bool operator==(double is, const CloseTo& wanted) {
    return std::abs(is - wanted.value) <= wanted.share * std::abs(wanted.value);
  }
  friend std::ostream& operator<<(std::ostream& out, const CloseTo& wanted) { return out << wanted.value; }
};
inline CloseTo close_to(double value, double share = 1e-9) { return {value, share}; }

inline WallTime at(Duration since_begin) { return WallTime(since_begin + 490'000h); }

inline Interval span_of(Duration begin, Duration end) { return {at(begin), at(end)}; }

// Up to `count` stretches within [0, seconds), short and long, overlapping, some of them empty.
inline std::vector<Interval> random_stretches(Random& random, std::uint32_t count, std::uint32_t seconds) {
  std::vector<Interval> parts;
  for (std::uint32_t i = random.below(count + 1); i > 0; --i) {
    const std::uint32_t begin = random.below(seconds);
    const std::uint32_t longest = random.below(4) == 0 ? seconds : 1 + seconds / 10;
    const std::uint32_t end = std::min(seconds, begin + random.below(longest));
    parts.push_back(span_of(std::chrono::seconds(begin), std::chrono::seconds(end)));
  }
  return parts;
}

// For each second from 0 whether any of them covers it.
inline std::vector<bool> mark(const std::vector<Interval>& parts, std::uint32_t seconds) {
  std::vector<bool> marked(seconds);
  for (std::uint32_t s = 0; s < seconds; ++s) {
    for (const Interval& part : parts) {
      if (part.contains(at(std::chrono::seconds(s)))) marked[s] = true;
    }
  }
  return marked;
}

}  // namespace nines::availability::testing
