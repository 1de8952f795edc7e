#include "ledger/slice.h"

#include "ledger/slice_test_support.h"
#include "ledger/test_support.h"

namespace nines::ledger {
namespace {

using namespace testing;

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

TEST_CASE("slice: adding is associative and commutative, and nothing is lost") {
  const auto seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 500; ++round) {
    Slice a = random_slice(random, 0), b = random_slice(random, 0), c = random_slice(random, 0);
    REQUIRE(sum_of(a, b).known() == a.known() + b.known());
    // Also where a count is so large that sums stop.
    for (Slice* const slice : {&a, &b, &c}) {
      if (random() % 3 == 0) slice->good = random() / 2;
      if (random() % 3 == 0) slice->latency[7] = random() / 2;
    }
    REQUIRE(sum_of(sum_of(a, b), c) == sum_of(a, sum_of(b, c)));
    REQUIRE(sum_of(a, b) == sum_of(b, a));
  }
}

TEST_CASE("slice: a sum stops at what can be stored") {
  Slice sum{.good = kCountMax - 1, .latency = {{1, UINT64_MAX}}};
  add(sum, {.good = 5, .latency = {{1, 1}}});
  CHECK(sum == Slice{.good = kCountMax, .latency = {{1, kCountMax}}});
  add(sum, {.good = UINT64_MAX});
  CHECK(sum.good == kCountMax);
  CHECK(Slice{.up = UINT64_MAX, .down = UINT64_MAX}.known() == kCountMax);
}

TEST_CASE("slice: where each begins") {
  constexpr std::int64_t kDay = 86'400;
  struct Row {
    Grain grain;
    std::int64_t second, start;
  };
  const Row rows[] = {{Grain::kTenSeconds, 19, 10}, {Grain::kTenSeconds, 20, 20}, {Grain::kMinute, 119, 60},
                      {Grain::kHour, 7199, 3600},   {Grain::kDay, kDay - 1, 0},   {Grain::kDay, kDay, kDay},
                      {Grain::kMinute, -1, -60},    {Grain::kMinute, -60, -60}};
  for (const Row& row : rows) CHECK(start_of(row.grain, row.second) == row.start);
}

TEST_CASE("slice: the bytes of latencies never change") {
  CHECK(encoded({}).empty());
  CHECK(encoded({{3, 0}}).empty());
  CHECK(encoded({{3, 1}}) == "\x01\x03\x01");
  CHECK(encoded({{3, 300}, {511, 1}}) == "\x01\x03\xac\x02\xff\x03\x01");
  CHECK(must(decoded_histogram({})).empty());
}

TEST_CASE("slice: latencies are stored as they are, and what is none is refused") {
  const auto seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 2000; ++round) {
    Histogram histogram;
    for (auto i = random() % 20; i > 0; --i)
      histogram[static_cast<std::uint16_t>(random() % kBucketsMax)] = 1 + (random() >> (1 + random() % 63));
    const std::string bytes = encoded(histogram);
    REQUIRE(must(decoded_histogram(bytes_of(bytes))) == histogram);
  }
  for (const char* const bad :
       {"\x02", "\x01", "\x01\x01", "\x01\x80", "\x01\x01\x80", "\x01\x05\x01\x04\x01", "\x01\x05\x01\x05\x01",
        "\x01\x85\x80\x01", "\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02\x01", "\x01\x80\x04\x01", "\x03\x01"})
    CHECK(code_of(decoded_histogram(bytes_of(bad))) == Code::kInvalid);
  for (const std::string& bad : {std::string("\x01\x05\0", 3), std::string("\0", 1), std::string("\x01\x85\0\x01", 4),
                                 std::string("\x01\x01\x85\0", 4)})
    CHECK(code_of(decoded_histogram(bytes_of(bad))) == Code::kInvalid);
}

// Instead of a fuzzer: the decoder is twenty lines, and a million inputs cost a second.
TEST_CASE("slice: bytes of any kind are an error, or what would be written for what they say") {
  const auto seed = std::random_device()();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  int understood = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string bytes;
    if (random() % 2 == 0) {
      for (auto i = random() % 12; i > 0; --i) bytes += static_cast<char>(random() % 4 == 0 ? random() : random() % 8);
      if (random() % 2 == 0) bytes.insert(0, 1, '\1');
    } else {  // a right one, with wrong bytes in it
      Histogram histogram;
      for (auto i = random() % 6; i > 0; --i)
        histogram[static_cast<std::uint16_t>(random() % kBucketsMax)] = 1 + (random() >> (1 + random() % 63));
      bytes = encoded(histogram);
      for (auto i = random() % 3; i > 0 && !bytes.empty(); --i)
        bytes[random() % bytes.size()] = static_cast<char>(random());
      if (random() % 4 == 0 && !bytes.empty()) bytes.pop_back();
    }
    const auto read = decoded_histogram(bytes_of(bytes));
    if (!read) continue;
    ++understood;
    REQUIRE(encoded(*read) == bytes);
  }
  CHECK(understood > 1000);
}

}  // namespace
}  // namespace nines::ledger
