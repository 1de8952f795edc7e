// Time as the product sees it. Nothing but the adapters may ask the operating system what time it is:
// `now` arrives as an argument, so a simulated year costs milliseconds. `./dev lint` enforces this.
#pragma once

#include <chrono>
#include <compare>
#include <string>

namespace nines {

using Duration = std::chrono::nanoseconds;
using namespace std::chrono_literals;

// A point on the machine's monotonic clock that counts sleep too (CLOCK_BOOTTIME), so instants can be
// compared between processes of one boot. Not wall time: it orders events and never jumps.
struct Instant {
  Duration since_boot{0};

  static constexpr Instant never() { return {Duration::max()}; }

  friend constexpr auto operator<=>(const Instant&, const Instant&) = default;
  // Saturates, so that "forever from now" is never in the past.
  friend constexpr Instant operator+(Instant t, Duration d) {
    return d > Duration::max() - t.since_boot ? never() : Instant{t.since_boot + d};
  }
  friend constexpr Duration operator-(Instant a, Instant b) { return a.since_boot - b.since_boot; }
};

// Wall time, for people and records only; it may jump.
using WallTime = std::chrono::sys_time<std::chrono::nanoseconds>;

// "430 µs", "12 ms", "3.2 s", "4 min 10 s", "3 h 2 min", "5 d 4 h": two significant parts at most.
std::string format_duration(Duration d);

// RFC 3339 in UTC with milliseconds: 2026-11-23T18:37:25.120Z
std::string format_rfc3339(WallTime t);

}  // namespace nines
