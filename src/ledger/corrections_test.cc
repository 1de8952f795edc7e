#include "ledger/corrections.h"

#include "ledger/report.h"
#include "ledger/test_support.h"

namespace nines::ledger {
namespace {

using availability::ObservedTime, availability::State;
using nines::testing::Folder;
using testing::must;

Row said(std::uint64_t seq, std::int64_t from, std::int64_t to, std::string text) {
  return {.seq = seq, .event = {.kind = "corrected", .a = from, .b = to, .text = std::move(text)}};
}

std::string text(const std::vector<Correction>& all) {
  std::string out;
  for (const Correction& c : all)
    out += std::to_string(c.from) + "-" + std::to_string(c.to) + " " + std::string(Corrections::word_of(c.as)) +
           " by " + std::to_string(c.seq) + "; ";
  return out;
}

TEST_CASE("corrections: of each second the last one counts") {
  struct Case {
    const char* name;
    std::vector<Row> rows;
    const char* expected;
  };
  const Case cases[] = {
      {"none", {}, ""},
      {"one", {said(5, 10, 20, "up: why; who")}, "10-20 up by 5; "},
      {"beyond both ends", {said(5, -50, 500, "up: why; who")}, "0-100 up by 5; "},
      {"elsewhere", {said(5, 200, 300, "up: why; who")}, ""},
      {"a later one over its middle",
       {said(5, 10, 40, "up: a; who"), said(6, 20, 30, "down: b; who")},
       "10-20 up by 5; 20-30 down by 6; 30-40 up by 5; "},
      {"a later one over all of it",
       {said(5, 10, 40, "up: a; w"), said(6, 0, 50, "unknown: b; w")},
       "0-50 unknown by 6; "},
      {"what makes no sense is nothing",
       {said(5, 20, 10, "up: a; w"), said(6, 1, 9, "perfect: b; w"), said(7, 1, 9, "up"), said(8, 1, 9, "")},
       ""},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    Corrections corrections;
    for (const Row& row : c.rows) corrections.add(row);
    CHECK(text(corrections.in(0, 100)) == c.expected);
  }
}

TEST_CASE("corrections: they take as many seconds as they are long, and those that they are about first") {
  struct Case {
    const char* name;
    State as;
    ObservedTime there;
    Duration maintenance;
    ObservedTime recorded;
  };
  const Case cases[] = {
      {"all that is there", State::kUp, {.up = 4s, .down = 6s}, 0s, {.up = 4s, .down = 6s}},
      {"of an hour that has more", State::kUp, {.up = 3580s, .down = 20s}, 0s, {.down = 10s}},
      {"... and what is not as it says first",
       State::kUp,
       {.up = 3590s, .degraded = 2s, .down = 3s, .unknown = 5s},
       0s,
       {.degraded = 2s, .down = 3s, .unknown = 5s}},
      {"it was down and nobody saw it", State::kDown, {.up = 3590s, .unknown = 10s}, 0s, {.unknown = 10s}},
      {"maintenance stays", State::kUp, {.down = 6s}, 4s, {.down = 6s}},
      {"nothing is there", State::kUp, {}, 0s, {}},
  };
  for (const Case& c : cases) {
    CAPTURE(c.name);
    const auto corrected =
        apply({.from = 0, .to = 10, .as = c.as}, {.outside = c.there, .maintenance = {.up = c.maintenance}});
    CHECK(corrected.recorded == c.recorded);
    CHECK(corrected.corrected.total() == c.recorded.total());
  }
}

TEST_CASE("corrections: a report has both figures, and the record stays as it is") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  auto ledger = must(Ledger::open(path));
  constexpr std::int64_t kBegin = 1'800'000'000;
  const auto at = [](std::int64_t second) { return WallTime(std::chrono::seconds(kBegin + second)); };
  std::vector<Slice> slices;
  for (std::int64_t start = 0; start < 1000; start += 10) {
    const bool down = start >= 100 && start < 200;
    slices.push_back({.start = kBegin + start, .up = down ? 0U : 10U, .down = down ? 10U : 0U});
  }
  REQUIRE(ledger.add(slices, {.table_id = 1}));
  const Reader reader = must(Reader::open(path));
  const availability::Interval all{at(0), at(1000)};
  CHECK_FALSE(must(report_of(reader, all, at(2000))).corrected);
  REQUIRE(ledger.append(std::vector<Event>{{.when = {"boot", Instant{}, at(5000)},
                                            .kind = "corrected",
                                            .a = kBegin + 100,
                                            .b = kBegin + 150,
                                            .text = "up: the prober's own network; alice"}}));
  const Report report = must(report_of(reader, all, at(6000)));
  CHECK(report.account.outside.down == 100s);
  CHECK(report.contractual->observed->fraction() == doctest::Approx(0.9));
  REQUIRE(report.corrected);
  CHECK(report.corrected->fraction() == doctest::Approx(0.95));
  REQUIRE(report.corrections.size() == 1);
  CHECK(report.corrections[0].recorded == ObservedTime{.down = 50s});
  CHECK(report.corrections[0].by.text == "the prober's own network; alice");
  CHECK(verdict_of(report, {.budget = {8, 100}}) == Verdict::kMissed);  // as measured
  CHECK(must(report_of(reader, {at(500), at(1000)}, at(6000))).corrections.empty());
  CHECK_FALSE(must(reader.verify()).broken);
}

}  // namespace
}  // namespace nines::ledger
