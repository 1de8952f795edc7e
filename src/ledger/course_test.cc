#include "ledger/course.h"

#include <random>

#include "ledger/test_support.h"

namespace nines::ledger {
namespace {

using nines::testing::Folder;
using testing::must;

constexpr std::int64_t kDay = 86'400, kBegin = 20'000 * kDay;

WallTime at(std::int64_t second) { return WallTime(std::chrono::seconds(kBegin + second)); }

struct Record {
  Folder folder;
  std::string path = folder / "ledger.db";
  Ledger ledger = must(Ledger::open(path));

  void add(std::vector<Slice> slices) {
    for (std::size_t i = 0; i < slices.size(); i += 1000)
      REQUIRE(
          ledger.add(std::span(slices).subspan(i, std::min<std::size_t>(1000, slices.size() - i)), {.table_id = 1}));
  }
  void forget(const char* where) {
    REQUIRE(must(Database::open(path, Database::Access::kWrite))
                .run(("DELETE FROM slices WHERE " + std::string(where)).c_str()));
  }
  Course course(std::int64_t from, std::int64_t to) const {
    const auto db = must(Database::open(path, Database::Access::kRead));
    const auto transaction = must(Transaction::begin(db, Transaction::Kind::kRead));
    return must(course_of(db, kBegin + from, kBegin + to));
  }
  double worst(std::int64_t from, std::int64_t to, Duration width) const {
    const auto found = worst_window(course(from, to).timeline, width);
    return found ? found->availability.fraction() : -1;
  }
};

// Two days that are up, but for these stretches.
std::vector<Slice> two_days(const std::vector<std::pair<std::int64_t, std::int64_t>>& outages) {
  std::vector<Slice> slices;
  for (std::int64_t start = 0; start < 2 * kDay; start += 10) {
    Slice slice{.start = kBegin + start, .up = 10};
    for (const auto& [from, to] : outages) {
      const std::int64_t down = std::min(to, start + 10) - std::max(from, start);
      if (down > 0) slice.up -= static_cast<std::uint64_t>(down), slice.down += static_cast<std::uint64_t>(down);
    }
    slices.push_back(slice);
  }
  return slices;
}

TEST_CASE("course: an outage of 15 minutes, and fifteen of one") {
  Record once, often;
  once.add(two_days({{36'000, 36'900}}));
  std::vector<std::pair<std::int64_t, std::int64_t>> minutes;
  for (std::int64_t i = 0; i < 15; ++i) minutes.emplace_back(600 + i * 96 * 60, 660 + i * 96 * 60);
  often.add(two_days(minutes));
  struct Row {
    Duration width;
    double once, often;
  };
  const Row rows[] = {
      {15min, 0, 0.93333}, {30min, 0.5, 0.96667}, {1h, 0.75, 0.98333}, {4h, 0.9375, 0.9875}, {24h, 0.98958, 0.98958}};
  for (const Row& row : rows) {
    CAPTURE(row.width.count());
    CHECK(once.worst(0, 2 * kDay, row.width) == doctest::Approx(row.once).epsilon(1e-5));
    CHECK(often.worst(0, 2 * kDay, row.width) == doctest::Approx(row.often).epsilon(1e-5));
  }
  CHECK(once.worst(0, 2 * kDay, 7 * 24h) == -1);
  // Only where something was missing finer slices are read.
  CHECK(once.course(0, 2 * kDay).timeline.steps.size() == 3);
  CHECK(resolution_of(once.course(0, 2 * kDay), {at(36'000), at(39'600)}) == 10s);
}

TEST_CASE("course: what is gone is spread evenly, and said") {
  Record record;
  record.add(two_days({{36'000, 36'900}}));
  record.forget("grain = 10");
  CHECK(record.worst(0, 2 * kDay, 15min) == 0);  // whole minutes lose nothing
  record.forget("grain = 60");
  CHECK(record.worst(0, 2 * kDay, 15min) == doctest::Approx(0.75));
  const Course course = record.course(0, 2 * kDay);
  CHECK(resolution_of(course, {at(36'600), at(40'000)}) == 1h);
  CHECK(resolution_of(course, {at(50'000), at(53'600)}) == 10s);
  record.forget("grain = 3600");
  CHECK(record.worst(0, 2 * kDay, 1h) == doctest::Approx(1 - 900.0 / 86'400));
}

TEST_CASE("course: unknown and maintenance are neither") {
  Record record;
  std::vector<Slice> slices;
  for (std::int64_t start = 0; start < 3600; start += 10) {
    Slice slice{.start = kBegin + start};
    if (start < 600) slice.up = 10;
    if (start >= 600 && start < 1200) slice.maintenance_down = 10;
    if (start >= 1800 && start < 1860) slice.down = 10;
    if (start >= 1860) slice.up = 10;
    if (start < 1200 || start >= 1800) slices.push_back(slice);
  }
  record.add(slices);
  const Course course = record.course(-7200, 7200);
  CHECK(course.timeline.window == availability::Interval{at(-7200), at(7200)});
  CHECK(availability_of(course.timeline)->unavailability() == doctest::Approx(60.0 / (600 + 60 + 1740)));
  CHECK(worst_window(course.timeline, 10min)->availability.fraction() == 0);
  CHECK(record.course(90'000, 90'100).timeline.steps.size() == 1);
}

TEST_CASE("course: whatever was gone, it adds up to what the slices have") {
  const auto seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  Record record;
  std::vector<Slice> slices;
  std::uint64_t up = 0, down = 0;
  for (std::int64_t start = 0; start < 2 * kDay; start += 10) {
    if (random() % 40 == 0) continue;
    Slice slice{.start = kBegin + start, .up = random() % 30 == 0 ? random() % 11 : 10};
    slice.down = slice.up < 10 ? random() % (11 - slice.up) : 0;
    up += slice.up, down += slice.down;
    slices.push_back(slice);
  }
  record.add(slices);
  for (const char* const gone : {"1 = 0", "grain = 10", "grain = 60"}) {
    CAPTURE(gone);
    record.forget(gone);
    CHECK(availability_of(record.course(0, 2 * kDay).timeline)->unavailability() ==
          doctest::Approx(static_cast<double>(down) / static_cast<double>(up + down)).epsilon(1e-9));
  }
}

}  // namespace
}  // namespace nines::ledger
