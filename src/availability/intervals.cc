#include "availability/intervals.h"

#include <algorithm>

namespace nines::availability {
namespace {

// Where a set begins or ceases to hold, in order; `at` counts both ends of each part.
struct Edges {
  std::span<const Interval> parts;
  std::size_t at = 0;

  bool done() const { return at == 2 * parts.size(); }
  WallTime next() const { return at % 2 == 0 ? parts[at / 2].begin : parts[at / 2].end; }
  bool inside() const { return at % 2 == 1; }
};

// What `keep` says of being inside of one and of the other. REQUIRES !keep(false, false).
template <class Keep>
std::vector<Interval> combine(Edges a, Edges b, Keep keep) {
  std::vector<Interval> result;
  bool open = false;
  while (!a.done() || !b.done()) {
    const WallTime t = a.done() ? b.next() : b.done() ? a.next() : std::min(a.next(), b.next());
    if (!a.done() && a.next() == t) ++a.at;
    if (!b.done() && b.next() == t) ++b.at;
    const bool wanted = keep(a.inside(), b.inside());
    if (wanted && !open) result.push_back({t, t});
    if (!wanted && open) result.back().end = t;
    open = wanted;
  }
  return result;
}

}  // namespace

Duration Interval::length() const {
  if (empty()) return 0ns;
  Duration::rep count = 0;
  const bool too_long =
      __builtin_sub_overflow(end.time_since_epoch().count(), begin.time_since_epoch().count(), &count);
  return too_long ? Duration::max() : Duration(count);
}

Intervals::Intervals(std::vector<Interval> parts) {
  std::erase_if(parts, &Interval::empty);
  std::ranges::sort(parts, {}, &Interval::begin);
  for (const Interval& part : parts) {
    if (!parts_.empty() && part.begin <= parts_.back().end) {
      parts_.back().end = std::max(parts_.back().end, part.end);
    } else {
      parts_.push_back(part);
    }
  }
}

Duration Intervals::total() const {
  Duration sum{0};
  for (const Interval& part : parts_) {
    const Duration length = part.length();
    sum = length > Duration::max() - sum ? Duration::max() : sum + length;
  }
  return sum;
}

bool Intervals::contains(WallTime t) const {
  const auto after = std::ranges::upper_bound(parts_, t, {}, &Interval::begin);
  return after != parts_.begin() && std::prev(after)->contains(t);
}

Intervals operator|(const Intervals& a, const Intervals& b) {
  Intervals result;
  result.parts_ = combine({a.parts_}, {b.parts_}, [](bool in_a, bool in_b) { return in_a || in_b; });
  return result;
}

Intervals operator&(const Intervals& a, const Intervals& b) {
  Intervals result;
  result.parts_ = combine({a.parts_}, {b.parts_}, [](bool in_a, bool in_b) { return in_a && in_b; });
  return result;
}

Intervals operator-(const Intervals& a, const Intervals& b) {
  Intervals result;
  result.parts_ = combine({a.parts_}, {b.parts_}, [](bool in_a, bool in_b) { return in_a && !in_b; });
  return result;
}

}  // namespace nines::availability
