#include "app/recorder.h"

#include <doctest/doctest.h>

namespace nines::app {
namespace {

TEST_CASE("recorder: how far a table was taken is kept as bytes of one length") {
  Taken taken{.slices = 0x0102030405060708, .outcomes = {1, 2, 3, UINT64_MAX}, .latency = {}, .until = 0};
  taken.latency[7] = 9;
  const std::string bytes = bytes_of(taken);
  CHECK(taken_of(bytes) == taken);
  CHECK(!taken_of(bytes.substr(1)));
  CHECK(!taken_of(bytes + "x"));
  CHECK(!taken_of(""));
}

TEST_CASE("recorder: a slice has what was counted since the one before, and never less than nothing") {
  Taken taken;
  const plane::MeasuredSlice first{
      .start_s = 20, .until_s = 30, .outcomes = {100, 2, 3, 4}, .seconds = {5, 1, 1, 1, 1, 1}, .probes = {6, 7}};
  CHECK(slice_of(first, taken) == ledger::Slice{.start = 20,
                                                .good = 100,
                                                .bad = 2,
                                                .excluded = 3,
                                                .aborted = 4,
                                                .probes_good = 6,
                                                .probes_bad = 7,
                                                .up = 5,
                                                .degraded = 1,
                                                .down = 1,
                                                .maintenance_up = 1,
                                                .maintenance_degraded = 1,
                                                .maintenance_down = 1,
                                                .latency = {}});
  CHECK(slice_of({.start_s = 30, .outcomes = {130, 2, 3, 5}}, taken) ==
        ledger::Slice{.start = 30, .good = 30, .aborted = 1, .latency = {}});
  // Counters that were moved to another table.
  CHECK(slice_of({.start_s = 40, .outcomes = {}}, taken) == ledger::Slice{.start = 40, .latency = {}});
  CHECK(slice_of({.start_s = 50, .outcomes = {131, 0, 0, 0}}, taken) ==
        ledger::Slice{.start = 50, .good = 1, .latency = {}});
}

TEST_CASE("recorder: latencies are those observed since they were taken last") {
  Taken taken;
  plane::LatencyCounts now{};
  now[3] = 5, now[100] = 1;
  ledger::Slice slice;
  add_latency(slice, now, taken);
  CHECK(slice.latency == ledger::Histogram{{3, 5}, {100, 1}});
  now[3] = 6;
  ledger::Slice next;
  add_latency(next, now, taken);
  CHECK(next.latency == ledger::Histogram{{3, 1}});
}

}  // namespace
}  // namespace nines::app
