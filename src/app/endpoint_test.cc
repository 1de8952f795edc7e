#include "app/endpoint.h"

#include <doctest/doctest.h>

#include <memory>

namespace nines::app {
namespace {

using plane::EventKind;
using plane::Health;

struct World {
  std::unique_ptr<plane::Table> table = std::make_unique<plane::Table>();
  config::Endpoint at{.at = {"10.0.0.5", 8000}, .weight = 50, .tier = 1};

  Endpoint endpoint() const { return Endpoint(*table, 0, "ai-1", at); }
  plane::Route route() const { return *table->routes[0].load(); }
  void verdict(Health health, std::uint64_t incarnation, const char* reason = "") const {
    plane::Verdict verdict{.incarnation = incarnation, .health = health};
    plane::set_field(verdict.reason, reason);
    table->observed[0].verdict.store(verdict);
  }
};

TEST_CASE("endpoint: its record says where it is, what it gets, and that it may be checked") {
  const World world;
  Endpoint endpoint = world.endpoint();
  endpoint.begin(std::nullopt, {}, Instant{10s});
  const plane::Route route = world.route();
  CHECK(route.incarnation == 1);
  CHECK(std::string(route.host) == "10.0.0.5");
  CHECK(route.port == 8000);
  CHECK(route.weight == 50);
  CHECK(route.tier == 1);
  CHECK(route.wanted == plane::Wanted::kServe);
  CHECK(std::string(route.name) == "ai-1");
  CHECK(route.pid == 0);
  CHECK(world.table->header.routes_version == 1);
  CHECK_FALSE(endpoint.ready());
}

TEST_CASE("endpoint: a person's wish goes before the configuration, and draining before a weight") {
  struct Row {
    std::string why;
    Wish wish;
    int weight;
  };
  const Row rows[] = {
      {"none", {}, 50},
      {"a weight", {.weight = 70}, 70},
      {"no requests at all", {.weight = 0}, 0},
      {"drained", {.drained_by = "anna"}, 0},
      {"drained, whatever its weight", {.drained_by = "anna", .weight = 70}, 0},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    const World world;
    Endpoint endpoint = world.endpoint();
    endpoint.begin(std::nullopt, row.wish, Instant{10s});
    CHECK(world.route().weight == row.weight);
    const auto version = world.table->header.routes_version.load();
    endpoint.share({.weight = 10});
    CHECK(world.route().weight == 10);
    CHECK(world.table->header.routes_version > version);
    CHECK(world.route().incarnation == 1);  // it is the same server
  }
}

TEST_CASE("endpoint: it is as ready as the gateway finds it") {
  const World world;
  Endpoint endpoint = world.endpoint();
  endpoint.begin(std::nullopt, {}, Instant{10s});
  struct Row {
    std::string why;
    Health health;
    std::uint64_t incarnation;
    bool ready;
    std::optional<EventKind> noted;
    std::int64_t since_s;
  };
  const Row rows[] = {
      {"no verdict yet", Health::kUnknown, 1, false, std::nullopt, 10},
      {"of another incarnation", Health::kUp, 7, false, std::nullopt, 10},
      {"it is not there: the first news", Health::kDown, 1, false, EventKind::kUnready, 10},
      {"still not: no news", Health::kDown, 1, false, std::nullopt, 10},
      {"it answers", Health::kUp, 1, true, EventKind::kReady, 14},
      {"still", Health::kUp, 1, true, std::nullopt, 14},
      {"it is gone", Health::kDown, 1, false, EventKind::kUnready, 16},
  };
  std::int64_t now = 10;
  for (const Row& row : rows) {
    CAPTURE(row.why);
    world.verdict(row.health, row.incarnation, "no answer");
    const auto event = endpoint.look(Instant{Duration(std::chrono::seconds(now++))});
    CHECK(endpoint.ready() == row.ready);
    CHECK((event ? std::optional(event->kind) : std::nullopt) == row.noted);
    CHECK(world.route().since_ns == row.since_s * 1'000'000'000);
  }
}

TEST_CASE("endpoint: who goes on keeps the verdict, unless the address is another one") {
  World world;
  {
    Endpoint endpoint = world.endpoint();
    endpoint.begin(std::nullopt, {}, Instant{10s});
    world.verdict(Health::kUp, 1);
    CHECK(endpoint.look(Instant{11s}));
  }
  world.at.weight = 200;
  {
    Endpoint endpoint = world.endpoint();
    endpoint.begin(world.route(), {}, Instant{20s});
    CHECK(endpoint.ready());
    CHECK(world.route().incarnation == 1);
    CHECK(world.route().since_ns == 11'000'000'000);
    CHECK(world.route().weight == 200);
    CHECK_FALSE(endpoint.look(Instant{21s}));
  }
  world.at.at.port = 8001;
  Endpoint endpoint = world.endpoint();
  endpoint.begin(world.route(), {}, Instant{30s});
  CHECK_FALSE(endpoint.ready());
  CHECK(world.route().incarnation == 2);
  CHECK(world.route().port == 8001);
}

}  // namespace
}  // namespace nines::app
