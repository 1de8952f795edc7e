#include "base/time.h"

#include <cmath>
#include <cstdio>
#include <ctime>

namespace nines {
namespace {

std::string two_parts(long long big, const char* big_unit, long long small, const char* small_unit) {
  std::string text = std::to_string(big) + " " + big_unit;
  if (small != 0) text += " " + std::to_string(small) + " " + small_unit;
  return text;
}

std::string one_part(double value, const char* unit) {
  char text[48];
  std::snprintf(text, sizeof text, value < 9.95 ? "%.1f %s" : "%.0f %s", value, unit);
  return text;
}

}  // namespace

std::string format_duration(Duration d) {
  if (d < 0ns) return "-" + format_duration(-d);
  const auto ns = d.count();
  const auto seconds = std::llround(static_cast<double>(ns) / 1e9);
  if (ns == 0) return "0 s";
  if (ns < 999'500) return one_part(static_cast<double>(ns) / 1e3, "µs");
  if (ns < 999'500'000) return one_part(static_cast<double>(ns) / 1e6, "ms");
  if (seconds < 60) return one_part(static_cast<double>(ns) / 1e9, "s");
  if (seconds < 3600) return two_parts(seconds / 60, "min", seconds % 60, "s");
  if (seconds < 86400) return two_parts(seconds / 3600, "h", seconds % 3600 / 60, "min");
  return two_parts(seconds / 86400, "d", seconds % 86400 / 3600, "h");
}

std::string format_rfc3339(WallTime t) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(t);
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(t - whole).count();
  const std::time_t seconds = whole.time_since_epoch().count();
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[48];
  const auto used = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(text + used, sizeof text - used, ".%03dZ", static_cast<int>(ms));
  return text;
}

}  // namespace nines
