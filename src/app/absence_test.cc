#include "app/absence.h"

#include <doctest/doctest.h>

namespace nines::app {
namespace {

TEST_CASE("absence: what is said of the time in which nothing ran") {
  constexpr std::int64_t kLast = 1'800'000'000;
  const ledger::Sampled last{.table_id = 1, .counters = "", .until = kLast, .boot_id = "boot-1"};
  const ledger::Row stopping{.seq = 9, .event = {.kind = "service_stopping", .text = "nines down (me)"}};
  struct Row {
    const char* name;
    std::optional<ledger::Row> stopping;
    const char* boot;
    std::int64_t now;
    std::optional<Absence> expected;
  };
  const Row rows[] = {
      {"stopped by a person", stopping, "boot-1", kLast + 125,
       Absence{Absence::Why::kStopped, kLast, kLast + 125, "stopped: nines down (me)"}},
      {"stopped, and the machine restarted meanwhile", stopping, "boot-2", kLast + 125,
       Absence{Absence::Why::kStopped, kLast, kLast + 125, "stopped: nines down (me)"}},
      {"killed: of the slice it was in nothing is known", std::nullopt, "boot-1", kLast + 125,
       Absence{Absence::Why::kKilled, kLast + 10, kLast + 125,
               "all of nines was killed; the last sign of life was at 2027-01-15T08:00:00.000Z"}},
      {"power", std::nullopt, "boot-2", kLast + 125,
       Absence{Absence::Why::kHost, kLast + 10, kLast + 125,
               "the machine was restarted; the last sign of life was at 2027-01-15T08:00:00.000Z"}},
      {"at once", stopping, "boot-1", kLast, std::nullopt},
      {"killed, and there again soon", std::nullopt, "boot-1", kLast + 10, std::nullopt},
      {"the clock was set back", stopping, "boot-1", kLast - 500, std::nullopt},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    CHECK(absence_of(last, row.stopping, row.boot, WallTime(std::chrono::seconds(row.now))) == row.expected);
  }
}

}  // namespace
}  // namespace nines::app
