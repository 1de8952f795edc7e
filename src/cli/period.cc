#include "cli/period.h"

#include <array>
#include <cstdio>

#include "availability/objective.h"

namespace nines::cli {
namespace {

using availability::Interval, availability::LocalTime, availability::Zone;

// As long as it really is: one in which clocks are set has an hour more, or less.
Interval month_of(std::chrono::year_month month, const Zone& zone) {
  const auto first = [&](std::chrono::year_month m) {
    return zone.at_or_after(LocalTime(std::chrono::sys_days(m / 1).time_since_epoch()));
  };
  return {first(month), first(month + std::chrono::months(1))};
}

}  // namespace

Answered<Period> period_of(const PeriodOptions& options, WallTime now, const Zone& zone) {
  if (options.from) {
    const auto from = options.from->resolve(now, zone);
    if (!from) return refuse(kWrong, "--from: " + from.error().text());
    const auto to = options.to ? options.to->resolve(now, zone) : now;
    if (!to) return refuse(kWrong, "--to: " + to.error().text());
    const Interval interval{*from, *to};
    if (interval.empty()) return refuse(kWrong, "--from is not before " + std::string(options.to ? "--to" : "now"));
    return Period{interval, "that time"};
  }
  if (options.month) {
    const auto month = availability::parse_month(*options.month);
    if (!month) return refuse(kWrong, "--month: " + month.error().text());
    return Period{month_of(*month, zone), *options.month, true};
  }
  const std::chrono::year_month_day today(std::chrono::floor<std::chrono::days>(zone.local(now)));
  const std::chrono::year_month month = today.year() / today.month();
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%04d-%02u", static_cast<int>(month.year()),
                static_cast<unsigned>(month.month()));
  return Period{month_of(month, zone), text.data(), true};
}

}  // namespace nines::cli
