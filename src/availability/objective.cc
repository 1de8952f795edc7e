#include "availability/objective.h"

#include <string>

#include "base/check.h"
#include "base/text.h"

namespace nines::availability {

Result<Objective> parse_objective(std::string_view text) {
  const auto share = parse_share(text);
  if (!share) return failure(share.error());
  if (share->part == 0 || share->part == share->whole) {
    return failure(Code::kInvalid,
                   "\"" + std::string(text) +
                       "\" cannot be an objective; write a percentage above 0% and below 100%, such as 99.9%");
  }
  return Objective{complement(*share)};
}

Duration allowed_downtime(const Objective& objective, Duration period) { return scale(period, objective.budget); }

Interval month_window(std::chrono::year_month month, std::chrono::seconds offset_at_begin,
                      std::chrono::seconds offset_at_end) {
  INVARIANT(month.ok());
  const auto first = [](std::chrono::year_month m) { return WallTime(std::chrono::sys_days(m / 1)); };
  return {first(month) - offset_at_begin, first(month + std::chrono::months(1)) - offset_at_end};
}

Result<std::chrono::year_month> parse_month(std::string_view text) {
  const auto wrong = [&] {
    return failure(Code::kInvalid,
                   "\"" + std::string(text) + "\" is no month; write a year and a month, such as 2026-11");
  };
  constexpr std::size_t kYearDigits = 4;
  if (text.size() != kYearDigits + 3 || text[kYearDigits] != '-') return wrong();
  const auto year = parse_unsigned(text.substr(0, kYearDigits)), month = parse_unsigned(text.substr(kYearDigits + 1));
  if (!year || !month || *year < 1970 || *year > 2199 || *month < 1 || *month > 12) return wrong();
  return std::chrono::year(static_cast<int>(*year)) / std::chrono::month(static_cast<unsigned>(*month));
}

}  // namespace nines::availability
