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
  bool is_month = false;
};

// A month of that zone, or between two moments; kWrong when it is neither.
Answered<Period> period_of(const PeriodOptions& options, WallTime now, const availability::Zone& zone);

}  // namespace nines::cli
