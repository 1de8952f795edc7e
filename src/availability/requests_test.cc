#include "availability/requests.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "availability/objective.h"
#include "availability/test_support.h"
#include "base/random.h"

namespace nines::availability {
namespace {

using testing::close_to;

TEST_CASE("requests: which count, and as what") {
  struct Row {
    const char* why;
    Ending ending;
    Outcome outcome;
  };
  using enum Outcome;
  const Row rows[] = {
      {"an answer", {.status = 200}, kGood},
      {"a redirect", {.status = 302}, kGood},
      {"WebSocket", {.status = 101}, kGood},
      {"the replica's own 404", {.status = 404}, kGood},
      {"the replica's own 422", {.status = 422}, kGood},
      {"the replica failed", {.status = 500}, kBad},
      {"the replica is overloaded", {.status = 503}, kBad},
      {"no replica", {.status = 502, .by_replica = false}, kBad},
      {"turned away by admission", {.status = 503, .by_replica = false}, kBad},
      {"timed out", {.status = 504, .by_replica = false}, kBad},
      {"reset without an answer", {.status = 0, .by_replica = false}, kBad},
      {"a stream without its end", {.status = 200, .whole = false}, kBad},
      {"not HTTP", {.status = 400, .by_replica = false}, kExcluded},
      {"too large", {.status = 413, .by_replica = false}, kExcluded},
      {"too large a head", {.status = 431, .by_replica = false}, kExcluded},
      {"the caller's quota", {.status = 429, .by_replica = false}, kExcluded},
      {"... as the replica counts it", {.status = 429}, kExcluded},
      {"the client went away", {.status = 200, .whole = false, .client_left = true}, kAborted},
      {"... before there was an answer", {.status = 0, .client_left = true}, kAborted},
      {"a health check", {.status = 503, .probe = true}, kExcluded},
      {"a canary that was cancelled", {.status = 0, .client_left = true, .probe = true}, kExcluded},
      {"the user's own rule", {.status = 500, .user_caused = true}, kExcluded},
  };
  RequestCounts counts;
  for (const Row& row : rows) {
    CAPTURE(row.why);
    CHECK(classify(row.ending) == row.outcome);
    count(counts, row.outcome);
  }
  CHECK(counts == RequestCounts{.good = 5, .bad = 7, .excluded = 8, .aborted = 2});
  CHECK(counts.valid() == 12);
  CHECK(counts.total() == 22);
}

TEST_CASE("requests: pooled, never averaged") {
  std::vector<RequestCounts> slices(23, {.good = 1000});
  slices.push_back({.bad = 10});
  RequestCounts all;
  double sum_of_ratios = 0;
  for (const RequestCounts& slice : slices) {
    all += slice;
    sum_of_ratios += bad_share(slice)->value();
  }
  CHECK(100 * bad_share(all)->value() == close_to(0.043, 0.02));
  CHECK(*bad_share(all) == Ratio{10, 23010});
  CHECK(100 * sum_of_ratios / 24 == close_to(4.17, 0.001));  // what it must not be
  CHECK(!bad_share({.excluded = 10, .aborted = 5}));
}

TEST_CASE("requests: four nines of 2.5 million a day are 250 errors") {
  const Objective target = parse_objective("99.99%").value();
  CHECK(scale(std::uint64_t{2'500'000}, target.budget) == 250);
  CHECK(target.met_by(*bad_share({.good = 2'499'750, .bad = 250})));
  CHECK(!target.met_by(*bad_share({.good = 2'499'749, .bad = 251})));
}

TEST_CASE("requests: the state of one second") {
  struct Row {
    const char* why;
    Second second;
    State state;
  };
  using enum State;
  const Row rows[] = {
      {"nobody looked", {}, kUnknown},
      {"only clients who left", {.requests = {.excluded = 3, .aborted = 2}}, kUnknown},
      {"no traffic, the canary is well", {.canary = true}, kUp},
      {"no traffic, the canary is not", {.canary = false}, kDown},
      {"only clients who left, and the canary", {.requests = {.aborted = 2}, .canary = false}, kDown},
      {"all good", {.requests = {.good = 1}}, kUp},
      {"traffic outweighs the canary", {.requests = {.good = 1}, .canary = false}, kUp},
      {"all bad", {.requests = {.bad = 1}}, kDown},
      {"... whatever the canary says", {.requests = {.bad = 1}, .canary = true}, kDown},
      {"one of a hundred", {.requests = {.good = 99, .bad = 1}}, kUp},
      {"just below 5 %", {.requests = {.good = 951, .bad = 49}}, kUp},
      {"5 %", {.requests = {.good = 95, .bad = 5}}, kDegraded},
      {"nearly all", {.requests = {.good = 1, .bad = 999}}, kDegraded},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    CHECK(state_of(row.second) == row.state);
  }
  CHECK(state_of({.requests = {.good = 99, .bad = 1}}, {1, 100}) == kDegraded);
  CHECK(state_of({.requests = {.good = 99}}, {0, 1}) == kUp);  // without an error nothing is degraded
}

TEST_CASE("requests: merging does not care about the order") {
  for (std::uint64_t seed = 1; seed <= 1'000; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    std::vector<RequestCounts> parts(2 + random.below(10));
    for (RequestCounts& part : parts)
      part = {random.next() >> 16, random.below(100), random.below(100), random.below(100)};
    RequestCounts forward, backward;
    for (const RequestCounts& part : parts) forward += part;
    std::ranges::reverse(parts);
    // ... nor about how they are bracketed.
    for (std::size_t i = 0; i + 1 < parts.size(); i += 2) backward += parts[i] + parts[i + 1];
    if (parts.size() % 2 == 1) backward += parts.back();
    CHECK(forward == backward);
    CHECK(forward.total() == backward.good + backward.bad + backward.excluded + backward.aborted);
  }
}

}  // namespace
}  // namespace nines::availability
