#include "app/reload.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <random>

namespace nines::app {
namespace {

config::Config parsed(const std::string& text) {
  const auto config = config::parse(text);
  REQUIRE(config);
  return *config;
}

config::Config processes() {
  return parsed(R"(
service: api
replicas: {count: 2, command: [server, --port, "{port}"], env: {KEY: one}, files: [model.bin]}
)");
}

config::Config elsewhere() {
  return parsed(R"(
service: api
replicas: {endpoints: ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]}
)");
}

std::vector<config::Endpoint> at(std::initializer_list<int> hosts) {
  std::vector<config::Endpoint> endpoints;
  for (const int host : hosts) endpoints.push_back({.at = {"10.0.0." + std::to_string(host), 80}});
  return endpoints;
}

TEST_CASE("reload: what may change in place, and what stands in the way") {
  struct Row {
    const char* name;
    std::function<void(config::Config&)> change;
    const char* refused;  // part of the message; nullptr: it may
  };
  const Row rows[] = {
      {"nothing", [](auto&) {}, nullptr},
      {"count", [](auto& c) { c.replicas.count = 9; }, nullptr},
      {"listen", [](auto& c) { c.listen = {{"127.0.0.1", 9}}; }, nullptr},
      {"health", [](auto& c) { c.replicas.health.rise = 9; }, nullptr},
      {"canary", [](auto& c) { c.replicas.canary = config::Canary{}; }, nullptr},
      {"stop", [](auto& c) { c.replicas.stop.grace = 9s; }, nullptr},
      {"restart", [](auto& c) { c.replicas.restart = config::Restart::kNever; }, nullptr},
      {"needs", [](auto& c) { c.replicas.needs.push_back({.at = {"127.0.0.1", 9}, .path = {}}); }, nullptr},
      {"deploy", [](auto& c) { c.replicas.deploy.surge = 3; }, nullptr},
      {"routes", [](auto& c) { c.routes.push_back({.path = "/x"}); }, nullptr},
      {"gateway", [](auto& c) { c.gateway.queue = 9; }, nullptr},
      {"objective", [](auto& c) { c.objective = 0.9; }, nullptr},
      {"data", [](auto& c) { c.data.sqlite = {"a.db"}; }, nullptr},
      {"backups", [](auto& c) { c.backups.push_back({.to = "b", .archive = {}}); }, nullptr},
      {"dashboard", [](auto& c) { c.dashboard = config::Dashboard{}; }, nullptr},
      {"service", [](auto& c) { c.service = "other"; }, "does not rename"},
      {"command", [](auto& c) { c.replicas.command.push_back("-v"); }, "(command): `nines deploy`"},
      {"env", [](auto& c) { c.replicas.env["KEY"] = std::string("two"); }, "(env.KEY): `nines deploy`"},
      {"env_file", [](auto& c) { c.replicas.env_file = {"x"}; }, "(env_file): `nines deploy`"},
      {"directory", [](auto& c) { c.replicas.directory = "/"; }, "(directory): `nines deploy`"},
      {"user", [](auto& c) { c.replicas.user = "api"; }, "(user): `nines deploy`"},
      {"umask", [](auto& c) { c.replicas.umask = 7; }, "(umask): `nines deploy`"},
      {"limits", [](auto& c) { c.replicas.limits.files = 99; }, "(limits): `nines deploy`"},
      {"files", [](auto& c) { c.replicas.files.clear(); }, "(files): `nines deploy`"},
      {"processes become a container",
       [](auto& c) { c.replicas.command.clear(), c.replicas.container = config::Container{}; },
       "it was a command and is now a container"},
      {"processes become endpoints", [](auto& c) { c.replicas.command.clear(), c.replicas.endpoints = at({1}); },
       "it was a command and is now endpoints"},
      {"one of each: nothing of it", [](auto& c) { c.gateway.queue = 9, c.replicas.umask = 7; }, "(umask)"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    config::Config wanted = processes();
    row.change(wanted);
    const auto plan = plan_reload(processes(), wanted);
    if (row.refused == nullptr) {
      REQUIRE(plan);
      CHECK(plan->config == wanted);
      CHECK(plan->changes == config::changes(processes(), wanted));
    } else {
      REQUIRE(!plan);
      CHECK(plan.error().code() == Code::kRefused);
      CHECK_MESSAGE(plan.error().text().find(row.refused) != std::string::npos, plan.error().text());
    }
  }
}

TEST_CASE("reload: endpoints that stay keep their places") {
  struct Row {
    std::initializer_list<int> before, wanted, placed;
  };
  const Row rows[] = {
      {{1, 2, 3}, {1, 2, 3}, {1, 2, 3}},
      {{1, 2, 3}, {3, 2, 1}, {1, 2, 3}},
      {{1, 2, 3}, {2, 3}, {3, 2}},
      {{1, 2, 3}, {4, 2, 3}, {4, 2, 3}},
      {{1, 2}, {3, 1, 2}, {1, 2, 3}},
      {{1, 2, 3}, {3}, {3}},
      {{1}, {2}, {2}},
      {{1, 2, 3}, {5, 3, 4}, {5, 4, 3}},
  };
  for (const Row& row : rows) CHECK(keep_places(at(row.before), at(row.wanted)) == at(row.placed));
  // Its other keys are the new ones.
  auto wanted = at({1, 2});
  wanted[1].weight = 7;
  CHECK(keep_places(at({1, 2}), wanted)[1].weight == 7);
  config::Config config = elsewhere();
  config.replicas.endpoints = at({3, 2, 9});
  const auto plan = plan_reload(elsewhere(), config);
  REQUIRE(plan);
  CHECK(plan->config.replicas.endpoints == at({9, 2, 3}));
}

TEST_CASE("reload: places are a permutation, and who can stay does") {
  const auto seed = static_cast<std::uint32_t>(std::random_device()());
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 2000; ++round) {
    const auto some = [&] {
      std::vector<config::Endpoint> endpoints;
      for (int host = 1; host <= 9; ++host)
        if (random() % 2 == 0) endpoints.push_back({.at = {"10.0.0." + std::to_string(host), 80}});
      std::ranges::shuffle(endpoints, random);
      return endpoints;
    };
    const auto before = some(), wanted = some();
    const auto placed = keep_places(before, wanted);
    REQUIRE(placed.size() == wanted.size());
    REQUIRE(std::ranges::is_permutation(placed, wanted));
    for (std::size_t i = 0; i < std::min(before.size(), placed.size()); ++i) {
      const bool stays = std::ranges::find(wanted, before[i]) != wanted.end();
      REQUIRE((!stays || placed[i] == before[i]));
    }
  }
}

TEST_CASE("reload: configurations that are equal have one digest") {
  CHECK(digest_of(processes()) == digest_of(processes()));
  CHECK(digest_of(processes()) != digest_of(elsewhere()));
  CHECK(digest_of(processes()).size() == std::string("sha256:").size() + 64);
}

}  // namespace
}  // namespace nines::app
