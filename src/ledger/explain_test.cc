#include "ledger/explain.h"

#include <random>

#include "ledger/report.h"
#include "ledger/test_support.h"

namespace nines::ledger {
namespace {

using nines::testing::Folder;
using testing::must;

constexpr std::int64_t kBegin = 1'800'000'000;

Piece piece(std::int64_t at, std::uint64_t up, std::uint64_t down = 0, std::uint64_t bad = 0) {
  return {{.start = kBegin + at, .bad = bad, .up = up, .down = down}, 10};
}

TEST_CASE("explain: what is missing, in stretches") {
  struct Row {
    const char* name;
    std::vector<Piece> pieces;
    std::vector<Missing> expected;
  };
  const auto at = [](std::int64_t second) { return kBegin + second; };
  const Row rows[] = {
      {"nothing", {piece(0, 10), piece(10, 10), piece(20, 10)}, {}},
      {"neighbours are one stretch",
       {piece(0, 10), piece(10, 4, 6, 3), piece(20, 9, 1, 1)},
       {{.from = at(10), .to = at(30), .down = 7, .bad = 4}}},
      {"apart they are two",
       {piece(0, 9, 1), piece(10, 10), piece(20, 9, 1)},
       {{.from = at(0), .to = at(10), .down = 1}, {.from = at(20), .to = at(30), .down = 1}}},
      {"a slice that is not all known",
       {piece(0, 10), piece(10, 7), piece(20, 10)},
       {{.from = at(10), .to = at(20), .unknown = 3}}},
      {"slices that are not there",
       {piece(10, 10)},
       {{.from = at(0), .to = at(10), .unknown = 10}, {.from = at(20), .to = at(30), .unknown = 10}}},
      {"none at all", {}, {{.from = at(0), .to = at(30), .unknown = 30}}},
      {"bad requests alone take no time", {piece(0, 10, 0, 5), piece(10, 10), piece(20, 10)}, {}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    CHECK(missing_in(row.pieces, at(0), at(30)) == row.expected);
  }
}

TEST_CASE("explain: its seconds are those of the report, whatever was pruned") {
  const auto seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const Folder folder;
  const std::string path = folder / "ledger.db";
  auto ledger = must(Ledger::open(path));
  constexpr std::int64_t kDay = 86'400;
  const std::int64_t begin = kBegin - kBegin % kDay, end = begin + 3 * kDay;
  std::vector<Slice> slices;
  for (std::int64_t start = begin; start < end; start += 10) {
    if (random() % 50 == 0) continue;
    const std::uint64_t up = random() % 20 == 0 ? random() % 11 : 10, down = up < 10 ? random() % (11 - up) : 0;
    slices.push_back({.start = start, .good = random() % 5, .up = up, .down = down});
  }
  for (std::size_t i = 0; i < slices.size(); i += 1000)
    REQUIRE(ledger.add(std::span(slices).subspan(i, std::min<std::size_t>(1000, slices.size() - i)), {.table_id = 1}));
  const Reader reader = must(Reader::open(path));
  for (const std::int64_t age : {std::int64_t{0}, 2 * kDay + 5000, 36 * kDay, 402 * kDay}) {
    REQUIRE(ledger.prune({}, {"boot", Instant{}, WallTime(std::chrono::seconds(begin + age))}));
    const availability::Interval day{WallTime(std::chrono::seconds(begin)), WallTime(std::chrono::seconds(end))};
    CAPTURE(age);
    const Report report = must(report_of(reader, day, WallTime(std::chrono::seconds(end))));
    std::uint64_t down = 0, unknown = 0;
    const auto from = std::chrono::floor<std::chrono::seconds>(report.covered.begin).time_since_epoch().count();
    const auto to = std::chrono::floor<std::chrono::seconds>(report.covered.end).time_since_epoch().count();
    for (const Missing& missing : missing_in(must(pieces_of(reader, from, to)), from, to)) {
      REQUIRE(missing.from < missing.to);
      down += missing.down, unknown += missing.unknown;
    }
    CHECK(std::chrono::seconds(static_cast<std::int64_t>(down)) == report.account.outside.down);
    CHECK(std::chrono::seconds(static_cast<std::int64_t>(unknown)) == report.account.outside.unknown);
  }
}

}  // namespace
}  // namespace nines::ledger
