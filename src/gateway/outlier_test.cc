// Who is ejected, for how long, and who is blamed for what.
#include "gateway/outlier.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "base/random.h"
#include "gateway/panic.h"

namespace nines::gateway {
namespace {

using plane::EjectionCause;
constexpr Instant kNow{1h};

TEST_CASE("outlier: what an answer says about its replica") {
  struct Row {
    int status;
    bool retry_after, error, well;
  };
  const Row rows[] = {
      {200, false, false, true},  {204, false, false, true},  {304, false, false, true},  {400, false, false, true},
      {404, false, false, true},  {422, false, false, true},  {429, false, false, false}, {429, true, false, false},
      {500, false, false, false}, {501, false, false, false}, {502, false, true, false},  {502, true, true, false},
      {503, false, true, false},  {503, true, false, false},  {504, false, true, false},  {504, true, true, false},
      {529, false, false, false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.status);
    CAPTURE(row.retry_after);
    CHECK(is_gateway_error(row.status, row.retry_after) == row.error);
    CHECK(proves_well(row.status) == row.well);
  }
}

TEST_CASE("outlier: what an attempt failed of") {
  struct Row {
    const char* why;
    Code code;
    bool sent, reused;
    Failure failure;
  };
  const Row rows[] = {
      {"refused", Code::kRefused, false, false, Failure::kConnect},
      {"connecting took too long", Code::kTimedOut, false, false, Failure::kConnect},
      {"no descriptor was left", Code::kLimit, false, false, Failure::kNotItsFault},
      {"an idle connection had been closed", Code::kClosed, true, true, Failure::kNotItsFault},
      {"a new one was reset", Code::kClosed, true, false, Failure::kBroken},
      {"no byte came", Code::kTimedOut, true, false, Failure::kTimeout},
      {"no byte came on an idle one", Code::kTimedOut, true, true, Failure::kTimeout},
      {"what came was no HTTP", Code::kProtocol, true, true, Failure::kBroken},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    CHECK(failure_of(row.code, row.sent, row.reused) == row.failure);
  }
}

// Plays one request: "1c" slot 1 could not be connected to, b broke, t timed out, g gateway status, w answered well.
std::string blamed(const std::string& attempts) {
  Blame blame;
  for (std::size_t i = 0; i + 1 < attempts.size(); i += 3) {
    const auto slot = static_cast<std::size_t>(attempts[i] - '0');
    const char how = attempts[i + 1];
    if (how == 'w') {
      blame.answered_well();
      continue;
    }
    blame.failed({slot, slot + 100,
                  how == 'c'   ? Failure::kConnect
                  : how == 'b' ? Failure::kBroken
                  : how == 't' ? Failure::kTimeout
                               : Failure::kGatewayStatus});
  }
  std::string all;
  blame.for_each([&](const Blame::Blamed& b) {
    CHECK(b.incarnation == b.slot + 100);
    all += std::to_string(b.slot);
  });
  return all;
}

TEST_CASE("blame: an error that a request repeats on two replicas is the request's") {
  struct Row {
    const char *why, *attempts, *blamed;
  };
  const Row rows[] = {
      {"nothing failed", "1w", ""},
      {"one replica broke, nobody else was asked", "1b", "1"},
      {"another one answered", "1b 2w", "1"},
      {"two broke alike", "1b 2b", ""},
      {"two passed on an error alike", "1g 2g", ""},
      {"two timed out alike", "1t 2t", ""},
      {"two failed, each in its own way", "1b 2g", "12"},
      {"connections failed on both: no request did that", "1c 2c", "12"},
      {"a connect failure between two breaks", "1b 3c 2b", "3"},
      {"two broke alike and a third answered well: it was not the request", "1b 2b 3w", "12"},
      {"two alike, one of its own", "1b 2b 3t", "3"},
      {"the same replica twice is one replica", "1b 1b", "11"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    CHECK(blamed(row.attempts) == row.blamed);
  }
}

TEST_CASE("blame: a request with more failures than can be remembered blames those that are") {
  CHECK(blamed("0c 1c 2c 3c 4c 5c 6c 7c 8c 9c") == "01234567");
}

Suspect up(std::uint32_t connect_failures = 0, std::uint32_t gateway_errors = 0) {
  return {.in_fleet = true, .up = true, .connect_failures = connect_failures, .gateway_errors = gateway_errors};
}
// Fails what it is asked while, or since, others are well.
Suspect fails_since(Instant since) {
  Suspect suspect = up(0, 5);
  suspect.failing_since = since;
  return suspect;
}
Suspect well_at(Instant when) {
  Suspect suspect = up();
  suspect.well = when;
  return suspect;
}
Suspect down() { return {.in_fleet = true, .up = false, .connect_failures = 9}; }
Suspect out() { return {.in_fleet = true, .up = true, .ejected_until = kNow + 1ns, .ejections = 1}; }
Suspect absent() { return {.connect_failures = 9, .gateway_errors = 9}; }

TEST_CASE("outlier: who is ejected, and whether the fleet can spare it") {
  struct Row {
    std::string why;
    std::vector<Suspect> fleet;  // the first is judged
    std::optional<EjectionCause> cause;
  };
  const Row rows[] = {
      {"nothing failed", {up(), up()}, std::nullopt},
      {"two connect failures are noise", {up(2, 0), up()}, std::nullopt},
      {"three are not", {up(3, 0), up()}, EjectionCause::kConnect},
      {"four gateway errors are noise", {up(0, 4), up()}, std::nullopt},
      {"five are not", {up(0, 5), up()}, EjectionCause::kGatewayErrors},
      {"rows of two kinds do not add up", {up(2, 4), up()}, std::nullopt},
      {"both kinds: no connection is the plainer word", {up(3, 5), up()}, EjectionCause::kConnect},
      {"the only one", {up(9, 9)}, std::nullopt},
      {"the last one that is up", {up(9, 9), down(), down()}, std::nullopt},
      {"the last one that is not out", {up(9, 9), out(), up(), out()}, std::nullopt},
      {"half of the fleet is out already", {up(9, 9), up(), out(), out()}, std::nullopt},
      {"half will be", {up(9, 9), up(), up(), out()}, EjectionCause::kConnect},
      {"one of three", {up(9, 9), up(), up()}, EjectionCause::kConnect},
      {"two of three would be too many", {up(9, 9), up(), out()}, std::nullopt},
      {"those that nobody wants do not count", {up(9, 9), absent(), absent()}, std::nullopt},
      {"one that is down is not ejected as well", {down(), up(), up()}, std::nullopt},
      {"nor one that nobody wants", {absent(), up(), up()}, std::nullopt},
      {"those that are down are of the fleet", {up(9, 9), up(), down(), out()}, EjectionCause::kConnect},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    const auto ejection = judge_outlier({}, row.fleet, 0, kNow);
    CHECK(ejection.has_value() == row.cause.has_value());
    if (ejection && row.cause) CHECK(ejection->cause == *row.cause);
  }
}

TEST_CASE("outlier: gateway errors are a replica's only while another one answers well") {
  const Instant before = kNow + -1s, since = kNow + -500ms;
  Suspect well_but_down = down(), well_but_out = out();
  well_but_down.well = well_but_out.well = kNow;
  struct Row {
    std::string why;
    std::vector<Suspect> fleet;
    bool ejected;
  };
  const Row rows[] = {
      {"another answered well since", {fails_since(since), well_at(kNow)}, true},
      {"in the moment it began", {fails_since(since), well_at(since)}, true},
      {"the others did before: all may fail by now", {fails_since(since), well_at(before), well_at(before)}, false},
      {"one of them is enough", {fails_since(since), well_at(before), well_at(kNow)}, true},
      {"one that gets no requests is no witness",
       {fails_since(since), well_at(before), well_but_down, well_but_out},
       false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    CHECK(judge_outlier({}, row.fleet, 0, kNow).has_value() == row.ejected);
  }
  std::vector<Suspect> refused = {fails_since(since), well_at(before)};
  refused[0].connect_failures = 3;
  CHECK(judge_outlier({}, refused, 0, kNow)->cause == EjectionCause::kConnect);  // no request does that
}

TEST_CASE("outlier: one that is out is not ejected again for what was still in flight") {
  std::vector<Suspect> fleet = {out(), up(), up()};
  fleet[0].connect_failures = 99;
  CHECK_FALSE(judge_outlier({}, fleet, 0, kNow));
  CHECK(judge_outlier({}, fleet, 0, kNow + 1ns));
}

TEST_CASE("outlier: the pause doubles with each relapse, up to a bound, and time forgives") {
  struct Row {
    std::string why;
    std::uint32_t before;
    Duration since;  // the end of the last ejection
    Duration pause;
    std::uint32_t ejections;
  };
  const Row rows[] = {
      {"the first", 0, 0s, 10s, 1},
      {"a relapse at once", 1, 0s, 20s, 2},
      {"the second", 2, 0s, 40s, 3},
      {"the fifth", 5, 0s, 300s, 6},
      {"any more", 40, 0s, 300s, 41},
      {"not yet forgiven", 1, 59s, 20s, 2},
      {"forgiven", 1, 60s, 10s, 1},
      {"one of three forgiven", 3, 60s, 40s, 3},
      {"and some time beyond", 1, 120s, 10s, 1},
      {"two of three", 3, 179s, 20s, 2},
      {"all of them", 3, 180s, 10s, 1},
      {"long ago", 3, 24h, 10s, 1},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    std::vector<Suspect> fleet = {up(3, 0), up()};
    fleet[0].ejections = row.before;
    if (row.before > 0) fleet[0].ejected_until = kNow + (-row.since);
    const auto ejection = judge_outlier({}, fleet, 0, kNow);
    REQUIRE(ejection);
    CHECK(ejection->until == kNow + row.pause);
    CHECK(ejection->ejections == row.ejections);
  }
}

TEST_CASE("outlier: an active check ends an ejection that it contradicts, until it was wrong about it") {
  struct Row {
    Proof proof;
    EjectionCause cause;
    std::uint32_t ejections;
    bool pardoned;
  };
  const Row rows[] = {
      {Proof::kConnects, EjectionCause::kConnect, 1, true},
      {Proof::kConnects, EjectionCause::kConnect, 7, true},
      {Proof::kHealthy, EjectionCause::kConnect, 7, true},
      {Proof::kConnects, EjectionCause::kGatewayErrors, 1, false},
      {Proof::kHealthy, EjectionCause::kGatewayErrors, 1, true},
      {Proof::kHealthy, EjectionCause::kGatewayErrors, 2, false},
      {Proof::kWorks, EjectionCause::kGatewayErrors, 1, true},
      {Proof::kWorks, EjectionCause::kGatewayErrors, 9, true},
  };
  for (const Row& row : rows) {
    CAPTURE(static_cast<int>(row.proof));
    CAPTURE(static_cast<int>(row.cause));
    CAPTURE(row.ejections);
    CHECK(pardons(row.proof, row.cause, row.ejections) == row.pardoned);
  }
}

TEST_CASE("panic: below half of those that are wanted") {
  struct Row {
    std::size_t healthy, of;
    bool panic;
  };
  const Row rows[] = {{0, 0, false}, {1, 1, false}, {0, 1, true},  {1, 2, false}, {0, 2, true},
                      {1, 3, true},  {2, 3, false}, {2, 4, false}, {1, 4, true},  {2, 5, true}};
  for (const Row& row : rows) {
    CAPTURE(row.healthy);
    CAPTURE(row.of);
    CHECK(panics({}, row.healthy, row.of) == row.panic);
  }
}

// A day of a fleet in which each replica has bad times of its own: whatever happens, somebody serves, nobody is out for
// longer than the longest pause, and one that is well again is back in the end.
TEST_CASE("outlier: a simulated day") {
  const OutlierLimits limits;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    std::vector<Suspect> fleet(2 + random.below(7), up());
    std::vector<double> failing(fleet.size());
    std::uint64_t ejections = 0;
    Instant now{1h};
    for (const Instant end = now + 24h; now < end; now = now + 500ms) {
      const bool healed = end - now < 2h;
      for (std::size_t i = 0; i < fleet.size(); ++i) {
        Suspect& one = fleet[i];
        if (random.below(4000) == 0) failing[i] = random.below(3) == 0 ? random.unit() : 0;
        if (healed) failing[i] = 0;
        if (one.ejected(now)) continue;
        const bool fails = random.unit() < failing[i];
        if (fails && one.gateway_errors == 0) one.failing_since = now;
        one.gateway_errors = fails ? one.gateway_errors + 1 : 0;
        if (!fails) one.well = now;
        const auto ejection = judge_outlier(limits, fleet, i, now);
        if (!ejection) continue;
        ++ejections;
        CHECK(ejection->until - now >= limits.pause_min);
        CHECK(ejection->until - now <= limits.pause_max);
        one.ejected_until = ejection->until;
        one.ejections = ejection->ejections;
        one.gateway_errors = 0;
      }
      std::size_t serving = 0;
      for (const Suspect& one : fleet) serving += one.ejected(now) ? 0 : 1;
      REQUIRE(serving >= 1);
      REQUIRE(serving * 2 >= fleet.size());
    }
    CHECK(ejections > 0);
    for (const Suspect& one : fleet) CHECK_FALSE(one.ejected(now));
  }
}

}  // namespace
}  // namespace nines::gateway
