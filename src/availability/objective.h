// What was promised or is aimed for, and how much time it leaves: exact, because the last nanosecond may decide.
#pragma once

#include <chrono>
#include <string_view>

#include "availability/intervals.h"
#include "availability/nines.h"
#include "availability/ratio.h"

namespace nines::availability {

struct Objective {
  Ratio budget{1, 1000};  // what may be bad, 1 − SLO; above 0 and below 1

  Availability availability() const { return Availability::of_unavailability(budget); }
  // An objective is met on its bound: 99.9 % is met by 99.9 %.
  bool met_by(Ratio unavailability) const { return unavailability <= budget; }
  bool operator==(const Objective&) const = default;
};

// "99.9%", "99.9 %", "0.999"; above 0 and below 100 %.
Result<Objective> parse_objective(std::string_view text);

// The downtime a period may have, rounded down to a nanosecond. REQUIRES period >= 0.
Duration allowed_downtime(const Objective& objective, Duration period);

inline constexpr Duration kDay = 24h;
inline constexpr Duration kWeek = 7 * kDay;
inline constexpr Duration kThirtyDays = 30 * kDay;
inline constexpr Duration kYear = 365 * kDay;
inline constexpr Duration kMeanMonth = kYear / 12;  // 730 h; a real one has 672 to 744

// A month as it really is. Offsets: how far local time is ahead of UTC at its two ends; they differ in the months in
// which clocks are changed. REQUIRES month.ok().
Interval month_window(std::chrono::year_month month, std::chrono::seconds offset_at_begin = {},
                      std::chrono::seconds offset_at_end = {});

// "2026-11"; years from 1970 to 2199.
Result<std::chrono::year_month> parse_month(std::string_view text);

}  // namespace nines::availability
