#include <algorithm>
#include <map>
#include <random>

#include "ledger/ledger.h"
#include "ledger/reader.h"
#include "ledger/slice_test_support.h"
#include "ledger/sqlite.h"
#include "ledger/test_support.h"

namespace nines::ledger {
namespace {

using nines::testing::Folder;
using testing::code_of;
using testing::must;
using testing::random_slice;

constexpr std::int64_t kDay = 86'400;
constexpr std::int64_t kMidnight = 20'000 * kDay;  // some day, at 00:00 UTC

Sampled sampled(std::int64_t until) {
  return {.table_id = 7, .counters = std::to_string(until), .until = until, .boot_id = "boot"};
}

void add_to(Ledger& ledger, const std::vector<Slice>& slices) {
  for (std::size_t i = 0; i < slices.size(); i += 1000) {
    const auto part = std::span(slices).subspan(i, std::min<std::size_t>(1000, slices.size() - i));
    const auto added = ledger.add(part, sampled(part.back().start + 10));
    REQUIRE_MESSAGE(added, added.error().text());
  }
}

Moment at(std::int64_t second) { return {"boot", Instant{}, WallTime(std::chrono::seconds(second))}; }

std::string broken(const Reader& reader) {
  const auto found = must(reader.check_slices());
  return found ? found->why : "";
}

std::int64_t rows_of(const std::string& path, Grain grain) {
  const auto db = must(Database::open(path, Database::Access::kRead));
  return must(db.integer("SELECT count(*) FROM slices WHERE grain = " + std::to_string(seconds_of(grain))));
}

void run_sql(const std::string& path, const std::string& sql) {
  REQUIRE(must(Database::open(path, Database::Access::kWrite)).run(sql.c_str()));
}

Slice sum_of(const std::vector<Slice>& slices, std::int64_t from, std::int64_t to) {
  Slice sum{.start = from};
  for (const Slice& slice : slices)
    if (slice.start >= from && slice.start < to) add(sum, slice);
  return sum;
}

// In as many steps as it takes.
void fill_down(Ledger& ledger, std::int64_t from, std::int64_t to, const Moment& now) {
  while (from < to) from = must(ledger.fill({.from = from, .to = to}, {.table_id = 7}, now));
}

TEST_CASE("slices: roll-ups are the sums of what was added, in any order, and totals those of any window") {
  const auto seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const Folder folder;
  const std::string path = folder / "ledger.db";
  auto ledger = must(Ledger::open(path));
  const std::int64_t begin = kMidnight - 3 * 3600;
  std::vector<Slice> slices;
  for (std::int64_t start = begin; start < begin + 6 * 3600; start += 10)
    if (random() % 10 != 0) slices.push_back(random_slice(random, start));
  std::vector<Slice> shuffled = slices;
  std::ranges::shuffle(shuffled, random);
  add_to(ledger, shuffled);
  const Reader reader = must(Reader::open(path));
  CHECK(broken(reader) == "");
  for (const Grain grain : kGrains) {
    for (const Slice& slice : must(reader.slices(grain, begin, begin + kDay)))
      if (slice.start >= begin) REQUIRE(slice == sum_of(slices, slice.start, slice.start + seconds_of(grain)));
  }
  for (int round = 0; round < 300; ++round) {
    std::int64_t from = begin + static_cast<std::int64_t>(random() % (6 * 3600)),
                 to = begin + static_cast<std::int64_t>(random() % (7 * 3600));
    if (from > to) std::swap(from, to);
    const Total total = must(reader.total(from, to));
    const std::int64_t first = from == to ? from : start_of(Grain::kTenSeconds, from);
    const std::int64_t last = from == to ? to : start_of(Grain::kTenSeconds, to + 9);
    Slice sum = sum_of(slices, first, last);
    sum.start = total.from;
    REQUIRE(total.sum == sum);
    REQUIRE(total.from <= from);
    REQUIRE(total.from >= first);
    REQUIRE(total.to >= to);
    REQUIRE(total.to <= last);
  }
  CHECK(must(reader.measured_since()) == std::ranges::min(slices, {}, &Slice::start).start);
}

TEST_CASE("slices: where the finer ones are gone, a total says what it is of") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  auto ledger = must(Ledger::open(path));
  std::vector<Slice> slices;
  for (std::int64_t start = kMidnight; start < kMidnight + 2 * 3600; start += 10)
    slices.push_back({.start = start, .good = 1, .up = 10});
  add_to(ledger, slices);
  const Reader reader = must(Reader::open(path));
  const std::int64_t from = kMidnight + 1805, to = kMidnight + 3605;
  const auto span = [&] {
    const Total total = must(reader.total(from, to));
    CHECK(total.unknown() == 0);
    CHECK(static_cast<std::int64_t>(total.sum.up) == total.to - total.from);
    CHECK(total.sum.good * 10 == total.sum.up);
    return std::pair(total.from - kMidnight, total.to - kMidnight);
  };
  CHECK(span() == std::pair<std::int64_t, std::int64_t>(1800, 3610));
  run_sql(path, "DELETE FROM slices WHERE grain = 10");
  CHECK(span() == std::pair<std::int64_t, std::int64_t>(1800, 3660));
  run_sql(path, "DELETE FROM slices WHERE grain = 60");
  CHECK(span() == std::pair<std::int64_t, std::int64_t>(0, 7200));
  run_sql(path, "DELETE FROM slices WHERE grain = 3600");
  const Total day = must(reader.total(from, to));
  CHECK(day.from == kMidnight);
  CHECK(day.to == kMidnight + kDay);
  CHECK(day.unknown() == kDay - 7200);
  CHECK(broken(reader) == "");
  // What was not measured at all is unknown, and as long as was asked for.
  CHECK(must(reader.total(from - 5 * kDay, to - 5 * kDay)).unknown() == 1800);
  CHECK(must(reader.total(INT64_MIN, INT64_MAX)).sum.up == 7200);
  CHECK(must(reader.total(to, from)).sum == Slice{.start = to});
}

TEST_CASE("slices: each grain goes when it is too old, whole slices of the next one at a time, in steps") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  auto ledger = must(Ledger::open(path));
  const std::int64_t now = kMidnight + 500 * kDay + 12'345;
  fill_down(ledger, kMidnight + 5, now, at(now));
  const Reader reader = must(Reader::open(path));
  CHECK(broken(reader) == "");
  const auto whole = must(reader.total(kMidnight, now)).sum;
  for (std::int64_t later = now; later < now + 3 * kDay; later += 17'777) {
    std::vector<Slice> since;  // it ran on meanwhile
    for (std::int64_t start = start_of(Grain::kTenSeconds, later - 17'777) + 10; start <= later; start += 10)
      if (start >= now) since.push_back({.start = start, .up = 10});
    add_to(ledger, since);
    bool more = true;
    for (int calls = 0; more; ++calls) {
      REQUIRE(calls < 10);
      more = must(ledger.prune({}, at(later))).more;
      REQUIRE(broken(reader) == "");
    }
    for (std::size_t i = 0; i < 3; ++i) {
      const auto oldest = must(reader.slices(kGrains[i], 0, INT64_MAX)).front().start;
      const auto kept = std::chrono::duration_cast<std::chrono::seconds>(*kept_for(kGrains[i])).count();
      REQUIRE(oldest == start_of(kGrains[i + 1], oldest));
      REQUIRE(oldest <= later - kept);
      // Of the seconds that were no whole ten at the beginning, and rows that are protected, no more than a slice.
      REQUIRE(oldest > later - kept - 2 * seconds_of(kGrains[i + 1]));
    }
  }
  CHECK(must(reader.total(kMidnight, start_of(Grain::kTenSeconds, now))).sum.down == whole.down);
}

TEST_CASE("slices: a wall clock that is years ahead for a minute takes nothing") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  auto ledger = must(Ledger::open(path));
  const std::int64_t now = kMidnight + 410 * kDay;
  fill_down(ledger, kMidnight, now, at(now));
  while (must(ledger.prune({}, at(now))).more) {
  }
  std::array<std::int64_t, 4> before{};
  for (std::size_t i = 0; i < 4; ++i) before[i] = rows_of(path, kGrains[i]);
  CHECK(before[0] >= 17'280);
  CHECK(before[1] >= 50'400);
  CHECK(before[2] >= 9'600);
  const std::int64_t wrong = now + 4000 * kDay;
  add_to(ledger, {{.start = wrong, .up = 10}});
  while (must(ledger.prune({}, at(wrong + 10))).more) {
  }
  const Reader reader = must(Reader::open(path));
  CHECK(broken(reader) == "");
  // As many as are kept when none is missing stay; so the new ones cost as many old ones, and what makes a slice whole.
  const std::int64_t allowed[] = {6, 60, 24, 0};
  for (std::size_t i = 0; i < 4; ++i) CHECK(rows_of(path, kGrains[i]) >= before[i] - allowed[i]);
  CHECK(must(reader.total(now - 3600, now)).sum.down == 3600);
  // Set back it takes nothing either.
  CHECK(must(ledger.prune({}, at(0))).slices == 0);
}

TEST_CASE("slices: a service that runs now and then keeps what it has, and a part never stays without its sum") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  auto ledger = must(Ledger::open(path));
  const Reader reader = must(Reader::open(path));
  // Ten seconds of each hour: of hours there are more than 400 days have, of ten seconds fewer than two.
  const std::int64_t hours = 10'000;
  std::vector<Slice> seen;
  for (std::int64_t hour = 0; hour < hours; ++hour) seen.push_back({.start = kMidnight + hour * 3600, .up = 10});
  add_to(ledger, seen);
  CHECK(must(ledger.prune({}, at(kMidnight + hours * 3600))).slices == 0);
  CHECK(broken(reader) == "");
  CHECK(must(reader.total(kMidnight, kMidnight + hours * 3600)).sum.up == static_cast<std::uint64_t>(hours) * 10);
}

TEST_CASE("slices: many are removed in several calls") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  auto ledger = must(Ledger::open(path));
  fill_down(ledger, kMidnight, kMidnight + 4 * kDay, at(kMidnight));
  std::string calls;
  for (bool more = true; more;) {
    const auto pruned = must(ledger.prune({}, at(kMidnight + 4 * kDay)));
    calls += std::to_string(pruned.slices) + " ";
    more = pruned.more;
  }
  CHECK(calls == "9996 7284 ");
  CHECK(rows_of(path, Grain::kTenSeconds) == 2 * kDay / 10);
}

// What the record should hold: every ten seconds, kept by a few lines that share nothing with it.
class World {
 public:
  World(const std::string& path, std::uint64_t seed)
      : path_(path), random_(seed), ledger_(must(Ledger::open(path))), now_(kMidnight + below(kDay)) {}

  void step() {
    switch (below(10)) {
      case 0: return gap(below(5) == 0 ? 40 * kDay : 3 * kDay);
      case 1: return gap(7200);
      case 2:
      case 3: return prune();
      case 4: return late();
      default: return watch();
    }
  }

  void judge() {
    const Reader reader = must(Reader::open(path_));
    REQUIRE(broken(reader) == "");
    for (int round = 0; round < 20; ++round) {
      const std::int64_t from = kMidnight + below(now_ - kMidnight + 1);
      const std::int64_t to = from + below(round % 2 == 0 ? 7200 : now_ - from + kDay);
      const Total total = must(reader.total(from, to));
      CAPTURE(from);
      CAPTURE(to);
      REQUIRE(total.from <= from);
      REQUIRE(total.to >= to);
      Slice sum{.start = total.from};
      for (auto ten = tens_.lower_bound(total.from); ten != tens_.end() && ten->first < total.to; ++ten)
        add(sum, ten->second);
      REQUIRE(total.sum == sum);
    }
  }

 private:
  std::int64_t below(std::int64_t limit) {
    return static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(limit));
  }
  std::uint64_t left(std::int64_t ten) { return 10 - tens_[ten].known(); }

  // Seconds that the keeper saw, in parts of ten.
  void watch() {
    std::vector<Slice> seen;
    for (auto count = 1 + below(100); count > 0; --count, now_ += 10) {
      const std::int64_t ten = start_of(Grain::kTenSeconds, now_);
      seen.push_back(random_slice(random_, ten, left(ten)));
      add(tens_[ten], seen.back());
    }
    add_to(ledger_, seen);
  }
  // Some that were handed over late.
  void late() {
    const std::int64_t ten = start_of(Grain::kTenSeconds, std::max(kMidnight, now_ - below(60 * kDay)));
    const Slice slice = random_slice(random_, ten, left(ten));
    add(tens_[ten], slice);
    add_to(ledger_, {slice});
  }
  // Some that nobody saw.
  void gap(std::int64_t longest) {
    const SliceCount state = kSeconds[static_cast<std::size_t>(below(6))];
    const std::int64_t from = start_of(Grain::kTenSeconds, now_) + 10, to = from + below(longest);
    now_ = to;
    for (std::int64_t at = from; at < to;) {
      const std::int64_t end = std::min(to, start_of(Grain::kTenSeconds, at) + 10);
      tens_[start_of(Grain::kTenSeconds, at)].*state += static_cast<std::uint64_t>(end - at);
      at = end;
    }
    std::int64_t reached = from;
    do {
      reached = must(ledger_.fill({.from = reached, .to = to, .state = state}, sampled(0), at(to)));
      REQUIRE(must(ledger_.sampled(7))->until == reached);
    } while (reached < to);
  }
  // By a clock that may be wrong.
  void prune() {
    const std::int64_t by = below(3) == 0 ? now_ + below(1000 * kDay) - 300 * kDay : now_;
    must(ledger_.prune({}, at(by)));
  }

  std::string path_;
  std::mt19937_64 random_;
  Ledger ledger_;
  std::int64_t now_;
  std::map<std::int64_t, Slice> tens_;
};

TEST_CASE("slices: whatever comes in whatever order, sums are those of a model, whatever is gone") {
  const auto first = std::random_device()();
  for (std::uint64_t seed = first; seed < first + 3; ++seed) {
    CAPTURE(seed);
    const Folder folder;
    World world(folder / "ledger.db", seed);
    for (int i = 1; i <= 24; ++i) {
      world.step();
      if (i % 2 == 0) world.judge();
    }
  }
}

TEST_CASE("slices: a second that is told twice is refused, and nothing of the call is kept") {
  const Folder folder;
  auto ledger = must(Ledger::open(folder / "ledger.db"));
  const Slice six{.start = kMidnight, .good = 1, .up = 6}, four{.start = kMidnight, .good = 2, .down = 4};
  const Slice one{.start = kMidnight, .good = 9, .up = 1}, other{.start = kMidnight + 10, .good = 9, .up = 1};
  CHECK(ledger.add(std::span(&six, 1), sampled(1)));
  CHECK(ledger.add(std::span(&four, 1), sampled(2)));  // the keeper was replaced in the middle
  const Slice both[] = {other, one};
  CHECK(code_of(ledger.add(both, sampled(3))) == Code::kLimit);
  const Reader reader = must(Reader::open(folder / "ledger.db"));
  CHECK(must(reader.total(kMidnight, kMidnight + 60)).sum == Slice{.start = kMidnight, .good = 3, .up = 6, .down = 4});
  CHECK(must(ledger.sampled(7))->until == 2);
  CHECK(code_of(ledger.fill({.from = kMidnight + 5, .to = kMidnight + 20}, sampled(4), at(kMidnight))) == Code::kLimit);
  CHECK(must(ledger.sampled(7))->until == 2);
}

TEST_CASE("slices: a stretch in which it was down, in every grain that would be kept") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  auto ledger = must(Ledger::open(path));
  const std::int64_t now = kMidnight + 500 * kDay + 12'345;
  fill_down(ledger, kMidnight + 5, now, at(now));
  const Reader reader = must(Reader::open(path));
  CHECK(must(reader.slices(Grain::kDay, 0, INT64_MAX)).size() == 501);
  const auto days = must(reader.total(kMidnight, kMidnight + 500 * kDay));
  CHECK(days.sum.down == 500 * kDay - 5);
  CHECK(must(reader.total(now - 100, now)).sum.down == 100 + (now - 100) % 10);
  CHECK(must(reader.slices(Grain::kTenSeconds, 0, INT64_MAX)).size() == 10'000);  // of one answer
  CHECK(must(Database::open(path, Database::Access::kRead)).integer("SELECT count(*) FROM slices").value() < 80'000);
  CHECK(broken(reader) == "");
}

TEST_CASE("slices: the same in steps, each with how far it came") {
  const Folder folder;
  auto in_steps = must(Ledger::open(folder / "steps.db"));
  const std::int64_t now = kMidnight + 500 * kDay + 12'345;
  const std::int64_t from = kMidnight + 5;
  int steps = 0;
  for (std::int64_t reached = from; reached < now; ++steps) {
    const auto rows = rows_of(folder / "steps.db", Grain::kTenSeconds) + rows_of(folder / "steps.db", Grain::kMinute);
    reached = must(in_steps.fill({.from = reached, .to = now}, {.table_id = 7, .counters = "as they were"}, at(now)));
    CHECK(must(in_steps.latest_sampled()) == Sampled{.table_id = 7, .counters = "as they were", .until = reached});
    CHECK(rows_of(folder / "steps.db", Grain::kTenSeconds) + rows_of(folder / "steps.db", Grain::kMinute) <
          rows + 5'500);
  }
  CHECK(steps > 10);
  const Reader reader = must(Reader::open(folder / "steps.db"));
  CHECK(broken(reader) == "");
  CHECK(must(reader.total(kMidnight, now + kDay)).sum.down == static_cast<std::uint64_t>(now - from));
  CHECK(must(in_steps.fill({.from = now, .to = now}, {.table_id = 7}, at(now))) == now);
}

TEST_CASE("slices: a stretch that begins where finer slices are gone keeps what is there whole") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  auto ledger = must(Ledger::open(path));
  // It ran for 25 s, and came back after three days: the first minute has its parts, those behind it have none.
  add_to(ledger,
         {{.start = kMidnight, .up = 10}, {.start = kMidnight + 10, .up = 10}, {.start = kMidnight + 20, .up = 5}});
  const std::int64_t now = kMidnight + 3 * kDay + 1;
  fill_down(ledger, kMidnight + 25, now, at(now));
  const Reader reader = must(Reader::open(path));
  CHECK(broken(reader) == "");
  CHECK(must(reader.slices(Grain::kTenSeconds, kMidnight, kMidnight + kDay)).size() == 6);
  CHECK(must(reader.total(kMidnight + 20, kMidnight + 30)).sum == Slice{.start = kMidnight + 20, .up = 5, .down = 5});
  const Total behind = must(reader.total(kMidnight + 70, kMidnight + 80));
  CHECK(behind.from == kMidnight + 60);
  CHECK(behind.sum.down == 60);
  // A late one, where the parts of its minute were never there, goes into the minute.
  CHECK(code_of(ledger.add(std::vector<Slice>{{.start = kMidnight + 70, .up = 1}}, sampled(1))) == Code::kLimit);
  CHECK(ledger.add(std::vector<Slice>{{.start = kMidnight + 70, .good = 3}}, sampled(1)));
  CHECK(broken(reader) == "");
  CHECK(must(reader.total(kMidnight + 70, kMidnight + 80)).sum.good == 3);
}

TEST_CASE("slices: how far counters were taken is kept for each table, for the latest eight") {
  const Folder folder;
  auto ledger = must(Ledger::open(folder / "ledger.db"));
  CHECK(must(ledger.latest_sampled()) == std::nullopt);
  for (std::uint64_t table = 1; table <= 20; ++table)
    CHECK(ledger.add({}, {.table_id = table,
                          .counters = std::string(1056, 'x'),
                          .until = static_cast<std::int64_t>(table),
                          .boot_id = "b"}));
  CHECK(must(ledger.sampled(3)) == std::nullopt);
  CHECK(must(ledger.sampled(20))->counters == std::string(1056, 'x'));
  CHECK(must(ledger.latest_sampled())->table_id == 20);
  // By the order in which they were written: the wall clock was set back.
  CHECK(ledger.add({}, {.table_id = 21, .until = -5}));
  CHECK(must(ledger.latest_sampled()) == Sampled{.table_id = 21, .until = -5});
  CHECK(ledger.add({}, {.table_id = 14, .until = 1}));
  CHECK(must(ledger.latest_sampled())->table_id == 14);
  CHECK(code_of(ledger.add({}, {.table_id = 1, .counters = std::string(kCountersMax + 1, 'x')})) == Code::kLimit);
}

TEST_CASE("slices: a coarse one that is not the sum of its parts is found") {
  struct Row {
    const char* change;
    const char* why;
  };
  const Row rows[] = {
      {"UPDATE slices SET good = 6 WHERE grain = 60",
       "the minute from 2024-10-04T00:01:00.000Z is not the sum of its parts"},
      {"DELETE FROM slices WHERE grain = 10 AND start % 60 = 0",
       "the minute from 2024-10-04T00:01:00.000Z is not the sum of its parts"},
      {"UPDATE slices SET latency = x'010501' WHERE grain = 3600",
       "the hour from 2024-10-04T00:00:00.000Z is not the sum of its parts"},
      {"DELETE FROM slices WHERE grain = 3600",
       "the hour from 2024-10-04T00:00:00.000Z is missing, and parts of it are there"},
      {"UPDATE slices SET up = 21 WHERE grain = 86400",
       "the day from 2024-10-04T00:00:00.000Z is not the sum of its parts"},
      {"DELETE FROM slices WHERE grain = 10", ""},  // gone as a whole, as by their age
  };
  for (const Row& row : rows) {
    CAPTURE(row.change);
    const Folder folder;
    const std::string path = folder / "ledger.db";
    auto ledger = must(Ledger::open(path));
    add_to(ledger, {{.start = kMidnight + 60, .good = 5, .up = 10}, {.start = kMidnight + 70, .good = 5, .up = 10}});
    const Reader reader = must(Reader::open(path));
    CHECK(broken(reader) == "");
    run_sql(path, row.change);
    CHECK(broken(reader) == row.why);
  }
}

TEST_CASE("slices: a row that nobody writes here is damage, not a figure") {
  for (const char* const change :
       {"UPDATE slices SET good = -1 WHERE grain = 10", "UPDATE slices SET up = 11 WHERE grain = 10",
        "UPDATE slices SET start = start + 1 WHERE grain = 10", "UPDATE slices SET latency = x'0207' WHERE grain = 10",
        "UPDATE slices SET up = 6, down = 9223372036854775807 WHERE grain = 10"}) {
    CAPTURE(change);
    const Folder folder;
    const std::string path = folder / "ledger.db";
    auto ledger = must(Ledger::open(path));
    add_to(ledger, {{.start = kMidnight, .good = 5, .up = 6}});
    run_sql(path, change);
    const Reader reader = must(Reader::open(path));
    CHECK(code_of(reader.total(kMidnight, kMidnight + 10)) == Code::kInvalid);
    CHECK(code_of(reader.slices(Grain::kTenSeconds, 0, INT64_MAX)) == Code::kInvalid);
    CHECK(code_of(reader.check_slices()) == Code::kInvalid);
  }
}

TEST_CASE("slices: a ledger to which no slice can be added is set aside, not opened again and again") {
  for (const char* const change :
       {"UPDATE slices SET up = 61 WHERE grain = 60", "UPDATE slices SET latency = x'0207' WHERE grain = 86400",
        "DROP TABLE slices", "DROP TABLE sampled", "ALTER TABLE sampled DROP COLUMN written"}) {
    CAPTURE(change);
    const Folder folder;
    const std::string path = folder / "ledger.db";
    {
      auto ledger = must(Ledger::open(path));
      add_to(ledger, {{.start = kMidnight, .good = 5, .up = 6}});
    }
    run_sql(path, change);
    CHECK(code_of(Ledger::open(path)) == Code::kInvalid);
    auto ledger = must(Ledger::open_or_set_aside(path, at(kMidnight)));
    add_to(ledger, {{.start = kMidnight, .good = 5, .up = 6}});
    CHECK(must(ledger.size()).rows == 1);  // which says so
  }
}

// Not a test. Prints what docs/internals/ledger.md says:
//   ledger_test -ns -tc='slices: how long it takes'
TEST_CASE("slices: how long it takes" * doctest::skip()) {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  const auto timed = [](const std::string& what, int times, auto body) {
    std::vector<double> took;
    for (int i = 0; i < times; ++i) {
      const auto begun = std::chrono::steady_clock::now();
      body(i);
      took.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begun).count());
    }
    std::ranges::sort(took);
    std::printf("%-44s median %8.2f ms, worst %8.2f ms, n %d\n", what.c_str(), took[took.size() / 2], took.back(),
                times);
  };
  // Forty of 400 buckets in use, as of a service whose answers take 10 ms to 1 s.
  const auto busy = [](std::int64_t start) {
    Slice slice{.start = start, .good = 4000, .bad = 1, .up = 10};
    for (std::uint16_t bucket = 100; bucket < 140; ++bucket) slice.latency[bucket] = 100;
    return slice;
  };
  const std::int64_t now = kMidnight + 400 * kDay, measured = 36 * kDay;
  auto ledger = std::make_unique<Ledger>(must(Ledger::open(path)));
  timed("400 days of down", 1, [&](int) {
    auto other = must(Ledger::open(folder / "other.db"));
    fill_down(other, kMidnight, now, at(now));
  });
  std::int64_t reached = kMidnight;
  timed("a step of a stretch", 8, [&](int) {
    reached = must(ledger->fill({.from = reached, .to = now - measured}, sampled(0), at(now - measured)));
  });
  while (reached < now - measured)
    reached = must(ledger->fill({.from = reached, .to = now - measured}, sampled(0), at(now - measured)));
  std::vector<Slice> batch;
  for (std::int64_t start = now - measured; start < now; start += 10) {
    batch.push_back(busy(start));
    if (batch.size() < 1000 && start + 10 < now) continue;
    add_to(*ledger, batch);
    batch.clear();
    must(ledger->prune({}, at(start)));
  }
  for (bool more = true; more;) more = must(ledger->prune({}, at(now))).more;
  timed("add 1 slice, with fsync", 500, [&](int i) { add_to(*ledger, {busy(now + i * 10)}); });
  timed("add 1,000 slices", 10, [&](int i) {
    std::vector<Slice> many;
    for (int k = 0; k < 1000; ++k) many.push_back(busy(now + 10'000 + i * 10'000 + k * 10));
    add_to(*ledger, many);
  });
  const Reader reader = must(Reader::open(path));
  timed("total of 400 days, edges in ten seconds", 100,
        [&](int i) { must(reader.total(kMidnight + 12'345 + i, now - 12'345 - i)); });
  timed("total of an hour", 100, [&](int i) { must(reader.total(now - 5'000 - i, now - 1'400 - i)); });
  timed("1,440 slices of a minute", 20, [&](int) { must(reader.slices(Grain::kMinute, now - kDay, now)); });
  timed("check every sum", 5, [&](int) { CHECK(broken(reader) == ""); });
  timed("prune, an hour's", 5, [&](int i) { must(ledger->prune({}, at(now + 100'000 + i * 3600))); });
  ledger.reset();
  std::printf("rows: %lld %lld %lld %lld, %.1f MB\n", static_cast<long long>(rows_of(path, Grain::kTenSeconds)),
              static_cast<long long>(rows_of(path, Grain::kMinute)),
              static_cast<long long>(rows_of(path, Grain::kHour)), static_cast<long long>(rows_of(path, Grain::kDay)),
              static_cast<double>(std::filesystem::file_size(path)) / 1e6);
}

}  // namespace
}  // namespace nines::ledger
