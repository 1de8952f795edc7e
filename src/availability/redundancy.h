// Availability of several components together.
//
// Independent ones: series Π Aᵢ, parallel 1 − Π (1 − Aᵢ), k of n. All of it is reckoned in what is missing from 1, from
// sums and products of numbers that are not negative, so nine nines are as exact as one.
//
// Alike ones with repair are a continuous-time Markov chain whose state is how many are down: each fails at the rate
// 1 ÷ MTTF, as many are mended at a time as there are crews, and those that are up go on failing while the group is
// down. Common cause by the beta-factor model [IEC 61508-6, annex D]: the share β of a component's failures takes all
// of them down, and each is then mended by itself.
#pragma once

#include <chrono>
#include <optional>
#include <span>

#include "availability/nines.h"
#include "availability/ratio.h"

namespace nines::availability {

// All must work; none is a perfect one.
Availability in_series(std::span<const Availability> components);
// One is enough; of none there is none that works.
Availability in_parallel(std::span<const Availability> components);
// So many are enough. REQUIRES 1 <= enough <= components.size(). O(n²).
Availability at_least(std::size_t enough, std::span<const Availability> components);

struct Group {
  int enough = 1;            // k
  int size = 2;              // n; 1 <= k <= n <= kGroupMax
  int crews = 2;             // that repair at a time, at least 1; more than n are n
  Ratio common_cause{0, 1};  // β, from 0 to 1
};
inline constexpr int kGroupMax = 1000;

// Only the quotient MTTR ÷ MTTF matters for how available a group is. `each`: of one component by itself; REQUIRES
// that it is not always down.
Availability group_availability(const Group& group, Availability each);

// May be longer than a Duration: that of three good servers is a geological age.
using Seconds = std::chrono::duration<double>;

struct GroupFigures {
  Availability availability;
  Seconds mttf{0};       // from all up until the group is down; infinite where a double ends
  Seconds mtbf{0};       // between starts of group failures, in the long run; infinite likewise
  Seconds mean_down{0};  // how long such a failure lasts
};

// REQUIRES mttf > 0, mttr > 0.
GroupFigures group_figures(const Group& group, Duration mttf, Duration mttr);

}  // namespace nines::availability
