#include "ledger/report.h"

#include "ledger/sqlite.h"
#include "ledger/test_support.h"

namespace nines::ledger {
namespace {

using nines::testing::Folder;
using testing::must;

constexpr std::int64_t kBegin = 1'800'000'000;

WallTime at(std::int64_t second) { return WallTime(std::chrono::seconds(kBegin + second)); }
availability::Interval between(std::int64_t from, std::int64_t to) { return {at(from), at(to)}; }

// Ten seconds each, all of them up but for `down`.
void add_slices(Ledger& ledger, std::int64_t from, std::int64_t to, std::uint64_t down = 0, std::uint64_t bad = 0) {
  std::vector<Slice> slices;
  for (std::int64_t start = from; start < to; start += 10)
    slices.push_back({.start = kBegin + start, .good = 100, .bad = bad, .up = 10 - down, .down = down});
  REQUIRE(ledger.add(slices, {.table_id = 1}));
}

Event told(std::int64_t second, std::string kind, std::int64_t a = 0, std::int64_t b = 0, std::string text = "") {
  return {.when = {"boot", Instant{}, at(second)}, .kind = std::move(kind), .a = a, .b = b, .text = std::move(text)};
}

TEST_CASE("reader: what is held stays as it was, and what comes is seen after it") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  auto ledger = must(Ledger::open(path));
  add_slices(ledger, 0, 100);
  const Reader reader = must(Reader::open(path));
  {
    const Reader::Held held = must(reader.hold());
    CHECK(must(reader.total(kBegin, kBegin + 200)).sum.up == 100);
    add_slices(ledger, 100, 200);
    REQUIRE(ledger.append(std::vector{told(1, "service_down")}));
    CHECK(must(reader.total(kBegin, kBegin + 200)).sum.up == 100);
    CHECK(must(reader.incidents(between(0, 200))).empty());
    CHECK(must(report_of(reader, between(0, 200), at(300))).account.outside.up == 100s);
  }
  CHECK_FALSE(reader.is_held());
  CHECK(must(reader.total(kBegin, kBegin + 200)).sum.up == 200);
  CHECK(must(reader.incidents(between(0, 200))).size() == 1);
}

TEST_CASE("report: what lies before the record is unknown, and nothing flatters") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  auto ledger = must(Ledger::open(path));
  add_slices(ledger, 0, 300);
  const Reader reader = must(Reader::open(path));
  const Report whole = must(report_of(reader, between(0, 300), at(400)));
  CHECK_FALSE(whole.record_begins);
  CHECK(whole.contractual->coverage == 1);
  CHECK(verdict_of(whole, {.budget = {1, 1000}}) == Verdict::kMet);
  const Report report = must(report_of(reader, between(-900, 300), at(400)));
  CHECK(report.record_begins == at(0));
  CHECK(report.before_record() == 900s);
  CHECK(report.account.outside.unknown == 900s);
  CHECK(report.contractual->coverage == doctest::Approx(0.25));
  CHECK(report.contractual->low.fraction() == doctest::Approx(0.25));
  CHECK(report.contractual->observed->unavailability() == 0);
  CHECK(verdict_of(report, {.budget = {1, 1000}}) == Verdict::kMetSoFar);
  // What is to come is not unknown: it is not there yet.
  const Report present = must(report_of(reader, between(-900, 9000), at(302)));
  CHECK(present.covered == between(-900, 300));
  CHECK(testing::code_of(report_of(reader, between(-900, 0), at(400))) == Code::kNotFound);
  CHECK(testing::code_of(report_of(reader, between(500, 600), at(400))) == Code::kNotFound);
}

TEST_CASE("report: a ledger that was set aside, and events that were lost, are said") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  std::ofstream(path) << std::string(8192, 'x');
  auto ledger = must(Ledger::open_or_set_aside(path, {"boot", Instant{}, at(0)}));
  add_slices(ledger, 10, 300);
  REQUIRE(ledger.append(std::vector{told(50, kind::kEventsLost, 7), told(250, kind::kEventsLost, 30)}));
  const Reader reader = must(Reader::open(path));
  const Report report = must(report_of(reader, between(-60, 200), at(400)));
  REQUIRE(report.set_aside.size() == 1);
  CHECK(report.set_aside[0].event.text.contains("ledger.db.damaged-"));
  CHECK(report.events_lost == 7);
  CHECK(must(report_of(reader, between(-60, 300), at(400))).events_lost == 37);
  const Report later = must(report_of(reader, between(60, 300), at(400)));
  CHECK(later.set_aside.empty());
  CHECK_FALSE(later.record_begins);
  // Asked for time that is lost altogether, it says where that is.
  const auto before = report_of(reader, between(-600, 0), at(400));
  REQUIRE_FALSE(before);
  CHECK(before.error().text().contains("ledger.db.damaged-"));
}

TEST_CASE("report: an outage over two shared tables has all of its failed requests") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  auto ledger = must(Ledger::open(path));
  add_slices(ledger, 0, 100);
  add_slices(ledger, 100, 200, 10, 40);
  add_slices(ledger, 200, 300);
  auto started = told(150, "service_started");
  started.table_id = 2, started.number = 1;
  auto ready = told(90, "ready");
  ready.table_id = 1, ready.number = 1;
  const std::int64_t from = kBegin + 100, to = kBegin + 200;
  REQUIRE(ledger.append(
      std::vector{ready, told(101, "service_down", from - 1, from), started, told(210, "service_up", to, 160)}));
  const Reader reader = must(Reader::open(path));
  const auto found = must(report_of(reader, between(0, 300), at(400))).incidents;
  REQUIRE(found.size() == 1);
  CHECK(found[0].failed_requests == 400);
  CHECK_FALSE(found[0].counted_in_part);
  // From slices that are coarser than the outage nothing can be told: what its end said is what there is, at least.
  const Database db = must(Database::open(path, Database::Access::kWrite));
  REQUIRE(db.run("DELETE FROM slices WHERE grain < 3600"));
  const auto later = must(reader.incidents(between(0, 300)));
  REQUIRE(later.size() == 1);
  CHECK(later[0].failed_requests == 160);
  CHECK(later[0].counted_in_part);
}

}  // namespace
}  // namespace nines::ledger
