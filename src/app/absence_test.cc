#include "app/absence.h"

#include <doctest/doctest.h>

namespace nines::app {
namespace {

constexpr std::int64_t kLast = 1'800'000'000;

TEST_CASE("absence: what is said of the time in which nothing ran") {
  const ledger::Sampled last{.table_id = 1, .counters = "", .until = kLast, .boot_id = "boot-1"};
  const auto sign = [](std::int64_t until, const char* stopped_by = "") {
    return SignOfLife{.table_id = 1, .boot_id = "boot-1", .until = until, .stopped_by = stopped_by};
  };
  struct Row {
    const char* name;
    Remains remains;
    const char* boot;
    std::int64_t now;
    std::optional<Absence> expected;
  };
  using Why = Absence::Why;
  const std::string at_last = "; the last sign of life was at 2027-01-15T08:00:00.000Z";
  const std::string minute_later = "; the last sign of life was at 2027-01-15T08:01:00.000Z";
  const Row rows[] = {
      {"stopped by a person",
       {last, {}, Remains::Stop{"nines down (me)", 1}},
       "boot-1",
       kLast + 125,
       Absence{Why::kStopped, kLast, kLast + 125, "stopped: nines down (me)"}},
      {"stopped, and the machine restarted meanwhile",
       {last, {}, Remains::Stop{"nines down (me)", 1}},
       "boot-2",
       kLast + 125,
       Absence{Why::kStopped, kLast, kLast + 125, "stopped: nines down (me)"}},
      {"killed: of the slice it was in nothing is known",
       {last, {}, {}},
       "boot-1",
       kLast + 125,
       Absence{Why::kKilled, kLast + 10, kLast + 125, "all of nines was killed" + at_last}},
      {"power",
       {last, {}, {}},
       "boot-2",
       kLast + 125,
       Absence{Why::kHost, kLast + 10, kLast + 125, "the machine was restarted" + at_last}},
      {"at once", {last, {}, Remains::Stop{"me", 1}}, "boot-1", kLast, std::nullopt},
      {"killed, and there again soon", {last, {}, {}}, "boot-1", kLast + 10, std::nullopt},
      {"the clock was set back", {last, {}, Remains::Stop{"me", 1}}, "boot-1", kLast - 500, std::nullopt},
      {"nothing is left", {}, "boot-1", kLast, std::nullopt},
      // It lived on when nothing could be recorded any more: until then it was not down, but unknown.
      {"a sign of life after the last slice",
       {last, sign(kLast + 60), {}},
       "boot-1",
       kLast + 125,
       Absence{Why::kKilled, kLast + 61, kLast + 125, "all of nines was killed" + minute_later}},
      {"the same, and the power failed",
       {last, sign(kLast + 60), {}},
       "boot-2",
       kLast + 125,
       Absence{Why::kHost, kLast + 61, kLast + 125, "the machine was restarted" + minute_later}},
      {"stopped while nothing could be recorded",
       {last, sign(kLast + 60, "me"), {}},
       "boot-1",
       kLast + 125,
       Absence{Why::kStopped, kLast + 60, kLast + 125, "stopped: me"}},
      {"an older sign says nothing",
       {last, sign(kLast - 60, "me"), {}},
       "boot-1",
       kLast + 125,
       Absence{Why::kKilled, kLast + 10, kLast + 125, "all of nines was killed" + at_last}},
      {"a stop that the record has, and the sign of that one",
       {last, sign(kLast + 60), Remains::Stop{"me", 1}},
       "boot-1",
       kLast + 125,
       Absence{Why::kStopped, kLast + 60, kLast + 125, "stopped: me"}},
      {"a stop of one before it",
       {last, sign(kLast + 60), Remains::Stop{"me", 7}},
       "boot-1",
       kLast + 125,
       Absence{Why::kKilled, kLast + 61, kLast + 125, "all of nines was killed" + minute_later}},
      {"the record is lost, and the sign is not",
       {{}, sign(kLast), {}},
       "boot-1",
       kLast + 125,
       Absence{Why::kKilled, kLast + 1, kLast + 125, "all of nines was killed" + at_last}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    CHECK(absence_of(row.remains, row.boot, WallTime(std::chrono::seconds(row.now))) == row.expected);
  }
}

TEST_CASE("absence: what was declared to be maintenance is apart") {
  ledger::Maintenance maintenance;
  const auto plan = [&](std::int64_t from, std::int64_t to) {
    maintenance.add({.kind = std::string(ledger::Maintenance::kPlanned), .a = from, .b = to, .text = ""});
  };
  const auto text = [&](std::int64_t from, std::int64_t to) {
    std::string all;
    for (const auto& one : stretches_of(from, to, maintenance))
      all += (one.state == &ledger::Slice::down ? "down " : "maintenance ") + std::to_string(one.from) + ".." +
             std::to_string(one.to) + " ";
    return all;
  };
  CHECK(text(10, 100) == "down 10..100 ");
  CHECK(text(10, 10) == "");
  plan(20, 30);
  plan(25, 40);
  plan(90, 200);
  plan(5, 12);
  CHECK(text(10, 100) == "maintenance 10..12 down 12..20 maintenance 20..40 down 40..90 maintenance 90..100 ");
  CHECK(text(22, 24) == "maintenance 22..24 ");
  CHECK(text(300, 301) == "down 300..301 ");
}

}  // namespace
}  // namespace nines::app
