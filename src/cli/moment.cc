#include "cli/moment.h"

#include <algorithm>
#include <ctime>
#include <optional>
#include <string>

#include "base/text.h"
#include "config/values.h"

namespace nines::cli {
namespace {

namespace chrono = std::chrono;

constexpr std::string_view kHint =
    "write how long ago (10m, 2h), a time of day (22:30), or a date and time (2026-11-23 22:30, "
    "2026-11-23T22:30:00Z)";

struct TimeOfDay {
  chrono::seconds whole{};
  Duration fraction{};
};

// Text of which the front is taken off, piece by piece.
class Front {
 public:
  explicit Front(std::string_view text) : text_(text) {}

  bool empty() const { return text_.empty(); }
  std::optional<int> digits(std::size_t count) {
    const auto number = text_.size() >= count ? parse_unsigned(text_.substr(0, count)) : std::nullopt;
    if (number) text_.remove_prefix(count);
    return number ? std::optional(static_cast<int>(*number)) : std::nullopt;
  }
  bool one_of(std::string_view characters) {
    const bool is = !text_.empty() && characters.contains(text_.front());
    if (is) text_.remove_prefix(1);
    return is;
  }
  std::string_view run_of_digits() {
    const std::string_view run = text_.substr(0, text_.find_first_not_of("0123456789"));
    text_.remove_prefix(run.size());
    return run;
  }

 private:
  std::string_view text_;
};

std::optional<chrono::year_month_day> take_date(Front& text) {
  const auto year = text.digits(4);
  if (!year || !text.one_of("-")) return std::nullopt;
  const auto month = text.digits(2);
  if (!month || !text.one_of("-")) return std::nullopt;
  const auto day = text.digits(2);
  if (!day) return std::nullopt;
  const chrono::year_month_day date{chrono::year(*year), chrono::month(static_cast<unsigned>(*month)),
                                    chrono::day(static_cast<unsigned>(*day))};
  // What 64 bits of nanoseconds hold, with room.
  if (!date.ok() || *year < 1970 || *year > 2200) return std::nullopt;
  return date;
}

std::optional<TimeOfDay> take_time(Front& text) {
  const auto hour = text.digits(2);
  if (!hour || !text.one_of(":")) return std::nullopt;
  const auto minute = text.digits(2);
  if (!minute || *hour > 23 || *minute > 59) return std::nullopt;
  TimeOfDay time{chrono::hours(*hour) + chrono::minutes(*minute), {}};
  if (!text.one_of(":")) return time;
  const auto second = text.digits(2);
  if (!second || *second > 60) return std::nullopt;
  time.whole += chrono::seconds(*second);
  if (!text.one_of(".")) return time;
  std::string fraction(text.run_of_digits());
  if (fraction.empty()) return std::nullopt;
  fraction.resize(9, '0');
  time.fraction = Duration(static_cast<std::int64_t>(parse_unsigned(fraction).value_or(0)));
  return time;
}

// "Z", "+01:00", or nothing: local.
std::optional<std::optional<chrono::minutes>> take_zone(Front& text) {
  if (text.empty()) return std::optional<chrono::minutes>();
  if (text.one_of("Zz")) return chrono::minutes(0);
  const bool west = text.one_of("-");
  if (!west && !text.one_of("+")) return std::nullopt;
  const auto hours = text.digits(2);
  (void)text.one_of(":");
  const auto minutes = text.digits(2);
  if (!hours || !minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  const auto east = chrono::hours(*hours) + chrono::minutes(*minutes);
  return west ? -east : east;
}

availability::LocalTime local_of(chrono::year_month_day date, TimeOfDay time) {
  return availability::LocalTime(chrono::sys_days(date).time_since_epoch() + time.whole + time.fraction);
}

// The zone is that of the environment.
WallTime machine_time(availability::LocalTime at) {
  const auto day = chrono::floor<chrono::days>(at);
  const chrono::year_month_day date(day);
  const auto second = chrono::floor<chrono::seconds>(at - day).count();
  std::tm local{};
  local.tm_year = static_cast<int>(date.year()) - 1900;
  local.tm_mon = static_cast<int>(static_cast<unsigned>(date.month())) - 1;
  local.tm_mday = static_cast<int>(static_cast<unsigned>(date.day()));
  local.tm_sec = static_cast<int>(second % 60);
  local.tm_min = static_cast<int>(second / 60 % 60);
  local.tm_hour = static_cast<int>(second / 3600);
  local.tm_isdst = -1;
  const std::time_t seconds = std::mktime(&local);
  return WallTime{} + chrono::seconds(seconds) + (at - chrono::floor<chrono::seconds>(at));
}

std::optional<std::variant<WallTime, Moment::Local>> parse_date_and_time(std::string_view typed) {
  Front text(typed);
  const auto date = take_date(text);
  if (!date) return std::nullopt;
  if (text.empty()) return Moment::Local{local_of(*date, {})};
  if (!text.one_of("Tt ")) return std::nullopt;
  const auto time = take_time(text);
  if (!time) return std::nullopt;
  const auto zone = take_zone(text);
  if (!zone || !text.empty()) return std::nullopt;
  const availability::LocalTime local = local_of(*date, *time);
  if (!*zone) return Moment::Local{local};
  return WallTime(local.time_since_epoch()) - **zone;
}

std::optional<chrono::seconds> parse_clock(std::string_view typed) {
  const std::string padded = typed.find(':') == 1 ? "0" + std::string(typed) : std::string(typed);
  Front text(padded);
  const auto time = take_time(text);
  if (!time || !text.empty() || time->fraction != Duration{}) return std::nullopt;
  return time->whole;
}

}  // namespace

namespace {

std::string words_of(availability::LocalTime at) {
  std::string text = format_rfc3339(WallTime(at.time_since_epoch())).substr(0, 16);
  text[10] = ' ';
  return text;
}

}  // namespace

WallTime Moment::resolve(WallTime now) const {
  if (const auto* at = std::get_if<WallTime>(&value)) return *at;
  if (const auto* local = std::get_if<Local>(&value)) return machine_time(local->at);
  if (const auto* ago = std::get_if<Ago>(&value))
    return ago->before_now > now.time_since_epoch() ? WallTime{} : now - ago->before_now;
  const std::time_t seconds = chrono::floor<chrono::seconds>(now).time_since_epoch().count();
  std::tm today{};
  ::localtime_r(&seconds, &today);
  const chrono::year_month_day date{chrono::year(today.tm_year + 1900),
                                    chrono::month(static_cast<unsigned>(today.tm_mon) + 1),
                                    chrono::day(static_cast<unsigned>(today.tm_mday))};
  const auto shown = local_of(date, {std::get<Clock>(value).since_midnight, {}});
  const WallTime at = machine_time(shown);
  return at <= now ? at : machine_time(shown - chrono::days(1));
}

config::Checked<WallTime> Moment::resolve(WallTime now, const availability::Zone& zone) const {
  if (const auto* clock = std::get_if<Clock>(&value)) {
    const auto shown = chrono::floor<chrono::days>(zone.local(now)) + clock->since_midnight;
    const WallTime at = zone.at_or_after(shown);
    return at <= now ? at : zone.at_or_after(shown - chrono::days(1));
  }
  const auto* local = std::get_if<Local>(&value);
  if (local == nullptr) return resolve(now);
  if (const auto shown = zone.when(local->at); shown.first) return *shown.first;
  const WallTime after = zone.at_or_after(local->at);
  return config::wrong("there is no " + words_of(local->at) + " in " + zone.name(),
                       "clocks go from " + words_of(zone.local(after - 1s) + 1s).substr(11) + " to " +
                           words_of(zone.local(after)).substr(11) + " there that night; take a time before or after");
}

config::Checked<Moment> parse_moment(std::string_view typed) {
  const std::string_view text = trim(typed);
  if (const auto at = parse_date_and_time(text))
    return std::visit([](const auto& found) { return Moment{found}; }, *at);
  if (const auto clock = parse_clock(text)) return Moment{Moment::Clock{*clock}};
  const bool digits_only = !text.empty() && text.find_first_not_of("0123456789.") == std::string_view::npos;
  if (auto ago = config::parse_duration(text))
    return Moment{Moment::Ago{*ago}};
  else if (digits_only || text.starts_with('-'))
    return std::unexpected(ago.error());  // it lacks a unit: that says it best
  return config::wrong(config::quoted(typed) + " is no moment", std::string(kHint));
}

}  // namespace nines::cli
