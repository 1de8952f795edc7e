#include "availability/zone.h"

#include <doctest/doctest.h>

#include <random>

namespace nines::availability {
namespace {

namespace chrono = std::chrono;

std::string big_endian(std::int64_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i) & 0xff);
  return out;
}

struct Change {
  std::int64_t at;
  int type;
};

// A file of version 2 as `zic` writes it: an empty first half, then 64-bit times and the text.
std::string file_of(const std::vector<std::int32_t>& offsets, const std::vector<Change>& changes,
                    const std::string& text, std::int64_t leaps = 0) {
  const auto header = [](std::int64_t leap_count, std::size_t change_count, std::size_t types) {
    return "TZif2" + std::string(15, '\0') + big_endian(0, 4) + big_endian(0, 4) + big_endian(leap_count, 4) +
           big_endian(static_cast<std::int64_t>(change_count), 4) + big_endian(static_cast<std::int64_t>(types), 4) +
           big_endian(4, 4);
  };
  std::string file = header(0, 0, 1) + std::string(6 + 4, '\0');
  file += header(leaps, changes.size(), offsets.size());
  for (const Change& change : changes) file += big_endian(change.at, 8);
  for (const Change& change : changes) file += static_cast<char>(change.type);
  for (const std::int32_t offset : offsets) file += big_endian(offset, 4) + std::string(2, '\0');
  file += std::string("LMT\0", 4) + std::string(static_cast<std::size_t>(leaps) * 12, '\0');
  return file + "\n" + text + "\n";
}

WallTime utc(int year, unsigned month, unsigned day, Duration time = {}) {
  return WallTime(chrono::sys_days(chrono::year(year) / chrono::month(month) / chrono::day(day))) + time;
}
LocalTime local(int year, unsigned month, unsigned day, Duration time = {}) {
  return LocalTime(utc(year, month, day, time).time_since_epoch());
}
std::int64_t unix_of(WallTime t) { return chrono::floor<chrono::seconds>(t).time_since_epoch().count(); }

// Mean time before 1879, then as in the years that are written out, and by the rule from there on.
std::string stockholm_file() {
  return file_of(
      {4332, 3600, 7200},
      {{unix_of(utc(1879, 1, 1)) - 4332, 1}, {unix_of(utc(2025, 3, 30, 1h)), 2}, {unix_of(utc(2025, 10, 26, 1h)), 1}},
      "CET-1CEST,M3.5.0,M10.5.0/3");
}
Zone must(Result<Zone> zone) {
  if (!zone) FAIL(zone.error().text());
  return *zone;
}
Zone stockholm() { return must(Zone::parse("Europe/Stockholm", stockholm_file())); }
Zone by_text(const std::string& text) { return must(Zone::parse("X", file_of({0}, {}, text))); }

TEST_CASE("zone: how far its clocks are ahead") {
  const Zone zone = stockholm();
  struct Row {
    WallTime at;
    chrono::seconds offset;
  };
  const Row rows[] = {
      {utc(1800, 1, 1), 4332s},
      {utc(1950, 7, 1), 1h},
      {utc(2025, 3, 30, 1h - 1s), 1h},
      {utc(2025, 3, 30, 1h), 2h},
      {utc(2025, 10, 26, 1h - 1s), 2h},
      {utc(2025, 10, 26, 1h), 1h},
      {utc(2026, 3, 29, 1h - 1ns), 1h},  // by the rule, from here on
      {utc(2026, 3, 29, 1h), 2h},
      {utc(2026, 10, 25, 1h - 1s), 2h},
      {utc(2026, 10, 25, 1h), 1h},
      {utc(2026, 12, 31, 23h + 30min), 1h},
      {utc(2200, 7, 1), 2h},
  };
  for (const Row& row : rows) {
    CAPTURE(format_rfc3339(row.at));
    CHECK(zone.offset_at(row.at).count() == row.offset.count());
  }
  CHECK(Zone().offset_at(utc(2026, 7, 1)) == 0s);
  CHECK(Zone().name() == "UTC");
}

TEST_CASE("zone: rules of every kind") {
  struct Row {
    const char* text;
    WallTime at;
    chrono::seconds offset;
  };
  const Row rows[] = {
      {"<+0545>-5:45", utc(2026, 7, 1), 5h + 45min},
      {"EST5EDT,M3.2.0,M11.1.0", utc(2026, 3, 8, 7h), -4h},
      {"EST5EDT,M3.2.0,M11.1.0", utc(2026, 3, 8, 7h - 1s), -5h},
      {"EST5EDT,M3.2.0,M11.1.0", utc(2026, 11, 1, 6h), -5h},
      // South of the equator the year begins in summer.
      {"AEST-10AEDT,M10.1.0,M4.1.0/3", utc(2026, 1, 1), 11h},
      {"AEST-10AEDT,M10.1.0,M4.1.0/3", utc(2026, 7, 1), 10h},
      {"AEST-10AEDT,M10.1.0,M4.1.0/3", utc(2026, 12, 31, 20h), 11h},
      // Half an hour, and a name in brackets.
      {"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", utc(2026, 1, 1), 11h},
      // The evening before: Greenland.
      {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", utc(2026, 3, 29, 1h), -1h},
      {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", utc(2026, 3, 29, 1h - 1s), -2h},
      // February 29 is never counted by J, and always without.
      {"AAA0BBB,J60/0,J300", utc(2028, 3, 1), 1h},
      {"AAA0BBB,J60/0,J300", utc(2028, 2, 29, 23h), 0h},
      {"AAA0BBB,59/0,J300", utc(2028, 2, 29), 1h},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    CAPTURE(format_rfc3339(row.at));
    CHECK(by_text(row.text).offset_at(row.at).count() == row.offset.count());
  }
  for (const char* const text : {"C", "CET", "CET-1CEST", "CET-1CEST,M3.5.0", "CET-1CEST,M13.5.0,M10.5.0",
                                 "CET-1CEST,M3.6.0,M10.5.0", "CET-1CEST,M3.5.7,M10.5.0", "CET-1CEST,J0,J1", "<CET-1",
                                 "CET-99", "CET-1x", "CET-1CEST,M3.5.0/168,M10.5.0", "CET-1CEST,M3.5.0,M10.5.0,"}) {
    CAPTURE(text);
    CHECK_FALSE(Zone::parse("X", file_of({0}, {}, text)));
  }
}

TEST_CASE("zone: months in which clocks are set are an hour shorter, or longer") {
  const Zone zone = stockholm();
  const auto hours = [&](int year, unsigned month) {
    const WallTime begin = zone.at_or_after(local(year, month, 1));
    const WallTime end = zone.at_or_after(month == 12 ? local(year + 1, 1, 1) : local(year, month + 1, 1));
    return chrono::duration_cast<chrono::hours>(end - begin).count();
  };
  CHECK(hours(2025, 3) == 743);
  CHECK(hours(2025, 10) == 745);
  CHECK(hours(2026, 3) == 743);
  CHECK(hours(2026, 10) == 745);
  CHECK(hours(2026, 11) == 720);
  CHECK(hours(2026, 12) == 744);
  CHECK(zone.at_or_after(local(2026, 11, 1)) == utc(2026, 10, 31, 23h));
}

TEST_CASE("zone: an hour that does not exist, and one that comes twice") {
  const Zone zone = stockholm();
  const auto never = zone.when(local(2026, 3, 29, 2h + 30min));
  CHECK_FALSE(never.first);
  CHECK(zone.at_or_after(local(2026, 3, 29, 2h + 30min)) == utc(2026, 3, 29, 1h));
  const auto twice = zone.when(local(2026, 10, 25, 2h + 30min));
  CHECK(twice.first == utc(2026, 10, 25, 30min));
  CHECK(twice.second == utc(2026, 10, 25, 1h + 30min));
  CHECK(zone.at_or_after(local(2026, 10, 25, 2h + 30min)) == utc(2026, 10, 25, 30min));
  const auto once = zone.when(local(2026, 10, 25, 3h));
  CHECK(once.first == utc(2026, 10, 25, 2h));
  CHECK_FALSE(once.second);
  // Midnight may be among what is skipped, and a whole day.
  const Zone havana = by_text("CST5CDT,M3.2.0/0,M11.1.0/1");
  CHECK_FALSE(havana.when(local(2026, 3, 8)).first);
  CHECK(havana.at_or_after(local(2026, 3, 8)) == utc(2026, 3, 8, 5h));
  const Zone apia =
      must(Zone::parse("Pacific/Apia", file_of({-36'000, 50'400}, {{unix_of(utc(2011, 12, 30, 10h)), 1}}, "<+14>-14")));
  CHECK(apia.at_or_after(local(2011, 12, 30)) == utc(2011, 12, 30, 10h));
  CHECK(apia.at_or_after(local(2011, 12, 31)) == utc(2011, 12, 30, 10h));
}

TEST_CASE("zone: there and back, at any moment") {
  const auto seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const Zone zone = stockholm();
  for (int i = 0; i < 2000; ++i) {
    const WallTime t = utc(2020, 1, 1) + chrono::seconds(random() % (20ULL * 365 * 86'400));
    const auto shown = zone.when(zone.local(t));
    CAPTURE(format_rfc3339(t));
    CHECK((shown.first == t || shown.second == t));
  }
}

TEST_CASE("zone: a file that is cut off, or is none, is an error and nothing else") {
  const std::string file = stockholm_file();
  for (std::size_t size = 0; size < file.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(Zone::parse("X", std::string_view(file).substr(0, size)));
  }
  CHECK_FALSE(Zone::parse("X", std::string(2000, 'x')));
  CHECK_FALSE(Zone::parse("X", file_of({3600}, {{5, 1}}, "")));          // a kind that is not there
  CHECK_FALSE(Zone::parse("X", file_of({3600}, {{5, 0}, {5, 0}}, "")));  // not ascending
  CHECK_FALSE(Zone::parse("X", file_of({360'000}, {}, "")));             // four days ahead
  CHECK_FALSE(Zone::parse("X", file_of({}, {}, "")));                    // no kind at all
  CHECK(Zone::parse("right/X", file_of({3600}, {}, "", 1)).error().code() == Code::kRefused);
  CHECK(must(Zone::parse("X", file_of({3600}, {}, ""))).offset_at(utc(2026, 1, 1)) == 1h);
}

TEST_CASE("zone: whatever bytes are other ones, it is read or refused") {
  const auto seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const std::string whole = stockholm_file();
  int read = 0;
  for (int i = 0; i < 5000; ++i) {
    std::string file = whole;
    for (std::uint64_t n = 1 + random() % 3; n > 0; --n) file[random() % file.size()] = static_cast<char>(random());
    const auto zone = Zone::parse("X", file);
    if (!zone) continue;
    ++read;
    const auto offset = zone->offset_at(utc(1970, 1, 1) + chrono::seconds(random() % (1ULL << 33)));
    CHECK(chrono::abs(offset) <= 170h);
  }
  CHECK(read > 0);
}

}  // namespace
}  // namespace nines::availability
