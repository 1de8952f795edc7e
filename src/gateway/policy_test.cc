#include <doctest/doctest.h>

#include <string>

#include "gateway/balance.h"
#include "gateway/health.h"
#include "gateway/routes.h"

namespace nines::gateway {
namespace {

TEST_CASE("routes: prefixes end at segment borders, and the longest wins") {
  const RouteTable table({{"/v1", false}, {"/v1/classify/", true}, {"/v1/classify/slow", false}});
  struct Row {
    std::string path, taken_by;
    bool safe;
  };
  const Row rows[] = {
      {"/v1/classify", "/v1/classify", true},
      {"/v1/classify/", "/v1/classify", true},
      {"/v1/classify/x", "/v1/classify", true},
      {"/v1/classifying", "/v1", false},
      {"/v1/classify/slow", "/v1/classify/slow", false},
      {"/v1/classify/slower", "/v1/classify", true},
      {"/v1", "/v1", false},
      {"/v2", "/", false},
      {"/", "/", false},
      {"*", "/", false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.path);
    CHECK(table.match(row.path).path == row.taken_by);
    CHECK(table.match(row.path).replay_safe == row.safe);
  }
  CHECK(RouteTable({{"/", true}}).match("/anything").replay_safe);
  CHECK_FALSE(RouteTable().match("/anything").replay_safe);
}

TEST_CASE("latency: a peak counts at once and is forgiven over the decay") {
  PeakEwma latency(10s);
  latency.record(10ms, Instant{1s});
  CHECK(latency.nanoseconds(Instant{1s}) == doctest::Approx(10e6));
  latency.record(200ms, Instant{1s});
  CHECK(latency.nanoseconds(Instant{1s}) == doctest::Approx(200e6));
  latency.record(10ms, Instant{2s});
  CHECK(latency.nanoseconds(Instant{2s}) > 150e6);
  CHECK(latency.nanoseconds(Instant{2s}) < 200e6);
  CHECK(latency.nanoseconds(Instant{60s}) < 2e6);
}

// Plays results against a checker: p = pass, f = fail; returns the standing after each as U(p), D(own), ?.
std::string play(std::string_view results, Standing known = Standing::kUnknown) {
  Instant now{1h};
  HealthCheck check({}, now, known);
  std::string standings;
  for (const char r : results) {
    now = check.next_check();
    if (r == 'p') check.on_pass(now, 0);
    if (r == 'f') check.on_fail(now, 0);
    standings += check.standing() == Standing::kUp ? 'U' : check.standing() == Standing::kDown ? 'D' : '?';
  }
  return standings;
}

TEST_CASE("health: rise and fall") {
  struct Row {
    std::string why, results, standings;
    Standing known = Standing::kUnknown;
  };
  const Row rows[] = {
      {"one pass makes a new one ready", "p", "U"},
      {"failures while it starts mean nothing", "fffffp", "?????U"},
      {"two failures are noise", "pffp", "UUUU"},
      {"the third is not", "pfff", "UUUD"},
      {"a pass in between forgives", "pffpffpff", "UUUUUUUUU"},
      {"one pass does not bring it back", "pfffp", "UUUDD"},
      {"two do", "pfffpp", "UUUDDU"},
      {"not with a failure in between", "pfffpfpfpp", "UUUDDDDDDU"},
      {"coming back, it needs three failures again", "pfffppff", "UUUDDUUU"},
      {"known to be up, it falls like any other", "fff", "UUD", Standing::kUp},
      {"and is not made ready anew", "pffpff", "UUUUUU", Standing::kUp},
      {"known to be down, it rises like any other", "pfpp", "DDDU", Standing::kDown},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    CHECK(play(row.results, row.known) == row.standings);
  }
}

TEST_CASE("health: how often it asks") {
  Instant now{1h};
  HealthCheck check({}, now);
  CHECK(check.next_check() == now);  // the first at once
  check.on_fail(now, 0);
  CHECK(check.next_check() == now + 25ms);
  now = now + 10s;
  check.on_fail(now, 0);
  CHECK(check.next_check() == now + 250ms);
  check.on_pass(now, 0);
  CHECK(check.next_check() == now + 2s);
  check.on_fail(now, 0);
  CHECK(check.next_check() == now + 500ms);
  check.on_fail(now, 0);
  check.on_fail(now, 0);
  CHECK(check.next_check() == now + 1s);
  check.on_pass(now, 0);
  CHECK(check.next_check() == now + 500ms);
  check.on_pass(now, 1);
  CHECK(check.next_check() == now + 2100ms);
  check.on_pass(now, -1);
  CHECK(check.next_check() == now + 1900ms);
}

TEST_CASE("health: says when the standing changed, and only then") {
  Instant now{};
  HealthCheck check({}, now);
  CHECK_FALSE(check.on_fail(now, 0));
  CHECK(check.on_pass(now, 0));
  CHECK_FALSE(check.on_pass(now, 0));
  CHECK_FALSE(check.on_fail(now, 0));
  CHECK_FALSE(check.on_fail(now, 0));
  CHECK(check.on_fail(now, 0));
  CHECK_FALSE(check.on_fail(now, 0));
  CHECK_FALSE(check.on_pass(now, 0));
  CHECK(check.on_pass(now, 0));
}

}  // namespace
}  // namespace nines::gateway
