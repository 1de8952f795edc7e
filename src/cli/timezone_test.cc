#include "cli/timezone.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "base/test_support.h"
#include "cli/period.h"

namespace nines::cli {
namespace {

// A file of the database, of a zone that never changes but by the rule of Stockholm.
std::string stockholm() {
  const auto header = [](char types) {
    return "TZif2" + std::string(15 + 16 + 3, '\0') + types + std::string(3, '\0') + '\4';
  };
  return header(1) + std::string(10, '\0') + header(1) + std::string("\0\0\x0e\x10\0\0CET\0", 10) +
         "\nCET-1CEST,M3.5.0,M10.5.0/3\n";
}

struct Database {
  nines::testing::Folder folder;

  Database() {
    for (const char* const name : {"Europe/Stockholm", "posix/Europe/Stockholm", "Asia/Tokyo"}) {
      std::filesystem::create_directories(std::filesystem::path(folder / name).parent_path());
      std::ofstream(folder / name, std::ios::binary) << stockholm();
    }
    std::ofstream(folder / "Broken", std::ios::binary) << stockholm().substr(0, 60);
    std::ofstream(folder / "zone.tab") << "a list";
  }
  config::Checked<availability::Zone> find(const std::string& name) const { return find_zone(name, folder / ""); }
};

WallTime utc(int month, unsigned day, Duration time = {}) {
  return WallTime(std::chrono::sys_days(std::chrono::year(2026) / month / static_cast<int>(day))) + time;
}

TEST_CASE("timezone: by its name, or the nearest one is said") {
  const Database database;
  CHECK(database.find("Europe/Stockholm")->offset_at(utc(7, 1)) == 2h);
  CHECK(find_zone("UTC", "/nonexistent")->offset_at(utc(7, 1)) == 0s);
  struct Row {
    const char* name;
    const char* said;
  };
  const Row rows[] = {
      {"Europe/Stokholm", "\"Europe/Stokholm\" is no time zone that is known here; did you mean \"Europe/Stockholm\"?"},
      {"stockholm", "\"stockholm\" is no time zone that is known here; did you mean \"Europe/Stockholm\"?"},
      {"asia/tokyo", "\"asia/tokyo\" is no time zone that is known here; did you mean \"Asia/Tokyo\"?"},
      {"stokholm", "\"stokholm\" is no time zone that is known here; did you mean \"Europe/Stockholm\"?"},
      {"Europe", "\"Europe\" is no time zone that is known here; such as Europe/Stockholm or UTC"},
      {"zone.tab", "\"zone.tab\" is no time zone; write a name of the IANA database"},
      {"../secret", "\"../secret\" is no time zone; write a name of the IANA database"},
      {"/etc/passwd", "\"/etc/passwd\" is no time zone; write a name"},
      {"Broken", "the file of the time zone Broken is damaged or cut off; install the package tzdata again"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const auto zone = database.find(row.name);
    REQUIRE_FALSE(zone);
    CAPTURE(zone.error().text());
    CHECK(zone.error().text().starts_with(row.said));
  }
  CHECK(find_zone("Europe/Stockholm", "/nonexistent").error().text().contains("install the package tzdata"));
}

TEST_CASE("timezone: times carry it") {
  const auto zone = *Database().find("Europe/Stockholm");
  CHECK(local_text(utc(7, 1, 12h), zone) == "2026-07-01 14:00:00+02:00");
  CHECK(local_text(utc(1, 1, 12h), zone) == "2026-01-01 13:00:00+01:00");
  CHECK(local_text(utc(1, 1, 12h), availability::Zone()) == "2026-01-01 12:00:00Z");
}

TEST_CASE("timezone: months and moments are of it") {
  const auto zone = *Database().find("Europe/Stockholm");
  const auto month = period_of({.month = "2026-03"}, utc(4, 5), zone);
  REQUIRE(month.has_value());
  CHECK(month->interval.begin == utc(2, 28, 23h));
  CHECK(month->interval.length() == 743h);
  CHECK(period_of({.month = "2026-10"}, utc(4, 5), zone)->interval.length() == 745h);
  // At half past eleven in the evening of the last of March in UTC it is April there.
  CHECK(period_of({}, utc(3, 31, 23h + 30min), zone)->text == "2026-04");
  CHECK(period_of({}, utc(3, 31, 23h + 30min), {})->text == "2026-03");
  struct Row {
    const char* typed;
    std::string means;
  };
  const Row rows[] = {
      {"2026-03-29 01:59", "2026-03-29T00:59:00.000Z"},
      {"2026-03-29 03:00", "2026-03-29T01:00:00.000Z"},
      {"2026-03-29 02:30",
       "there is no 2026-03-29 02:30 in Europe/Stockholm; clocks go from 02:00 to 03:00 there that night; take a time "
       "before or after"},
      {"2026-10-25 02:30", "2026-10-25T00:30:00.000Z"},  // of two the first
      {"2026-10-25T02:30+01:00", "2026-10-25T01:30:00.000Z"},
      {"2026-03-29", "2026-03-28T23:00:00.000Z"},
      {"23:59", "2026-04-04T21:59:00.000Z"},  // yesterday
      {"00:30", "2026-04-04T22:30:00.000Z"},
      {"2h", "2026-04-04T22:00:00.000Z"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.typed);
    const auto at = parse_moment(row.typed)->resolve(utc(4, 5), zone);
    CHECK((at ? format_rfc3339(*at) : at.error().text()) == row.means);
  }
}

}  // namespace
}  // namespace nines::cli
