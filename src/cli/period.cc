#include "cli/period.h"

#include <array>
#include <cstdio>
#include <ctime>

#include "availability/objective.h"

namespace nines::cli {
namespace {

using availability::Interval;

}  // namespace

std::chrono::seconds local_offset(WallTime t) {
  const std::time_t second = std::chrono::floor<std::chrono::seconds>(t).time_since_epoch().count();
  std::tm local{};
  ::localtime_r(&second, &local);
  return std::chrono::seconds(local.tm_gmtoff);
}

std::string local_text(WallTime t) {
  const std::chrono::seconds offset = local_offset(t);
  std::string text = format_rfc3339(t + offset).substr(0, 19);
  text[10] = ' ';
  if (offset == 0s) return text + "Z";
  const auto minutes = std::chrono::abs(std::chrono::duration_cast<std::chrono::minutes>(offset)).count();
  std::array<char, 16> zone{};
  std::snprintf(zone.data(), zone.size(), "%c%02d:%02d", offset < 0s ? '-' : '+', static_cast<int>(minutes / 60),
                static_cast<int>(minutes % 60));
  return text + zone.data();
}

namespace {

Interval local_month(std::chrono::year_month month) {
  // Offsets do not change within hours of both ends, but for a few clocks a century.
  const Interval rough = availability::month_window(month);
  return availability::month_window(month, local_offset(rough.begin), local_offset(rough.end));
}

}  // namespace

Answered<Period> period_of(const PeriodOptions& options, WallTime now) {
  if (options.from) {
    const Interval interval{options.from->resolve(now), options.to ? options.to->resolve(now) : now};
    if (interval.empty()) return refuse(kWrong, "--from is not before " + std::string(options.to ? "--to" : "now"));
    return Period{interval, "that time"};
  }
  if (options.month) {
    const auto month = availability::parse_month(*options.month);
    if (!month) return refuse(kWrong, "--month: " + month.error().text());
    return Period{local_month(*month), *options.month};
  }
  const auto today = std::chrono::floor<std::chrono::days>(now + local_offset(now));
  const std::chrono::year_month_day date(today);
  const std::chrono::year_month month = date.year() / date.month();
  char text[16];
  std::snprintf(text, sizeof text, "%04d-%02u", static_cast<int>(month.year()), static_cast<unsigned>(month.month()));
  return Period{local_month(month), text};
}

}  // namespace nines::cli
