// What is pure: names, the schedule, the keep rules, the manifest, the catalogue.
#include <doctest/doctest.h>

#include <algorithm>

#include "backup/catalogue.h"
#include "backup/manifest.h"
#include "backup/names.h"
#include "backup/retention.h"
#include "backup/schedule.h"
#include "base/random.h"
#include "base/test_support.h"
#include "storage/files.h"

namespace nines::backup {
namespace {

WallTime at(const std::string& text) {
  const auto time = parse_time(text.size() == 16 ? text + ":00.000Z" : text);
  REQUIRE(time);
  return *time;
}
std::string shown(WallTime t) { return format_rfc3339(t).substr(0, 16); }

std::chrono::seconds utc(WallTime) { return 0s; }
// Berlin in 2026: summer time from 29 March to 25 October, at 01:00 UTC.
std::chrono::seconds berlin(WallTime t) { return t >= at("2026-03-29T01:00") && t < at("2026-10-25T01:00") ? 2h : 1h; }

TEST_CASE("names: an archive is named after its second, in UTC") {
  CHECK(archive_name(at("2026-11-24T02:00:59.999Z")) == "backup-20261124-020059.tar.zst");
  CHECK(time_of("backup-20261124-020059.tar.zst") == at("2026-11-24T02:00:59.000Z"));
  for (const char* bad :
       {"", "backup-.tar.zst", "backup-20261124-020059.tar", "backup-20261324-020059.tar.zst",
        "backup-20260230-020059.tar.zst", "backup-20261124-246059.tar.zst", "backup-20261124-02005x.tar.zst",
        "backup-20261124T020059.tar.zst", "x-20261124-020059.tar.zst", "backup-18991124-020059.tar.zst",
        "backup-20261124-020059-2.tar.zst"}) {
    CAPTURE(bad);
    CHECK(!time_of(bad));
  }
  const std::string taken[] = {"backup-20261231-235959.tar.zst", "backup-20270101-000000.tar.zst"};
  CHECK(free_name(at("2026-12-31T23:59:59.500Z"), taken) == "backup-20270101-000001.tar.zst");
  CHECK(!parse_time("2026-11-24T02:00:59Z"));
  CHECK(parse_time(format_rfc3339(at("2026-11-24T02:00:59.123Z"))) == at("2026-11-24T02:00:59.123Z"));
}

// ---- the schedule ----

TEST_CASE("schedule: when the next one is due") {
  constexpr Minute kTwo{2, 0}, kHalfPastTwo{2, 30}, kNoon{12, 0};
  struct Row {
    const char* why;
    std::vector<Minute> times;
    const char* now;
    const char* archive;  // the newest, or nullptr
    const char* failed;
    LocalOffset zone;
    const char* due;
  };
  const Row rows[] = {
      {"the first of all: at once", {kTwo}, "2026-11-24T10:00", nullptr, nullptr, utc, "2026-11-24T10:00"},
      {"today's was made", {kTwo}, "2026-11-24T10:00", "2026-11-24T02:00", nullptr, utc, "2026-11-25T02:00"},
      {"one by hand after it", {kTwo}, "2026-11-24T10:00", "2026-11-24T09:00", nullptr, utc, "2026-11-25T02:00"},
      {"before today's", {kTwo}, "2026-11-24T01:59", "2026-11-23T02:00", nullptr, utc, "2026-11-24T02:00"},
      {"the machine was off tonight", {kTwo}, "2026-11-24T10:00", "2026-11-23T02:00", nullptr, utc, "2026-11-24T10:00"},
      {"... for a month: once", {kTwo}, "2026-11-24T10:00", "2026-10-23T02:00", nullptr, utc, "2026-11-24T10:00"},
      {"at the minute itself", {kTwo}, "2026-11-24T02:00", "2026-11-23T02:00", nullptr, utc, "2026-11-24T02:00"},
      {"twice a day", {kTwo, kNoon}, "2026-11-24T10:00", "2026-11-24T02:00", nullptr, utc, "2026-11-24T12:00"},
      {"twice a day, one missed",
       {kTwo, kNoon},
       "2026-11-24T13:00",
       "2026-11-24T02:00",
       nullptr,
       utc,
       "2026-11-24T13:00"},
      {"failed: again in a while",
       {kTwo},
       "2026-11-24T02:01",
       "2026-11-23T02:00",
       "2026-11-24T02:00",
       utc,
       "2026-11-24T02:15"},
      {"failed a while ago",
       {kTwo},
       "2026-11-24T03:00",
       "2026-11-23T02:00",
       "2026-11-24T02:00",
       utc,
       "2026-11-24T03:00"},
      {"failed before one that worked",
       {kTwo},
       "2026-11-24T03:00",
       "2026-11-24T02:00",
       "2026-11-23T02:00",
       utc,
       "2026-11-25T02:00"},
      {"failed in the future: the clock was put back",
       {kTwo},
       "2026-11-24T03:00",
       nullptr,
       "2027-11-23T02:00",
       utc,
       "2026-11-24T03:00"},
      {"no retry beyond the next time",
       {kTwo, kNoon},
       "2026-11-24T11:50",
       "2026-11-23T12:00",
       "2026-11-24T11:49",
       utc,
       "2026-11-24T12:00"},
      {"local time is what counts",
       {kTwo},
       "2026-01-10T00:30",
       "2026-01-09T01:00",
       nullptr,
       berlin,
       "2026-01-10T01:00"},
      {"in summer, too", {kTwo}, "2026-07-09T23:30", "2026-07-09T00:00", nullptr, berlin, "2026-07-10T00:00"},
      {"put forward over it: 03:30",
       {kHalfPastTwo},
       "2026-03-29T00:00",
       "2026-03-28T01:30",
       nullptr,
       berlin,
       "2026-03-29T01:30"},
      {"... and the day after as always",
       {kHalfPastTwo},
       "2026-03-29T10:00",
       "2026-03-29T01:30",
       nullptr,
       berlin,
       "2026-03-30T00:30"},
      {"put back over it: the first time",
       {kHalfPastTwo},
       "2026-10-25T00:00",
       "2026-10-24T00:30",
       nullptr,
       berlin,
       "2026-10-25T00:30"},
      {"... and not the second",
       {kHalfPastTwo},
       "2026-10-25T00:31",
       "2026-10-25T00:30",
       nullptr,
       berlin,
       "2026-10-26T01:30"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    Past past;
    if (row.archive != nullptr) past.archive = at(row.archive);
    if (row.failed != nullptr) past.failed_attempt = at(row.failed);
    CHECK(shown(next_run(row.times, at(row.now), past, row.zone)) == row.due);
  }
}

TEST_CASE("schedule: a simulated year has one archive each local day, whatever the clocks do") {
  for (const Minute time : {Minute{2, 30}, Minute{0, 0}, Minute{3, 0}, Minute{23, 59}}) {
    const std::vector times = {time};
    WallTime now = at("2026-01-01T12:00");
    Past past{.archive = now, .failed_attempt = std::nullopt};
    std::map<std::string, int> archives;  // by local day
    while (now < at("2027-01-01T12:00")) {
      now = next_run(times, now, past, berlin);
      ++archives[shown(now + berlin(now)).substr(0, 10)];
      past.archive = std::chrono::floor<std::chrono::seconds>(now);
      now += 5s;
    }
    CHECK(archives.size() == 366);  // from noon to noon, and the one that ends the loop
    for (const auto& [day, count] : archives) {
      CAPTURE(day);
      CHECK(count == 1);
    }
  }
}

// ---- keep rules ----

// One archive each six hours, oldest first, up to and with 2026-11-24T18:00, a Tuesday.
std::vector<Candidate> every_six_hours(int count) {
  std::vector<Candidate> all;
  for (int i = count - 1; i >= 0; --i) all.push_back({.time = at("2026-11-24T18:00") - i * 6h});
  return all;
}

std::string kept(const std::vector<Candidate>& candidates, const Keep& keep, const LocalOffset& offset = utc) {
  std::string text;
  const auto decisions = decide(candidates, keep, offset);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (decisions[i].keep) text += (text.empty() ? "" : " ") + shown(candidates[i].time).substr(5, 8);
  }
  return text;
}

TEST_CASE("keep: what each rule wants") {
  const auto week = every_six_hours(28);
  CHECK(kept(week, {.last = 2}) == "11-24T12 11-24T18");
  CHECK(kept(week, {.daily = 3}) == "11-22T18 11-23T18 11-24T18");
  CHECK(kept(week, {.hourly = 3}) == "11-24T06 11-24T12 11-24T18");
  CHECK(kept(week, {.weekly = 2}) == "11-22T18 11-24T18");
  CHECK(kept(week, {.within = 12h}) == "11-24T06 11-24T12 11-24T18");
  CHECK(kept(week, {.within = 12h - 1s}) == "11-24T12 11-24T18");
  CHECK(kept(week, {.last = 1, .daily = 2}) == "11-23T18 11-24T18");
  // The oldest stays while a rule has places left.
  CHECK(kept(week, {.monthly = 2}) == "11-18T00 11-24T18");
  CHECK(kept(week, {.weekly = 9}) == "11-18T00 11-22T18 11-24T18");
  CHECK(kept(week, {.last = 100}).size() == 28 * 9 - 1);
  // Days are local days: 18:00 UTC plus six hours is the next day.
  const LocalOffset east = [](WallTime) { return std::chrono::seconds(6h); };
  CHECK(kept(week, {.daily = 2}, east) == "11-24T12 11-24T18");
  CHECK(kept({}, {.last = 1}).empty());
}

TEST_CASE("keep: the newest verified archive is never deleted, and others count for nothing") {
  auto week = every_six_hours(4);  // 00, 06, 12, 18
  CHECK(kept(week, {}) == "11-24T18");
  week[3].verified = false;
  CHECK(kept(week, {.last = 1}) == "11-24T12 11-24T18");  // 18 is kept, and takes no place
  week[1].verified = false;
  CHECK(kept(week, {.last = 1}) == "11-24T06 11-24T12 11-24T18");
  for (Candidate& candidate : week) candidate.verified = false;
  CHECK(kept(week, {.last = 1}) == "11-24T00 11-24T06 11-24T12 11-24T18");
}

TEST_CASE("keep: an archive without a database takes the place of none that has it") {
  auto week = every_six_hours(6);  // 23T12 23T18 24T00 24T06 24T12 24T18
  for (std::size_t i = 3; i < 6; ++i) week[i].complete = false;
  CHECK(kept(week, {.last = 1}) == "11-24T00 11-24T18");
  CHECK(kept(week, {.within = 6h}) == "11-23T18 11-24T00 11-24T12 11-24T18");
}

TEST_CASE("keep: another service's archives are left alone") {
  auto week = every_six_hours(4);
  week[0].ours = week[3].ours = false;
  CHECK(kept(week, {.last = 1}) == "11-24T00 11-24T12 11-24T18");
}

TEST_CASE("keep: whatever the rules and the archives, the newest verified one of each kind stays") {
  for (std::uint64_t seed = 1; seed <= 2'000; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    std::vector<Candidate> all;
    for (std::uint32_t n = random.below(30); n > 0; --n) {
      all.push_back({.time = at("2026-01-01T00:00") + std::chrono::minutes(random.below(500'000)),
                     .verified = random.below(3) != 0,
                     .complete = random.below(3) != 0,
                     .ours = random.below(5) != 0});
    }
    const auto some = [&] { return static_cast<int>(random.below(4)); };
    const Keep keep{.last = some(),
                    .hourly = some(),
                    .daily = some(),
                    .weekly = some(),
                    .monthly = some(),
                    .within = random.below(2) != 0 ? Duration(0) : std::chrono::hours(random.below(2000))};
    const auto decisions = decide(all, keep, berlin);
    for (const bool complete : {true, false}) {
      const Candidate* newest = nullptr;
      std::size_t verified = 0, kept_verified = 0;
      for (std::size_t i = 0; i < all.size(); ++i) {
        if (!all[i].verified || !all[i].ours) CHECK(decisions[i].keep);
        if (!all[i].verified || !all[i].ours || all[i].complete != complete) continue;
        ++verified;
        if (decisions[i].keep) ++kept_verified;
        if (newest == nullptr || all[i].time > newest->time) newest = &all[i];
      }
      if (newest != nullptr) CHECK(decisions[static_cast<std::size_t>(newest - all.data())].keep);
      CHECK(kept_verified >= std::min<std::size_t>(verified, static_cast<std::size_t>(std::max(1, keep.last))));
    }
  }
}

// ---- manifest and catalogue ----

Manifest full_manifest() {
  return {.service = "language-id",
          .nines = "0.1.0",
          .host = "ä\"host\\",
          .created = at("2026-11-24T02:00:00.123Z"),
          .members = {{.path = "data/ä b.db",
                       .kind = Kind::kSqlite,
                       .source = "../x/ä b.db",
                       .bytes = 1ULL << 40,
                       .sha256 = std::string(64, 'a'),
                       .modified = at("2026-11-24T01:00:00.001Z")},
                      {.path = "nines.yaml",
                       .kind = Kind::kConfiguration,
                       .source = "n.yaml",
                       .bytes = 0,
                       .sha256 = std::string(64, '0'),
                       .modified = at("2026-11-24T01:00")}},
          .missing = {"data/none.db"}};
}

TEST_CASE("manifest: written and read again") {
  const auto again = parse_manifest(to_json(full_manifest()));
  REQUIRE(again);
  CHECK((*again == full_manifest()));
}

TEST_CASE("manifest: what is wrong with one is said") {
  const std::string good = to_json(full_manifest());
  const auto without = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const auto found = text.find(from);
    REQUIRE(found != std::string::npos);
    return text.replace(found, from.size(), to);
  };
  const std::string bad[] = {"",
                             "[]",
                             "{}",
                             good.substr(0, good.size() / 2),
                             without("nines-backup", "other"),
                             without("\"version\":1", "\"version\":2"),
                             without("\"service\"", "\"x\""),
                             without("\"sqlite\"", "\"oracle\""),
                             without("data/ä b.db", "data/../x"),
                             without(std::string(64, 'a'), std::string(63, 'a')),
                             without("1099511627776", "-1"),
                             without("2026-11-24T01:00:00.001Z", "yesterday")};
  for (const std::string& text : bad) {
    CAPTURE(text);
    const auto parsed = parse_manifest(text);
    REQUIRE(!parsed);
    CHECK(parsed.error().code() == Code::kInvalid);
  }
}

TEST_CASE("manifest: members lie where a backup puts them") {
  for (const char* good : {"data/a", "data/2/a.db", "files/model dir/ä", "nines.yaml", "manifest.json", "files/..a"})
    CHECK(check_member_path(good));
  for (const char* bad : {"", "/", "data", "data/", "/data/a", "data/../a", "data/./a", "data//a", "data/a/",
                          "../data/a", "x", "nines.yaml/x", "./data/a", "files/.."}) {
    CAPTURE(bad);
    CHECK(!check_member_path(bad));
  }
  CHECK(!check_member_path("data/" + std::string(5000, 'a')));
  CHECK(!check_member_path(std::string_view("data/\0a", 7)));
}

TEST_CASE("catalogue: a proof holds for the object it was made for") {
  const testing::Folder folder;
  Catalogue catalogue;
  const storage::Object object{"a", 12, at("2026-11-24T02:00:00.123Z") + 456ns};
  const Proof proof{.bytes = 12,
                    .modified = object.modified,
                    .sha256 = "ff",
                    .at = at("2026-11-24T02:01"),
                    .service = "s",
                    .created = at("2026-11-24T02:00"),
                    .complete = false};
  catalogue.put("/b", "a", proof);
  catalogue.put("/b", "gone", proof);
  catalogue.set_failure("/c", Failure{at("2026-11-24T02:01"), "disk full"});
  REQUIRE(catalogue.save(folder / "backups.json"));
  Catalogue again = Catalogue::load(folder / "backups.json");
  CHECK((again == catalogue));
  REQUIRE(again.find("/b", object) != nullptr);
  CHECK((*again.find("/b", object) == proof));
  CHECK(again.find("/c", object) == nullptr);
  CHECK(again.find("/b", {"a", 13, object.modified}) == nullptr);
  CHECK(again.find("/b", {"a", 12, object.modified + 1ns}) == nullptr);
  again.retain("/b", std::vector{object});
  CHECK(again.find("/b", {"gone", 12, object.modified}) == nullptr);
  CHECK(again.find("/b", object) != nullptr);
  CHECK(again.failure_of("/c")->why == "disk full");
  again.set_failure("/c", std::nullopt);
  CHECK(again.failure_of("/c") == nullptr);
}

TEST_CASE("catalogue: lost or damaged, it is empty") {
  const testing::Folder folder;
  CHECK((Catalogue::load(folder / "none") == Catalogue{}));
  Catalogue catalogue;
  catalogue.put("/b", "a", {.bytes = 12, .sha256 = "ff"});
  REQUIRE(catalogue.save(folder / "c"));
  const std::string good = *storage::read_file(folder / "c", 1 << 20);
  for (std::size_t size = 0; size + 1 < good.size(); ++size) {
    folder.file("c", good.substr(0, size));
    CHECK((Catalogue::load(folder / "c") == Catalogue{}));
  }
  folder.file("c", R"({"version":1,"archives":{"/b":{"a":{"bytes":"x"}}},"failures":{}})");
  CHECK((Catalogue::load(folder / "c") == Catalogue{}));
}

}  // namespace
}  // namespace nines::backup
