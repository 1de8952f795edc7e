// Balancing, slow start, consistent hashing: who gets how much.
#include "gateway/balance.h"

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "gateway/consistent_hash.h"
#include "gateway/slow_start.h"

namespace nines::gateway {
namespace {

constexpr Instant kNow{1h};

struct Load {
  std::uint64_t in_flight = 0;
  Duration latency = 0ns;
  std::uint32_t weight = 100;
};

// Candidates, and the latencies they point to.
struct Fleet {
  explicit Fleet(const std::vector<Load>& loads) : latencies(loads.size()) {
    for (std::size_t i = 0; i < loads.size(); ++i) {
      latencies[i].record(loads[i].latency, kNow);
      candidates.push_back(
          {.slot = i, .in_flight = loads[i].in_flight, .weight = loads[i].weight, .latency = &latencies[i]});
    }
  }
  std::vector<PeakEwma> latencies;
  std::vector<Candidate> candidates;
};

std::vector<int> picks(const std::vector<Load>& loads, int count) {
  const Fleet fleet(loads);
  Random random(1);
  std::vector<int> taken(loads.size());
  for (int i = 0; i < count; ++i) ++taken[choose(fleet.candidates, kNow, random).value()];
  return taken;
}

TEST_CASE("balance: alike replicas share alike") {
  for (const int taken : picks({{}, {}, {}}, 3000)) CHECK(std::abs(taken - 1000) < 150);
}

TEST_CASE("balance: the busiest of three is never taken; one alone always is; nobody, where there is none") {
  const auto taken = picks({{.in_flight = 9}, {.in_flight = 0}, {.in_flight = 1}}, 1000);
  CHECK(taken[0] == 0);
  CHECK(taken[1] > taken[2]);
  CHECK(taken[2] > 0);
  CHECK(picks({{.in_flight = 99, .latency = 9s}}, 10)[0] == 10);
  Random random(1);
  CHECK_FALSE(choose({}, kNow, random));
}

TEST_CASE("balance: a slow replica weighs as much as a busy one") {
  // 4 in flight at 10 ms beats 0 in flight at 100 ms.
  CHECK(picks({{.in_flight = 4, .latency = 10ms}, {.latency = 100ms}}, 100)[0] == 100);
  // Differences below a millisecond are noise.
  CHECK(picks({{.latency = 100us}, {.latency = 900us}}, 1000)[1] > 350);
}

TEST_CASE("balance: on an idle fleet weights are shares") {
  const auto taken = picks({{.weight = 5}, {.weight = 100}, {.weight = 100}}, 20'000);
  CHECK(std::abs(taken[0] - 20'000 * 5 / 205) < 150);
  CHECK(std::abs(taken[1] - taken[2]) < 600);
}

TEST_CASE("balance: a light replica gets neither nothing nor everything for being a bit slower or faster") {
  for (const Duration light : {100ms, 90ms, 110ms}) {
    CAPTURE(light.count());
    const int taken = picks({{.latency = light, .weight = 10}, {.latency = 100ms}}, 20'000)[0];
    // Drawn at all: 1 - (10/11)², both times: (1/11)².
    CHECK(taken > 20'000 * 0.006);
    CHECK(taken < 20'000 * 0.19);
  }
}

TEST_CASE("balance: under load a replica has as much in flight as its weight allows") {
  // Closed loop: 110 requests under way all the time, each ends at random.
  Random random(3);
  std::vector<Load> loads = {{.weight = 10}, {.weight = 100}};
  double light = 0;
  for (int i = 0; i < 20'000; ++i) {
    if (i >= 110) {
      const std::uint64_t all = loads[0].in_flight + loads[1].in_flight;
      --loads[random.below(static_cast<std::uint32_t>(all)) < loads[0].in_flight ? 0 : 1].in_flight;
    }
    const Fleet fleet(loads);
    ++loads[choose(fleet.candidates, kNow, random).value()].in_flight;
    if (i >= 1000) light += static_cast<double>(loads[0].in_flight) / 19'000;
  }
  CHECK(light > 5);
  CHECK(light < 20);
}

TEST_CASE("slow start: from a tenth to all of the weight in ten seconds") {
  struct Row {
    std::uint32_t percent;
    Duration age;
    std::uint32_t weight;
  };
  const Row rows[] = {
      {100, 0s, 1000}, {100, 5s, 5500}, {100, 10s, 10'000}, {100, 1h, 10'000}, {100, -1s, 1000}, {100, 9999ms, 9999},
      {50, 0s, 500},   {50, 10s, 5000}, {1, 0s, 10},        {0, 0s, 0},        {0, 20s, 0},      {200, 5s, 11'000},
  };
  for (const Row& row : rows) {
    CAPTURE(row.percent);
    CAPTURE(row.age.count());
    const auto weight = static_cast<int>(effective_weight({}, row.percent, kNow + (-row.age), kNow));
    CHECK(std::abs(weight - static_cast<int>(row.weight)) <= 1);
  }
}

TEST_CASE("slow start: one that has just begun gets a tenth of what a warm one gets, and all when alone") {
  const std::uint32_t cold = effective_weight({}, 100, kNow, kNow), warm = effective_weight({}, 100, Instant{1s}, kNow);
  const auto taken = picks({{.weight = cold}, {.weight = warm}}, 11'000);
  CHECK(std::abs(taken[0] - 1000) < 150);
  CHECK(picks({{.weight = cold}}, 10)[0] == 10);
}

std::size_t owner(const Fleet& fleet, int key) {
  const auto chosen = choose_by_hash(fleet.candidates, hash_of("key " + std::to_string(key)));
  return fleet.candidates[chosen.value()].slot;
}

TEST_CASE("hash: keys spread by weight, and stay where they are") {
  const Fleet fleet({{.weight = 100}, {.weight = 100}, {.weight = 50}, {.weight = 100}});
  std::map<std::size_t, int> keys;
  for (int key = 0; key < 7000; ++key) {
    ++keys[owner(fleet, key)];
    CHECK(owner(fleet, key) == owner(fleet, key));
  }
  CHECK(std::abs(keys[0] - 2000) < 150);
  CHECK(std::abs(keys[1] - 2000) < 150);
  CHECK(std::abs(keys[2] - 1000) < 150);
  CHECK(std::abs(keys[3] - 2000) < 150);
}

TEST_CASE("hash: when a replica goes only its keys move, to all others alike") {
  const Fleet whole({{}, {}, {}, {}});
  Fleet rest({{}, {}, {}, {}});
  rest.candidates.erase(rest.candidates.begin() + 1);
  std::map<std::size_t, int> moved;
  for (int key = 0; key < 8000; ++key) {
    const std::size_t before = owner(whole, key), after = owner(rest, key);
    if (before == 1) ++moved[after];
    if (before != 1) CHECK(before == after);
  }
  CHECK(moved.size() == 3);
  for (const auto& [slot, count] : moved) CHECK(std::abs(count - 2000 / 3) < 120);
}

TEST_CASE("hash: nobody gets more than one and a half times its share, and somebody always has room") {
  Random random(11);
  for (int round = 0; round < 300; ++round) {
    CAPTURE(round);
    std::vector<Load> loads;
    double weights = 0;
    for (std::uint32_t i = 0; i < 1 + random.below(9); ++i) {
      loads.push_back({.weight = 1 + random.below(200)});
      weights += loads.back().weight;
    }
    const std::uint64_t popular = random.next();
    for (int sent = 0; sent < 200; ++sent) {
      const auto chosen = choose_by_hash(Fleet(loads).candidates, popular);
      REQUIRE(chosen);
      Load& load = loads[*chosen];
      ++load.in_flight;
      CHECK(static_cast<double>(load.in_flight) <= std::ceil(1.5 * (sent + 1) * load.weight / weights));
    }
  }
  CHECK_FALSE(choose_by_hash({}, 1));
}

TEST_CASE("hash: a key's hash never changes: a restart must not move every key") {
  CHECK(hash_of("") == 0xcbf29ce484222325ULL);
  CHECK(hash_of("a") == 0xaf63dc4c8601ec8cULL);  // FNV's own test vectors
  CHECK(hash_of("foobar") == 0x85944171f73967e8ULL);
}

}  // namespace
}  // namespace nines::gateway
