#include "backup/schedule.h"

#include <algorithm>

#include "base/check.h"

namespace nines::backup {
namespace {

// The moment at which clocks show this local time: the first, if there are two; if there is none, the moment that
// would have been it, had the clocks not been put forward.
WallTime moment_of(std::chrono::local_seconds local, const LocalOffset& offset) {
  const WallTime as_utc{local.time_since_epoch()};
  // No zone is further than 14 hours from UTC, and none changes twice in two days.
  const auto before = offset(as_utc - 24h), after = offset(as_utc + 24h);
  const WallTime early = as_utc - std::max(before, after), late = as_utc - std::min(before, after);
  if (offset(early) == std::max(before, after)) return early;
  if (offset(late) == std::min(before, after)) return late;
  return as_utc - before;
}

}  // namespace

Around scheduled_around(std::span<const Minute> times, WallTime now, const LocalOffset& offset) {
  INVARIANT(!times.empty());
  const auto today = std::chrono::floor<std::chrono::days>(
      std::chrono::local_seconds((std::chrono::floor<std::chrono::seconds>(now) + offset(now)).time_since_epoch()));
  std::optional<WallTime> before, after;
  for (int day = -2; day <= 2; ++day) {
    for (const Minute& time : times) {
      const auto local =
          today + std::chrono::days(day) + std::chrono::hours(time.hour) + std::chrono::minutes(time.minute);
      const WallTime moment = moment_of(local, offset);
      if (moment <= now && (!before || moment > *before)) before = moment;
      if (moment > now && (!after || moment < *after)) after = moment;
    }
  }
  return {*before, *after};
}

WallTime next_run(std::span<const Minute> times, WallTime now, const Past& past, const LocalOffset& offset) {
  const Around around = scheduled_around(times, now, offset);
  // A second of grace: names of archives have no fraction, and a timer may fire a little early.
  const bool missed = !past.archive || *past.archive + 1s < around.before;
  if (!missed) return around.after;
  if (!past.failed_attempt) return now;
  // An attempt in the future is one of before the clock was put back.
  if (*past.failed_attempt > now) return now;
  return std::min(around.after, std::max(now, *past.failed_attempt + kRetry));
}

}  // namespace nines::backup
