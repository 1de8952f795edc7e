// Stretches of wall time, half-open: [begin, end). A set of them is kept united, so that what overlaps is never
// counted twice: 00:00 to 02:00 and 01:00 to 03:00 are three hours.
//
// One that ends before it begins is empty: a clock that stepped back makes no negative time.
#pragma once

#include <span>
#include <vector>

#include "base/time.h"

namespace nines::availability {

struct Interval {
  WallTime begin{};
  WallTime end{};  // no longer part of it

  bool empty() const { return end <= begin; }
  // Never negative; at most Duration::max(), 292 years.
  Duration length() const;
  bool contains(WallTime t) const { return begin <= t && t < end; }

  bool operator==(const Interval&) const = default;
};

class Intervals {
 public:
  Intervals() = default;
  // In any order; they may overlap. O(n log n).
  explicit Intervals(std::vector<Interval> parts);

  // In order of time; each is longer than nothing, and before each there is a gap.
  std::span<const Interval> parts() const { return parts_; }
  bool empty() const { return parts_.empty(); }
  Duration total() const;
  bool contains(WallTime t) const;  // O(log n)

  // Union, intersection and what is in the first only. O(n).
  friend Intervals operator|(const Intervals& a, const Intervals& b);
  friend Intervals operator&(const Intervals& a, const Intervals& b);
  friend Intervals operator-(const Intervals& a, const Intervals& b);

  bool operator==(const Intervals&) const = default;

 private:
  std::vector<Interval> parts_;
};

}  // namespace nines::availability
