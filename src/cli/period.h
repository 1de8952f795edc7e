// The stretch of time a report is about, as a person names it.
#pragma once

#include <optional>
#include <string>

#include "availability/intervals.h"
#include "cli/moment.h"
#include "cli/target.h"

namespace nines::cli {

struct Period {
  availability::Interval interval;
  std::string text;  // "2026-11"
};

// A month in local time, or between two moments; kWrong when it is neither.
Answered<Period> period_of(const PeriodOptions& options, WallTime now);

// How far local time is ahead of UTC.
std::chrono::seconds local_offset(WallTime t);
// "2026-11-27 13:02:10+01:00", of UTC "2026-11-27 12:02:10Z"
std::string local_text(WallTime t);

}  // namespace nines::cli
