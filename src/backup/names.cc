#include "backup/names.h"

#include <time.h>

#include <algorithm>
#include <cstdio>

#include "backup/clock.h"
#include "base/text.h"

namespace nines::backup {
namespace {

constexpr std::string_view kPrefix = "backup-", kSuffix = ".tar.zst";

std::optional<unsigned> digits(std::string_view text, std::size_t at, std::size_t count) {
  const auto number = parse_unsigned(text.substr(at, count));
  return number ? std::optional(static_cast<unsigned>(*number)) : std::nullopt;
}

// Days that do not exist, and seconds over 59, are no time.
std::optional<WallTime> time_from(std::optional<unsigned> year, std::optional<unsigned> month,
                                  std::optional<unsigned> day, std::optional<unsigned> hour,
                                  std::optional<unsigned> minute, std::optional<unsigned> second) {
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(static_cast<int>(*year)), std::chrono::month(*month),
                                         std::chrono::day(*day));
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
  // The last year that fits into nanoseconds of 64 bits is 2262.
  if (*year < 1970 || *year > 2261) return std::nullopt;
  return WallTime(std::chrono::sys_days(date)) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
         std::chrono::seconds(*second);
}

}  // namespace

std::string stamp_of(WallTime t) {
  const std::string text = format_rfc3339(t);  // 2026-11-24T02:00:00.000Z
  return text.substr(0, 4) + text.substr(5, 2) + text.substr(8, 2) + "-" + text.substr(11, 2) + text.substr(14, 2) +
         text.substr(17, 2);
}

std::string archive_name(WallTime t) { return std::string(kPrefix) + stamp_of(t) + std::string(kSuffix); }

std::optional<WallTime> time_of(std::string_view name) {
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) return std::nullopt;
  const std::string_view stamp = name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
  if (stamp.size() != 15 || stamp[8] != '-') return std::nullopt;
  return time_from(digits(stamp, 0, 4), digits(stamp, 4, 2), digits(stamp, 6, 2), digits(stamp, 9, 2),
                   digits(stamp, 11, 2), digits(stamp, 13, 2));
}

std::string free_name(WallTime t, std::span<const std::string> taken) {
  std::string name = archive_name(t);
  while (std::ranges::find(taken, name) != taken.end()) name = archive_name(t += 1s);
  return name;
}

std::optional<WallTime> parse_time(std::string_view text) {
  if (text.size() != 24 || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':' ||
      text[19] != '.' || text[23] != 'Z')
    return std::nullopt;
  const auto whole = time_from(digits(text, 0, 4), digits(text, 5, 2), digits(text, 8, 2), digits(text, 11, 2),
                               digits(text, 14, 2), digits(text, 17, 2));
  const auto ms = digits(text, 20, 3);
  if (!whole || !ms) return std::nullopt;
  return *whole + std::chrono::milliseconds(*ms);
}

std::chrono::seconds system_offset(WallTime t) {
  const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(t).time_since_epoch().count();
  std::tm local{};
  if (::localtime_r(&seconds, &local) == nullptr) return {};
  return std::chrono::seconds(local.tm_gmtoff);
}

}  // namespace nines::backup
