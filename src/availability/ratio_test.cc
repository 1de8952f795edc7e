#include "availability/ratio.h"

#include <doctest/doctest.h>

#include <limits>
#include <string>

namespace nines::availability {
namespace {

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

TEST_CASE("ratio: compared as counts, not as doubles") {
  CHECK(Ratio{1, 2} == Ratio{2, 4});
  CHECK(Ratio{1, 3} < Ratio{2, 3});
  CHECK(Ratio{3, 2} > Ratio{1, 1});
  // Equal as doubles.
  CHECK(Ratio{kMost - 1, kMost}.value() == Ratio{kMost - 2, kMost}.value());
  CHECK(Ratio{kMost - 1, kMost} > Ratio{kMost - 2, kMost});
  CHECK(Ratio{kMost, kMost} == Ratio{1, 1});
}

TEST_CASE("ratio: products are in lowest terms and never wrap") {
  const auto product = multiply({2, 100}, {720, 1});
  REQUIRE(product);
  CHECK(product->part == 72);
  CHECK(product->whole == 5);
  CHECK(multiply({0, 7}, {3, 5}) == Ratio{0, 1});
  CHECK(multiply({kMost, 1}, {1, kMost}) == Ratio{1, 1});
  CHECK(!multiply({kMost, 1}, {kMost - 1, 1}));
  CHECK(!multiply({1, kMost}, {1, kMost - 1}));
}

TEST_CASE("ratio: scaling rounds down and saturates") {
  CHECK(scale(10ns, {1, 3}) == 3ns);
  CHECK(scale(24h, {1, 1000}) == 86400ms);
  CHECK(scale(Duration::max(), {1, 1}) == Duration::max());
  CHECK(scale(Duration::max(), {3, 2}) == Duration::max());
  CHECK(scale(0ns, {3, 2}) == 0ns);
  CHECK(scale(std::uint64_t{2'500'000}, {1, 10'000}) == 250);
  CHECK(scale(std::uint64_t{2'509'999}, {1, 10'000}) == 250);
  CHECK(scale(kMost, {2, 1}) == kMost);
  CHECK(complement({1, 1000}) == Ratio{999, 1000});
  CHECK(ratio(15min, 24h) == Ratio{1, 96});
}

TEST_CASE("ratio: shares as people write them") {
  struct Row {
    const char* text;
    Ratio share;
  };
  const Row rows[] = {
      {"99.9%", {999, 1000}},
      {"99.9 %", {999, 1000}},
      {" 0.999 ", {999, 1000}},
      {"99.990%", {9999, 10000}},
      {"5%", {1, 20}},
      {"100%", {1, 1}},
      {"0%", {0, 1}},
      {"0", {0, 1}},
      {"1.0", {1, 1}},
      {"0.0", {0, 1}},
      {"100.000%", {1, 1}},
      {"99.9999999999999999%", {999'999'999'999'999'999, 1'000'000'000'000'000'000}},
      {"0.999999999999999999", {999'999'999'999'999'999, 1'000'000'000'000'000'000}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    const auto share = parse_share(row.text);
    REQUIRE(share);
    CHECK(*share == row.share);
  }
}

TEST_CASE("ratio: what is no share says so") {
  struct Row {
    const char* text;
    const char* said;
  };
  const Row rows[] = {
      {"", "is no share"},
      {"%", "is no share"},
      {"99,9%", "is no share"},
      {"-1%", "is no share"},
      {"+1%", "is no share"},
      {".5", "is no share"},
      {"99.%", "is no share"},
      {"9.9.9%", "is no share"},
      {"99.9%%", "is no share"},
      {"1e-3", "is no share"},
      {"0.-5", "is no share"},
      {"nan", "is no share"},
      {"100.1%", "is more than all"},
      {"101%", "is more than all"},
      {"1.1", "is more than all"},
      {"2", "has no % sign"},
      {"1.5", "is more than all"},
      {"99.9", "has no % sign"},
      {"1", "may be 1% or 100%"},
      {"99", "has no % sign"},
      {"99.99999999999999999%", "has too many decimals"},
      {"0.9999999999999999999", "has too many decimals"},
      {"99999999999999999999%", "is no share"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    const auto share = parse_share(row.text);
    REQUIRE(!share);
    CHECK(share.error().code() == Code::kInvalid);
    CHECK(share.error().text().contains("\"" + std::string(row.text) + "\" " + row.said));
  }
}

}  // namespace
}  // namespace nines::availability
