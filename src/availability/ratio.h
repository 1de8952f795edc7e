// Exact ratios of counts: requests of requests, nanoseconds of nanoseconds, the decimal digits a person wrote.
//
// Whether an objective was met must not depend on rounding: 99.99 % to the last nanosecond earns no credit, one
// nanosecond more does. So what was counted is compared as counts, and becomes a double only to be shown.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/time.h"

namespace nines::availability {

struct Ratio {
  std::uint64_t part = 0;
  std::uint64_t whole = 1;  // REQUIRES > 0; a part may be larger

  double value() const { return static_cast<double>(part) / static_cast<double>(whole); }

  friend constexpr std::strong_ordering operator<=>(const Ratio& a, const Ratio& b) {
    using Wide = unsigned __int128;
    return static_cast<Wide>(a.part) * b.whole <=> static_cast<Wide>(b.part) * a.whole;
  }
  // 1/2 equals 2/4.
  friend constexpr bool operator==(const Ratio& a, const Ratio& b) { return (a <=> b) == 0; }
};

// Time of time. REQUIRES 0 <= part, 0 < whole.
Ratio ratio(Duration part, Duration whole);

// 1 − r. REQUIRES r <= 1.
Ratio complement(Ratio r);

// The product in lowest terms; nullopt when those do not fit 64 bits.
std::optional<Ratio> multiply(Ratio a, Ratio b);

// d × r, rounded down to a nanosecond; Duration::max() when it is longer. REQUIRES d >= 0.
Duration scale(Duration d, Ratio r);
// count × r, rounded down; the largest count when it is more.
std::uint64_t scale(std::uint64_t count, Ratio r);

// "99.9%", "99.9 %" or "0.999" as 999/1000, exactly; from 0 to 1, at most 18 decimals. A bare "1" is refused, since it
// may mean 1 % as well.
Result<Ratio> parse_share(std::string_view text);

}  // namespace nines::availability
