// A replica that has just become ready gets few requests at first: its caches are cold, its code is not compiled yet,
// its connections are not made. Its weight grows in a line from a tenth to the whole. While no other takes requests it
// has nobody to compare with, and gets all of them. (HAProxy's slowstart, Envoy's slow start with aggression 1.) Pure.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/time.h"

namespace nines::gateway {

struct SlowStartLimits {
  Duration window = 10s;
  double begins_at = 0.1;  // of its weight
};

// Full weights are hundredths of a percent, so that a tenth of one percent is still something.
inline constexpr std::uint32_t kWeightUnit = 100;

// The weight to balance by. `percent` as configured, `since`: when it became routable. 0 only for 0 percent.
constexpr std::uint32_t effective_weight(const SlowStartLimits& limits, std::uint32_t percent, Instant since,
                                         Instant now) {
  const std::uint32_t whole = percent * kWeightUnit;
  const Duration age = std::max(now - since, Duration(0));
  if (whole == 0 || age >= limits.window) return whole;
  const double grown = static_cast<double>(age.count()) / static_cast<double>(limits.window.count());
  const double share = limits.begins_at + (1 - limits.begins_at) * grown;
  return std::max<std::uint32_t>(1, static_cast<std::uint32_t>(share * whole));
}

}  // namespace nines::gateway
