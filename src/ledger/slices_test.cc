#include <random>
#include <set>

#include "ledger/ledger.h"
#include "ledger/reader.h"
#include "ledger/sqlite.h"
#include "ledger/test_support.h"

namespace nines::ledger {
namespace {

using nines::testing::Folder;
using testing::code_of;
using testing::must;

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

Slice random_slice(std::mt19937_64& random, std::int64_t start) {
  const auto some = [&](std::uint64_t below) { return random() % below; };
  Slice slice{.start = start, .good = some(1000), .bad = some(10), .excluded = some(5), .aborted = some(5)};
  slice.probes_good = some(6), slice.probes_bad = some(3);
  std::uint64_t left = some(11);
  for (auto* const seconds : {&slice.up, &slice.degraded, &slice.down, &slice.maintenance_up,
                              &slice.maintenance_degraded, &slice.maintenance_down}) {
    *seconds = some(left + 1);
    left -= *seconds;
  }
  for (std::uint64_t i = some(4); i > 0; --i)
    slice.latency[static_cast<std::uint16_t>(some(kBucketsMax))] += 1 + some(1ULL << 40);
  return slice;
}

Slice sum_of(const std::vector<Slice>& slices, std::int64_t from, std::int64_t to) {
  Slice sum{.start = from};
  for (const Slice& slice : slices)
    if (slice.start >= from && slice.start < to) add(sum, slice);
  return sum;
}

TEST_CASE("slice: adding is associative and commutative, and nothing is lost") {
  const auto seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 500; ++round) {
    const Slice a = random_slice(random, 0), b = random_slice(random, 0), c = random_slice(random, 0);
    Slice left = a, right = b, swapped = b;
    add(left, b), add(left, c);
    add(right, c);
    Slice whole = a;
    add(whole, right);
    REQUIRE(left == whole);
    Slice ab = a;
    add(ab, b), add(swapped, a);
    REQUIRE(ab == swapped);
    REQUIRE(left.known() == a.known() + b.known() + c.known());
  }
}

TEST_CASE("slice: latencies are stored as they are, and what is none is refused") {
  const auto seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  const auto bytes_of = [](const std::string& text) {
    return std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  };
  for (int round = 0; round < 2000; ++round) {
    Histogram histogram;
    for (auto i = random() % 20; i > 0; --i)
      histogram[static_cast<std::uint16_t>(random() % kBucketsMax)] = 1 + (random() >> (random() % 64));
    const std::string bytes = encoded(histogram);
    REQUIRE(must(decoded_histogram(bytes_of(bytes))) == histogram);
    // Whatever else is there: an error, or something that is written the same.
    std::string other = bytes;
    for (auto i = 1 + random() % 3; i > 0 && !other.empty(); --i)
      other[random() % other.size()] = static_cast<char>(random());
    if (random() % 2 == 0 && !other.empty()) other.pop_back();
    if (const auto read = decoded_histogram(bytes_of(other)))
      for (const auto& [bucket, count] : *read) REQUIRE((bucket < kBucketsMax && count > 0));
  }
  for (const char* const bad : {"\x01", "\x80", "\x01\x80", "\x05\x01\x04\x01", "\x05\x01\x05\x01",
                                "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02\x01", "\x80\x04\x01"})
    CHECK(code_of(decoded_histogram(bytes_of(bad))) == Code::kInvalid);
  CHECK(code_of(decoded_histogram(bytes_of(std::string("\x05\0", 2)))) == Code::kInvalid);
}

TEST_CASE("slices: where each begins") {
  struct Row {
    Grain grain;
    std::int64_t second, start;
  };
  const Row rows[] = {{Grain::kTenSeconds, 19, 10}, {Grain::kTenSeconds, 20, 20}, {Grain::kMinute, 119, 60},
                      {Grain::kHour, 7199, 3600},   {Grain::kDay, kDay - 1, 0},   {Grain::kDay, kDay, kDay},
                      {Grain::kMinute, -1, -60},    {Grain::kMinute, -60, -60}};
  for (const Row& row : rows) CHECK(start_of(row.grain, row.second) == row.start);
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
  CHECK(must(reader.check_slices()) == std::nullopt);
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
  const auto at = [](std::int64_t second) { return Moment{"boot", Instant{}, WallTime(std::chrono::seconds(second))}; };
  const Reader reader = must(Reader::open(path));
  const std::int64_t from = kMidnight + 1805, to = kMidnight + 3605;
  const auto span = [&] {
    const Total total = must(reader.total(from, to));
    CHECK(static_cast<std::int64_t>(total.sum.up) == total.to - total.from);
    CHECK(total.sum.good * 10 == total.sum.up);
    return std::pair(total.from - kMidnight, total.to - kMidnight);
  };
  CHECK(span() == std::pair<std::int64_t, std::int64_t>(1800, 3610));
  // Ten-second slices are kept for two days, minutes for 35, hours for 400.
  REQUIRE(ledger.prune({}, at(kMidnight + 3 * 3600 + 2 * kDay)));
  CHECK(must(reader.slices(Grain::kTenSeconds, 0, INT64_MAX)).empty());
  CHECK(span() == std::pair<std::int64_t, std::int64_t>(1800, 3660));
  REQUIRE(ledger.prune({}, at(kMidnight + 3 * 3600 + 35 * kDay)));
  CHECK(must(reader.slices(Grain::kMinute, 0, INT64_MAX)).empty());
  CHECK(span() == std::pair<std::int64_t, std::int64_t>(0, 7200));
  REQUIRE(ledger.prune({}, at(kMidnight + 401 * kDay)));
  CHECK(must(reader.slices(Grain::kHour, 0, INT64_MAX)).empty());
  CHECK(must(reader.slices(Grain::kDay, 0, INT64_MAX)).size() == 1);
  CHECK(must(reader.check_slices()) == std::nullopt);
}

TEST_CASE("slices: pruning leaves whole slices of the next grain, also in steps") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  auto ledger = must(Ledger::open(path));
  const std::int64_t now = kMidnight + 40 * kDay;
  REQUIRE(ledger.add_down(kMidnight + 5, now, {"boot", Instant{}, WallTime(std::chrono::seconds(now))}));
  const Reader reader = must(Reader::open(path));
  for (std::int64_t later = 0; later < 3 * kDay; later += 7777) {
    REQUIRE(ledger.prune({}, {"boot", Instant{}, WallTime(std::chrono::seconds(now + later))}));
    REQUIRE(must(reader.check_slices()) == std::nullopt);
    const auto tens = must(reader.slices(Grain::kTenSeconds, 0, INT64_MAX));
    if (!tens.empty()) REQUIRE(tens.front().start % 60 == 0);
  }
  CHECK(must(reader.slices(Grain::kTenSeconds, 0, INT64_MAX)).empty());
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
  CHECK(code_of(ledger.add_down(kMidnight + 5, kMidnight + 20,
                                {"boot", Instant{}, WallTime(std::chrono::seconds(kMidnight))})) == Code::kLimit);
}

TEST_CASE("slices: a stretch in which it was down, in every grain that would be kept") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  auto ledger = must(Ledger::open(path));
  const std::int64_t now = kMidnight + 500 * kDay + 12'345;
  const Moment at{"boot", Instant{}, WallTime(std::chrono::seconds(now))};
  REQUIRE(ledger.add_down(kMidnight + 5, now, at));
  const Reader reader = must(Reader::open(path));
  CHECK(must(reader.slices(Grain::kDay, 0, INT64_MAX)).size() == 501);
  const auto days = must(reader.total(kMidnight, kMidnight + 500 * kDay));
  CHECK(days.sum.down == 500 * kDay - 5);
  CHECK(must(reader.total(now - 100, now)).sum.down == 100 + (now - 100) % 10);
  CHECK(must(reader.slices(Grain::kTenSeconds, 0, INT64_MAX)).size() == 10'000);  // of one answer
  CHECK(must(Database::open(path, Database::Access::kRead)).integer("SELECT count(*) FROM slices").value() < 80'000);
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
  CHECK(code_of(ledger.add({}, {.table_id = 1, .counters = std::string(kCountersMax + 1, 'x')})) == Code::kLimit);
}

TEST_CASE("slices: a coarse one that is not the sum of its parts is found") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  auto ledger = must(Ledger::open(path));
  const Slice slice{.start = kMidnight, .good = 5, .up = 10};
  CHECK(ledger.add(std::span(&slice, 1), sampled(1)));
  const Reader reader = must(Reader::open(path));
  for (const char* const change :
       {"UPDATE slices SET good = 6 WHERE grain = 60",
        "UPDATE slices SET good = 5 WHERE grain = 60; DELETE FROM slices WHERE grain = 3600"}) {
    REQUIRE(must(Database::open(path, Database::Access::kWrite)).run(change));
    CHECK(must(reader.check_slices()) != std::nullopt);
  }
}

// Not a test. Prints what docs/internals/ledger.md says: ledger_test -ns -tc='slices: how long it takes'
TEST_CASE("slices: how long it takes" * doctest::skip()) {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  auto ledger = must(Ledger::open(path));
  const std::int64_t now = kMidnight + 400 * kDay;
  const auto began = std::chrono::steady_clock::now();
  const auto passed = [&] {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
  };
  REQUIRE(ledger.add_down(kMidnight, now, {"boot", Instant{}, WallTime(std::chrono::seconds(now))}));
  const double filled = passed();
  for (int i = 0; i < 100; ++i) {
    const Slice slice{.start = now + i * 10, .good = 100, .up = 10, .latency = {{10, 50}, {11, 50}}};
    REQUIRE(ledger.add(std::span(&slice, 1), sampled(now)));
  }
  const double added = passed() - filled;
  const Reader reader = must(Reader::open(path));
  const double before = passed();
  for (int i = 0; i < 100; ++i) REQUIRE(reader.total(kMidnight + 12'345, now - 12'345));
  std::printf("400 days down: %.0f ms; one slice: %.2f ms; total of 400 days: %.2f ms\n", filled, added / 100,
              (passed() - before) / 100);
}

}  // namespace
}  // namespace nines::ledger
