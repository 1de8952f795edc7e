// When the next backup is due. Pure: the keeper asks once it has started, after each run and when the clock jumped.
//
//   02:00 every day ──► 02:00 local time, whatever the zone does:
//     a clock put forward over it (02:00 does not exist)   at the same distance behind midnight: 03:00 of the new time
//     a clock put back over it (02:00 comes twice)         the first time only
//   missed, as the machine was off, or nothing ran nines   once, at once
//   the first backup of all                                at once
//   failed                                                 again after kRetry, until one works
#pragma once

#include <optional>
#include <span>

#include "backup/clock.h"
#include "base/time.h"

namespace nines::backup {

inline constexpr Duration kRetry = 15min;

struct Minute {
  int hour = 0, minute = 0;  // local time of day
};

struct Past {
  std::optional<WallTime> archive;         // when the newest archive was begun, by whomever
  std::optional<WallTime> failed_attempt;  // the last one that made no archive, if it came after that
};

// `now` or later: when to begin. REQUIRES at least one time.
WallTime next_run(std::span<const Minute> times, WallTime now, const Past& past, const LocalOffset& offset);

// The scheduled moments closest to `now`: at or before it, and after it.
struct Around {
  WallTime before{}, after{};
};
Around scheduled_around(std::span<const Minute> times, WallTime now, const LocalOffset& offset);

}  // namespace nines::backup
