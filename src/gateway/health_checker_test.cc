// The health checker against replicas that come and go, in simulated time.
#include "gateway/health_checker.h"

#include <string>

#include <doctest/doctest.h>

#include "gateway/test_support.h"

namespace nines::gateway {
namespace {

using namespace testing;
using net::Address;
using net::Loop;
using net::testing::over_memory;

Task<void> checks(Loop& loop) {
  int status = 503;
  http::Server server(loop, [&status](http::Request& request) -> Task<http::Response> {
    CHECK(request.head.path() == "/health");
    co_return http::Response{.status = status};
  });
  auto listener = std::move(loop.listen(Address::loopback(0)).value());
  const Address at = listener->address();
  server.serve(std::move(listener));
  Settings settings;
  settings.health_path = "/health";
  World world(loop, settings);
  int changes = 0;
  HealthChecker checker(loop, *world.table, settings, 3, [&] {
    ++changes;
    world.worker.refresh();
  });
  const auto health = [&] { return world.table->observed[0].verdict.load()->health; };
  world.route(0, at, plane::Wanted::kServe, plane::Health::kUnknown);
  const std::uint64_t incarnation = world.table->routes[0].load()->incarnation;
  checker.refresh();
  co_await loop.sleep(60s);
  CHECK(health() == plane::Health::kUnknown);  // loading may take its time
  status = 200;
  co_await loop.sleep(300ms);
  CHECK(health() == plane::Health::kUp);
  CHECK(changes == 1);
  status = 500;
  co_await loop.sleep(5s);
  CHECK(health() == plane::Health::kDown);
  CHECK(std::string(world.table->observed[0].verdict.load()->reason) == "GET /health answered 500");
  status = 200;
  co_await loop.sleep(3s);
  CHECK(health() == plane::Health::kUp);
  CHECK(changes == 3);

  world.remove(0);
  checker.refresh();
  const auto events = world.table->gateway_events.read(1).events;
  REQUIRE(events.size() == 1);
  CHECK(events[0].kind == plane::EventKind::kUnrouted);
  CHECK(events[0].incarnation == incarnation);
  co_await checker.stop();
  co_await world.worker.drain(1s);
  co_await server.drain(1s);
}
TEST_CASE("health checker: unknown until it passes, down after three failures, back after two passes") {
  over_memory(checks);
}

Task<void> checks_tcp(Loop& loop) {
  auto listener = std::move(loop.listen(Address::loopback(0)).value());
  World world(loop);
  HealthChecker checker(loop, *world.table, world.settings, 3, [&] { world.worker.refresh(); });
  world.route(0, listener->address(), plane::Wanted::kServe, plane::Health::kUnknown);
  checker.refresh();
  co_await loop.sleep(1s);
  CHECK(world.table->observed[0].verdict.load()->health == plane::Health::kUp);
  listener.reset();
  co_await loop.sleep(6s);
  CHECK(world.table->observed[0].verdict.load()->health == plane::Health::kDown);
  co_await checker.stop();
  co_await world.worker.drain(1s);
}
TEST_CASE("health checker: without a path, accepting a connection is enough") { over_memory(checks_tcp); }

Task<void> what_passes(Loop& loop) {
  struct Row {
    std::string why;
    int status;
    std::size_t bytes;
    bool passes;
  };
  const Row rows[] = {
      {"an answer", 200, 2, true},
      {"an empty one", 204, 0, true},
      {"a redirect: to what?", 302, 0, false},
      {"not there", 404, 0, false},
      {"loading", 503, 0, false},
      {"more than a health check has to say", 200, 2 << 20, false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    std::string host, agent;
    http::Server server(loop, [&](http::Request& request) -> Task<http::Response> {
      host = request.head.find("host").value_or("");
      agent = request.head.find("user-agent").value_or("");
      co_return http::Response{.status = row.status, .body = std::string(row.bytes, 'x')};
    });
    auto listener = std::move(loop.listen(Address::loopback(0)).value());
    const Address at = listener->address();
    server.serve(std::move(listener));
    Settings settings;
    settings.health_path = "/health";
    World world(loop, settings);
    HealthChecker checker(loop, *world.table, settings, 3, [] {});
    world.route(0, at, plane::Wanted::kServe, plane::Health::kUnknown);
    checker.refresh();
    (void)co_await loop.sleep(1s);
    CHECK((world.table->observed[0].verdict.load()->health == plane::Health::kUp) == row.passes);
    CHECK(host == at.text());
    CHECK(agent.starts_with("nines-health/"));
    co_await checker.stop();
    co_await world.worker.drain(1s);
    co_await server.drain(1s);
  }
}
TEST_CASE("health checker: what is asked, and which answers pass") { over_memory(what_passes); }

// Answers whatever it is asked but for its health, on which it never comes back.
http::Server::Handler busy_with_its_health(Loop& loop) {
  return [&loop](http::Request& request) -> Task<http::Response> {
    if (request.head.path() == "/health") (void)co_await loop.sleep(1h);
    co_return http::Response{.body = "served"};
  };
}

Task<void> takes_over(Loop& loop) {
  http::Server server(loop, busy_with_its_health(loop));
  auto listener = std::move(loop.listen(Address::loopback(0)).value());
  const Address at = listener->address();
  server.serve(std::move(listener));
  Settings settings;
  settings.health_path = "/health";
  settings.epoch = 1;
  World before(loop, settings);
  before.route(0, at);  // the gateway before this one found it well, and is dead
  const auto found = before.table->observed[0].verdict.load();

  before.table->header.gateway_epoch = 2;
  settings.epoch = 2;
  Worker worker(loop, *before.table, settings, 8);
  auto door = std::move(loop.listen(Address::loopback(0)).value());
  before.at = door->address();
  worker.serve(std::move(door));
  HealthChecker checker(loop, *before.table, settings, 3, [&] { worker.refresh(); });
  checker.refresh();
  const Instant begun = loop.now();
  CHECK((co_await before.call("GET", "/")).body == "served");
  CHECK(loop.now() == begun);  // no check has answered
  CHECK(before.table->observed[0].verdict.load()->since_ns == found->since_ns);
  (void)co_await loop.sleep(3500ms);
  CHECK(before.table->observed[0].verdict.load()->health == plane::Health::kUp);  // two failures are noise
  (void)co_await loop.sleep(1s);
  CHECK(before.table->observed[0].verdict.load()->health == plane::Health::kDown);  // the third is not
  co_await checker.stop();
  co_await worker.drain(1s);
  co_await before.worker.drain(1s);
  co_await server.drain(0s);
}
TEST_CASE("health checker: a gateway that takes over trusts the table until its own checks say otherwise") {
  over_memory(takes_over);
}

Task<void> superseded_writes_nothing(Loop& loop) {
  auto listener = std::move(loop.listen(Address::loopback(0)).value());
  World world(loop);
  HealthChecker checker(loop, *world.table, world.settings, 3, [] {});
  world.route(0, listener->address(), plane::Wanted::kServe, plane::Health::kUnknown);
  checker.refresh();
  world.table->header.gateway_epoch = 1;  // before the first check was made
  (void)co_await loop.sleep(1s);
  CHECK(world.table->observed[0].verdict.load()->health == plane::Health::kUnknown);
  world.remove(0);
  checker.refresh();
  CHECK(world.table->gateway_events.next_number() == 1);
  co_await checker.stop();
  co_await world.worker.drain(1s);
}
TEST_CASE("health checker: once another gateway was started, it writes nothing more") {
  over_memory(superseded_writes_nothing);
}

}  // namespace
}  // namespace nines::gateway
