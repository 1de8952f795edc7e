#include "availability/zone.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace nines::availability {
namespace {

namespace chrono = std::chrono;

constexpr std::uint64_t kChangesMax = 10'000, kTypesMax = 256, kTextMax = 100;
constexpr std::int64_t kHour = 3600, kDay = 24 * kHour;
constexpr std::int64_t kOffsetMin = -25 * kHour, kOffsetMax = 26 * kHour;  // RFC 9636, 3.2
constexpr std::int64_t kRuleHours = 167;                                   // ... 3.3.1

}  // namespace

// The bytes of a file, from the front. A read past the end makes it bad, and gives 0.
class ZoneFile {
 public:
  explicit ZoneFile(std::string_view bytes) : bytes_(bytes) {}

  Result<Zone> read(std::string name) {
    Zone zone;
    zone.name_ = std::move(name);
    Header header = take_header();
    if (good_ && header.version >= '2') {
      skip(body_size(header, 4));
      header = take_header();
      take_body(header, 8, zone);
      take_footer(zone);
    } else {
      take_body(header, 4, zone);
    }
    if (!good_) return failure(Code::kInvalid, "the file of the time zone " + zone.name_ + " is damaged or cut off");
    if (header.leaps > 0)
      return failure(Code::kRefused,
                     "the time zone " + zone.name_ + " counts leap seconds; take the one without right/");
    return zone;
  }

 private:
  struct Header {
    char version = 0;
    std::uint64_t utc_marks = 0, standard_marks = 0, leaps = 0, changes = 0, types = 0, characters = 0;
  };

  static std::uint64_t body_size(const Header& h, std::uint64_t wide) {
    return h.changes * (wide + 1) + h.types * 6 + h.characters + h.leaps * (wide + 4) + h.standard_marks + h.utc_marks;
  }

  std::string_view take(std::uint64_t size) {
    if (size > bytes_.size()) {
      good_ = false;
      bytes_ = {};
      return {};
    }
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  void skip(std::uint64_t size) { (void)take(size); }
  std::int64_t number(std::uint64_t size) {
    const std::string_view bytes = take(size);
    if (bytes.empty()) return 0;
    std::uint64_t value = 0;
    for (const char byte : bytes) value = value << 8 | static_cast<unsigned char>(byte);
    return size == 4 ? static_cast<std::int32_t>(static_cast<std::uint32_t>(value)) : static_cast<std::int64_t>(value);
  }
  std::uint64_t count() { return static_cast<std::uint32_t>(number(4)); }

  Header take_header() {
    constexpr std::uint64_t kReserved = 15;
    Header h;
    good_ = take(4) == "TZif" && good_;
    h.version = good_ && !bytes_.empty() ? bytes_.front() : '\0';
    skip(1 + kReserved);
    h.utc_marks = count(), h.standard_marks = count(), h.leaps = count();
    h.changes = count(), h.types = count(), h.characters = count();
    good_ = good_ && h.changes <= kChangesMax && h.types >= 1 && h.types <= kTypesMax;
    return h;
  }

  void take_body(const Header& h, std::uint64_t wide, Zone& zone) {
    if (!good_) return;
    std::vector<std::int64_t> times;
    for (std::uint64_t i = 0; i < h.changes && good_; ++i) times.push_back(number(wide));
    const std::string_view kinds = take(h.changes);
    std::vector<std::int64_t> offsets;
    for (std::uint64_t i = 0; i < h.types && good_; ++i) {
      offsets.push_back(number(4));
      good_ = good_ && offsets.back() >= kOffsetMin && offsets.back() <= kOffsetMax;
      skip(2);
    }
    skip(h.characters);
    skip(h.leaps * (wide + 4));
    skip(h.standard_marks);
    skip(h.utc_marks);
    if (!good_) return;
    zone.before_ = static_cast<std::int32_t>(offsets.front());
    for (std::size_t i = 0; i < times.size(); ++i) {
      const auto kind = static_cast<unsigned char>(kinds[i]);
      good_ = good_ && kind < offsets.size() && (i == 0 || times[i - 1] < times[i]);
      if (good_) zone.changes_.push_back({times[i], static_cast<std::int32_t>(offsets[kind])});
    }
  }

  void take_footer(Zone& zone);

  std::string_view bytes_;
  bool good_ = true;
};

// "CET-1CEST,M3.5.0,M10.5.0/3"
class ZoneText {
 public:
  explicit ZoneText(std::string_view text) : text_(text) {}

  // nullopt: it is none.
  std::optional<Zone::Yearly> read() {
    Zone::Yearly yearly;
    yearly.standard = west_of_utc();
    if (!text_.empty() && good_) yearly.summer = take_summer(yearly.standard);
    return good_ && text_.empty() ? std::optional(yearly) : std::nullopt;
  }

 private:
  static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

  bool skip(char c) {
    const bool is = text_.starts_with(c);
    if (is) text_.remove_prefix(1);
    return is;
  }
  void must(char c) { good_ = skip(c) && good_; }

  void take_name() {
    std::size_t size = 0;
    if (skip('<')) {
      size = text_.find('>');
      good_ = good_ && size != std::string_view::npos;
      text_.remove_prefix(good_ ? size : text_.size());
      must('>');
    } else {
      while (size < text_.size() && is_letter(text_[size])) ++size;
      good_ = good_ && size > 0;
      text_.remove_prefix(size);
    }
  }

  int take_number(int most) {
    constexpr std::size_t kDigitsMax = 3;
    int value = 0;
    std::size_t digits = 0;
    for (; digits < kDigitsMax && !text_.empty() && text_.front() >= '0' && text_.front() <= '9'; ++digits) {
      value = 10 * value + (text_.front() - '0');
      text_.remove_prefix(1);
    }
    good_ = good_ && digits > 0 && value <= most;
    return value;
  }

  // "-1", "5:30", "+2:00:30"
  std::int64_t take_time() {
    const bool negative = skip('-');
    if (!negative) (void)skip('+');
    std::int64_t time = take_number(static_cast<int>(kRuleHours)) * kHour;
    if (skip(':')) time += std::int64_t{60} * take_number(59);
    if (skip(':')) time += take_number(59);
    return negative ? -time : time;
  }

  // POSIX counts westward.
  std::int32_t west_of_utc() {
    take_name();
    const std::int64_t offset = -take_time();
    good_ = good_ && offset >= kOffsetMin && offset <= kOffsetMax;
    return static_cast<std::int32_t>(offset);
  }

  Zone::Rule take_rule() {
    Zone::Rule rule;
    must(',');
    if (skip('M')) {
      rule.of = Zone::Rule::Of::kWeekday;
      rule.month = take_number(12);
      must('.');
      rule.week = take_number(5);
      must('.');
      rule.day = take_number(6);
      good_ = good_ && rule.month >= 1 && rule.week >= 1;
    } else if (skip('J')) {
      rule.of = Zone::Rule::Of::kJulian;
      rule.day = take_number(365);
      good_ = good_ && rule.day >= 1;
    } else {
      rule.day = take_number(365);
    }
    rule.time = skip('/') ? take_time() : 2 * kHour;
    return rule;
  }

  Zone::Yearly::Summer take_summer(std::int32_t standard) {
    Zone::Yearly::Summer summer;
    take_name();
    summer.offset = standard + static_cast<std::int32_t>(kHour);
    if (!text_.starts_with(',')) summer.offset = static_cast<std::int32_t>(-take_time());
    summer.begins = take_rule();
    summer.ends = take_rule();
    return summer;
  }

  std::string_view text_;
  bool good_ = true;
};

void ZoneFile::take_footer(Zone& zone) {
  if (!good_) return;
  good_ = take(1) == "\n";
  const std::size_t size = bytes_.find('\n');
  if (size == std::string_view::npos || size > kTextMax) {
    good_ = false;
    return;
  }
  if (size == 0) return;
  zone.after_ = ZoneText(bytes_.substr(0, size)).read();
  good_ = good_ && zone.after_;
}

Result<Zone> Zone::parse(std::string name, std::string_view tzif) { return ZoneFile(tzif).read(std::move(name)); }

// Unix seconds, as if local time were UTC.
std::int64_t Zone::moment_of(const Rule& rule, int year) {
  const chrono::year y(year);
  chrono::sys_days day = chrono::sys_days(y / 1 / 1);
  switch (rule.of) {
    case Rule::Of::kDay: day += chrono::days(rule.day); break;
    case Rule::Of::kJulian: {  // 1 to 365: February 29 is never counted
      constexpr int kFebruaryEnds = 59;
      day += chrono::days(rule.day - 1 + (y.is_leap() && rule.day > kFebruaryEnds ? 1 : 0));
      break;
    }
    case Rule::Of::kWeekday: {
      const auto month = y / chrono::month(static_cast<unsigned>(rule.month));
      const chrono::weekday weekday(static_cast<unsigned>(rule.day));
      constexpr int kLast = 5;
      day = rule.week == kLast ? chrono::sys_days(month / weekday[chrono::last])
                               : chrono::sys_days(month / weekday[static_cast<unsigned>(rule.week)]);
      break;
    }
  }
  return day.time_since_epoch().count() * kDay + rule.time;
}

std::int32_t Zone::offset_by(const Yearly& yearly, std::int64_t second) {
  if (!yearly.summer) return yearly.standard;
  const auto& summer = *yearly.summer;
  const chrono::sys_seconds local{chrono::seconds(second + yearly.standard)};
  const int year = static_cast<int>(chrono::year_month_day(chrono::floor<chrono::days>(local)).year());
  const std::int64_t begins = moment_of(summer.begins, year) - yearly.standard;
  const std::int64_t ends = moment_of(summer.ends, year) - summer.offset;
  const bool is_summer =
      begins < ends ? begins <= second && second < ends : !(ends <= second && second < begins);  // south of the equator
  return is_summer ? summer.offset : yearly.standard;
}

chrono::seconds Zone::offset_at(WallTime t) const {
  const std::int64_t second = chrono::floor<chrono::seconds>(t).time_since_epoch().count();
  const auto next = std::ranges::upper_bound(changes_, second, {}, &Change::at);
  if (next == changes_.end() && after_) return chrono::seconds(offset_by(*after_, second));
  return chrono::seconds(next == changes_.begin() ? before_ : std::prev(next)->offset);
}

Zone::Shown Zone::when(LocalTime local) const {
  // No clock is set twice within two days, but for a few of more than a century ago.
  const WallTime as_utc(local.time_since_epoch());
  std::array<WallTime, 2> all = {as_utc - offset_at(as_utc - 24h), as_utc - offset_at(as_utc + 24h)};
  std::ranges::sort(all);
  Shown shown;
  for (const WallTime t : all) {
    if (this->local(t) != local || t == shown.first) continue;
    (shown.first ? shown.second : shown.first) = t;
  }
  return shown;
}

WallTime Zone::at_or_after(LocalTime wanted) const {
  if (const Shown shown = when(wanted); shown.first) return *shown.first;
  const WallTime as_utc(wanted.time_since_epoch());
  WallTime before = as_utc - 48h, after = as_utc + 48h;
  while (after - before > 1s) {
    const WallTime middle = before + chrono::floor<chrono::seconds>((after - before) / 2);
    (local(middle) < wanted ? before : after) = middle;
  }
  return after;
}

}  // namespace nines::availability
