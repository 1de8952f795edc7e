#include "ledger/incident_rows.h"

#include <random>

#include "ledger/test_support.h"

namespace nines::ledger {
namespace {

using nines::testing::Folder;
using testing::must;

WallTime at(std::int64_t second) { return WallTime(std::chrono::seconds(1'800'000'000 + second)); }

Event told(std::int64_t second, std::string kind) {
  return {.when = {"boot", Instant{}, at(second)}, .kind = std::move(kind), .target = "api-1", .a = 9, .b = 1};
}

std::uint64_t rows_in(const std::vector<Seqs>& parts) {
  std::uint64_t rows = 0;
  for (const Seqs& part : parts) rows += part.end - part.first;
  return rows;
}

std::vector<Seqs> found(const Database& db, std::int64_t from, std::int64_t to) {
  auto transaction = must(Transaction::begin(db, Transaction::Kind::kRead));
  return must(seqs_in(db, {at(from), at(to)}));
}

TEST_CASE("incident rows: of a record that goes on steadily only the stretch is read") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  auto ledger = must(Ledger::open(path));
  const auto db = must(Database::open(path, Database::Access::kRead));
  CHECK(found(db, 0, 100).empty());
  std::vector<Event> events;
  for (std::int64_t second = 0; second < 20'000; ++second) events.push_back(told(second, "exited"));
  REQUIRE(ledger.append(events));
  CHECK(found(db, 10'000, 10'100) == std::vector<Seqs>{{10'001 - 64, 10'101 + 64}});
  CHECK(found(db, -500, 10) == std::vector<Seqs>{{1, 11 + 64}});
  CHECK(found(db, 19'999, 90'000) == std::vector<Seqs>{{20'000 - 64, 20'001}});
  CHECK(rows_in(found(db, 30'000, 40'000)) <= 64);
}

TEST_CASE("incident rows: none is missed, wherever the clock was set") {
  const auto seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const auto below = [&](std::uint64_t n) { return static_cast<std::int64_t>(random() % n); };
  for (int round = 0; round < 10; ++round) {
    const Folder folder;
    const std::string path = folder / "ledger.db";
    auto ledger = must(Ledger::open(path));
    std::vector<Event> events;
    std::int64_t now = 0;
    int to_be_told = -1;
    for (int i = 0; i < 3000; ++i) {
      now += below(5);
      if (to_be_told < 0 && below(300) == 0) {
        now += below(40'000) - 20'000;
        to_be_told = static_cast<int>(below(20));
      }
      events.push_back(told(now, to_be_told == 0 ? "clock_stepped" : "exited"));
      if (to_be_told >= 0) --to_be_told;
    }
    REQUIRE(ledger.append(events));
    const auto db = must(Database::open(path, Database::Access::kRead));
    for (int ask = 0; ask < 50; ++ask) {
      const std::int64_t from = below(60'000) - 30'000, to = from + below(5000);
      CAPTURE(from);
      CAPTURE(to);
      const auto parts = found(db, from, to);
      for (std::size_t i = 0; i < events.size(); ++i) {
        const std::uint64_t seq = i + 1;
        const WallTime wall = events[i].when.wall;
        if (wall < at(from) || wall >= at(to)) continue;
        CAPTURE(seq);
        REQUIRE(std::ranges::any_of(parts, [&](const Seqs& s) { return s.first <= seq && seq < s.end; }));
      }
      for (std::size_t i = 1; i < parts.size(); ++i) REQUIRE(parts[i - 1].end < parts[i].first);
    }
  }
}

}  // namespace
}  // namespace nines::ledger
