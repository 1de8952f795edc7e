#include <doctest/doctest.h>

#include "base/error.h"
#include "base/random.h"
#include "base/text.h"
#include "base/time.h"

namespace nines {
namespace {

TEST_CASE("time: durations read like a person would say them") {
  struct Row {
    Duration d;
    const char* text;
  };
  const Row rows[] = {
      {0ns, "0 s"},
      {1500ns, "1.5 µs"},
      {430us, "430 µs"},
      {999'600us, "1.0 s"},
      {12ms, "12 ms"},
      {3200ms, "3.2 s"},
      {59s, "59 s"},
      {59'700ms, "1 min"},
      {250s, "4 min 10 s"},
      {3h + 2min, "3 h 2 min"},
      {5 * 24h + 4h, "5 d 4 h"},
      {-12ms, "-12 ms"},
  };
  for (const Row& row : rows) CHECK(format_duration(row.d) == row.text);
}

TEST_CASE("time: RFC 3339 has milliseconds, also before the epoch") {
  CHECK(format_rfc3339(WallTime{1'763'923'045'120ms}) == "2025-11-23T18:37:25.120Z");
  CHECK(format_rfc3339(WallTime{-1ms}) == "1969-12-31T23:59:59.999Z");
}

TEST_CASE("time: forever from now is not in the past") {
  CHECK(Instant{1h} + Duration::max() == Instant::never());
  CHECK(Instant{1h} + 1s == Instant{3601s});
  CHECK(Instant{1h} + -1s == Instant{3599s});
}

TEST_CASE("error: text joins the chain of causes, outermost first") {
  Error error = os_error(2, "open model.ftz").in("starting replica 2");
  CHECK(error.code() == Code::kNotFound);
  CHECK(error.text() == "starting replica 2: open model.ftz: No such file or directory");
}

TEST_CASE("text: nearest forgives a typo and no more") {
  const std::string_view keys[] = {"count", "command", "container", "health", "canary"};
  CHECK(nearest("helth", keys) == "health");
  CHECK(nearest("comand", keys) == "command");
  CHECK(nearest("ocunt", keys) == "count");
  CHECK(nearest("Canary", keys) == "canary");
  CHECK(nearest("zebra", keys) == std::nullopt);
  CHECK(nearest("", keys) == std::nullopt);
}

TEST_CASE("text: numbers are digits and nothing else") {
  CHECK(parse_unsigned("0") == 0U);
  CHECK(parse_unsigned("18446744073709551615") == UINT64_MAX);
  for (const char* bad : {"", "+1", "-1", " 1", "1 ", "0x1", "18446744073709551616"}) {
    CAPTURE(bad);
    CHECK(parse_unsigned(bad) == std::nullopt);
  }
}

TEST_CASE("random: the same seed plays the same game; below() stays below and reaches everything") {
  Random a(7), b(7);
  bool seen[3] = {};
  for (int i = 0; i < 1000; ++i) {
    const auto x = a.below(3);
    CHECK(x == b.below(3));
    REQUIRE(x < 3);
    seen[x] = true;
  }
  CHECK((seen[0] && seen[1] && seen[2]));
}

}  // namespace
}  // namespace nines
