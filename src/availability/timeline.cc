#include "availability/timeline.h"

#include <algorithm>

#include "base/check.h"

namespace nines::availability {
namespace {

// Users times nanoseconds: 2^32 · 2^63.
using Wide = unsigned __int128;

struct Sums {
  Wide down = 0, there = 0;

  Sums operator-(const Sums& earlier) const { return {down - earlier.down, there - earlier.there}; }
};

// a.down ÷ a.there > b.down ÷ b.there, exactly: by continued fractions, since products need more than 128 bits.
// REQUIRES a.there > 0, b.there > 0.
bool worse(Sums a, Sums b) {
  while (true) {
    const Wide whole_a = a.down / a.there, whole_b = b.down / b.there;
    if (whole_a != whole_b) return whole_a > whole_b;
    const Wide rest_a = a.down % a.there, rest_b = b.down % b.there;
    if (rest_b == 0) return rest_a > 0;
    if (rest_a == 0) return false;
    // a' > b' if and only if 1 ÷ b' > 1 ÷ a'
    const Sums inverse_a{a.there, rest_a};
    a = {b.there, rest_b};
    b = inverse_a;
  }
}

// Sums from the window's begin up to a moment.
class Accumulator {
 public:
  explicit Accumulator(const Timeline& timeline) : timeline_(timeline) {}

  // REQUIRES t never goes back, and lies within the window or at its end.
  Sums until(WallTime t) {
    const auto& steps = timeline_.steps;
    while (at_ + 1 < steps.size() && steps[at_ + 1].from <= t) {
      add(passed_, steps[at_], steps[at_ + 1].from);
      ++at_;
    }
    Sums sums = passed_;
    if (at_ < steps.size()) add(sums, steps[at_], t);
    return sums;
  }

 private:
  static void add(Sums& sums, const Step& step, WallTime end) {
    const auto length = static_cast<Wide>(Interval{step.from, end}.length().count());
    sums.down += length * step.down;
    sums.there += length * step.down + length * step.up;
  }

  const Timeline& timeline_;
  std::size_t at_ = 0;
  Sums passed_;
};

Availability as_availability(const Sums& sums) {
  return Availability::of_unavailability(static_cast<double>(sums.down) / static_cast<double>(sums.there));
}

// Where a window begins when one of its ends meets a step; in order.
std::vector<WallTime> begins(const Timeline& timeline, Duration width) {
  const WallTime last = timeline.window.end - width;
  std::vector<WallTime> at_begin, at_end;
  for (const Step& step : timeline.steps) {
    if (step.from <= last) at_begin.push_back(step.from);
    if (step.from - timeline.window.begin >= width) at_end.push_back(step.from - width);
  }
  at_end.push_back(last);
  std::vector<WallTime> all(at_begin.size() + at_end.size());
  std::ranges::merge(at_begin, at_end, all.begin());
  all.erase(std::ranges::unique(all).begin(), all.end());
  return all;
}

}  // namespace

Timeline timeline_of(const Partition& partition, Maintenance maintenance) {
  Timeline timeline{.window = partition.window, .steps = {}};
  for (const Slice& slice : partition.slices) {
    const State state = maintenance == Maintenance::kAsObserved ? slice.observed : slice.state();
    const bool up = state == State::kUp || state == State::kDegraded, down = state == State::kDown;
    const Step step{.from = slice.at.begin, .up = up ? 1U : 0U, .down = down ? 1U : 0U};
    const bool same =
        !timeline.steps.empty() && timeline.steps.back().up == step.up && timeline.steps.back().down == step.down;
    if (!same) timeline.steps.push_back(step);
  }
  return timeline;
}

std::optional<Availability> availability_of(const Timeline& timeline) {
  if (timeline.window.empty()) return std::nullopt;
  const Sums sums = Accumulator(timeline).until(timeline.window.end);
  if (sums.there == 0) return std::nullopt;
  return as_availability(sums);
}

std::optional<WorstWindow> worst_window(const Timeline& timeline, Duration width) {
  INVARIANT(width > 0ns);
  if (timeline.window.length() < width) return std::nullopt;
  Accumulator to_begin(timeline), to_end(timeline);
  std::optional<Sums> worst;
  WallTime worst_begin{};
  for (const WallTime begin : begins(timeline, width)) {
    const Sums sums = to_end.until(begin + width) - to_begin.until(begin);
    // Where nobody was there at one end of a linear piece, the quotient is the same all over the piece: the other
    // end has it.
    if (sums.there == 0 || (worst && !worse(sums, *worst))) continue;
    worst = sums;
    worst_begin = begin;
  }
  if (!worst) return std::nullopt;
  return WorstWindow{.availability = as_availability(*worst), .at = {worst_begin, worst_begin + width}};
}

}  // namespace nines::availability
