// Ejection end to end: clients, a worker, the health checker, and replicas that fail what they are asked though their
// health is fine.
#include <set>
#include <string>

#include <doctest/doctest.h>

#include "gateway/health_checker.h"
#include "gateway/test_support.h"

namespace nines::gateway {
namespace {

using namespace testing;
using net::testing::over_both;
using net::testing::over_memory;

// Healthy by its health path; requests get `status`, unless the body says what they are to get.
struct Patient {
  Patient(Loop& loop, int status)
      : server(loop, [this, status](http::Request& request) -> Task<http::Response> {
          if (request.head.path() == "/health") co_return http::Response{};
          ++requests;
          co_return http::Response{.status = request.body == "malformed" ? 500 : status};
        }) {
    auto listener = std::move(loop.listen(Address::loopback(0)).value());
    at = listener->address();
    server.serve(std::move(listener));
  }
  int requests = 0;
  http::Server server;
  Address at;
};

Settings with_health_path() {
  Settings settings;
  settings.health_path = "/health";
  settings.routes = RouteTable({{.path = "/", .replay_safe = true}});
  return settings;
}

struct Service {
  Service(Loop& loop, Settings settings) : world(loop, std::move(settings)) {
    world.worker.on_suspicion([this] { checker.judge(); });
  }
  std::string events() {
    std::string all;
    for (const plane::Event& event : world.table->gateway_events.read(1).events)
      all +=
          (all.empty() ? "" : ", ") + std::string(plane::name_of(event.kind)) + " " + std::to_string(event.replica + 1);
    return all;
  }
  Task<void> stop() {
    co_await checker.stop();
    co_await world.worker.drain(1s);
  }
  World world;
  HealthChecker checker{world.loop, *world.table, world.settings, 3, [this] { world.worker.refresh(); }};
};

Task<void> one_is_sick(Loop& loop) {
  Patient sick(loop, 502), well(loop, 200), well_too(loop, 200);
  Service service(loop, with_health_path());
  service.world.route(0, sick.at);
  service.world.route(1, well.at);
  service.world.route(2, well_too.at);
  // No check may pass meanwhile and pardon it: that is another test.
  for (int i = 0; i < 200 && service.events().empty(); ++i)
    (void)co_await service.world.call("POST", "/", std::to_string(i));
  CHECK(service.events() == "ejected 1");
  CHECK(sick.requests == 5);
  CHECK(service.world.table->observed[0].gateway_errors == 5);
  for (int i = 0; i < 50; ++i) CHECK((co_await service.world.call("POST", "/")).head.status() == 200);
  CHECK(sick.requests == 5);
  co_await service.stop();
  for (Patient* patient : {&sick, &well, &well_too}) co_await patient->server.drain(0s);
}
TEST_CASE("ejection: a replica that answers 502 to five requests gets no more") { over_both(one_is_sick); }

Task<void> malformed(Loop& loop) {
  Patient a(loop, 200), b(loop, 200);
  Service service(loop, with_health_path());
  service.world.route(0, a.at);
  service.world.route(1, b.at);
  for (int i = 0; i < 300; ++i) CHECK((co_await service.world.call("POST", "/", "malformed")).head.status() == 500);
  CHECK(service.events().empty());
  CHECK((co_await service.world.call("POST", "/", "fine")).head.status() == 200);
  co_await service.stop();
  co_await a.server.drain(0s);
  co_await b.server.drain(0s);
}
TEST_CASE("ejection: a flood of malformed requests, which are answered with 500, ejects nobody") {
  over_both(malformed);
}

Task<void> poison(Loop& loop) {
  const Script dies{.answer = "", .reset = true};
  ScriptedReplica a(loop, dies), b(loop, dies);
  Service service(loop, with_health_path());
  service.world.route(0, a.at);
  service.world.route(1, b.at);
  for (int i = 0; i < 30; ++i) CHECK((co_await service.world.call("POST", "/")).head.status() >= 502);
  CHECK(service.events().empty());
  CHECK(a.requests + b.requests >= 30);  // few are sent twice: the budget for that is soon spent
  co_await service.stop();
  co_await a.stop();
  co_await b.stop();
}
TEST_CASE("ejection: a request that breaks whoever gets it ejects nobody") { over_memory(poison); }

Task<void> relapses(Loop& loop) {
  Patient sick(loop, 502), well(loop, 200);
  Service service(loop, with_health_path());
  service.world.route(0, sick.at);
  service.world.route(1, well.at);
  service.checker.refresh();
  int failed = 0;
  const Instant end = loop.now() + 10min;
  while (loop.now() < end) {
    failed += (co_await service.world.call("POST", "/")).head.status() == 200 ? 0 : 1;
    (void)co_await loop.sleep(20ms);
  }
  // Its health path passed once, and was wrong: from then on only time gave it another chance, less and less often
  // (20 + 40 + 80 + 160 + 300 s).
  CHECK(sick.requests <= 7 * 5);
  CHECK(sick.requests >= 6 * 5);
  CHECK(failed == sick.requests);  // an answer of 502 is an answer
  CHECK(service.world.table->observed[0].ejections >= 6);
  co_await service.stop();
  co_await sick.server.drain(0s);
  co_await well.server.drain(0s);
}
TEST_CASE("ejection: in ten minutes a replica that passes its checks and fails its requests gets a handful of them") {
  over_memory(relapses);
}

Task<void> nobody_listens(Loop& loop) {
  Patient well(loop, 200);
  Service service(loop, with_health_path());
  auto listener = std::move(loop.listen(Address::loopback(0)).value());
  const Address nobody = listener->address();
  listener.reset();
  service.world.route(0, nobody);
  service.world.route(1, well.at);
  for (int i = 0; i < 100; ++i) CHECK((co_await service.world.call("POST", "/")).head.status() == 200);
  CHECK(service.events() == "ejected 1");
  CHECK(service.world.table->observed[0].connect_failures == 3);
  co_await service.stop();
  co_await well.server.drain(0s);
}
TEST_CASE("ejection: three refused connections do, and no client sees them") { over_both(nobody_listens); }

Task<void> session(Loop& loop) {
  Echo a(loop, "a"), b(loop, "b"), c(loop, "c");
  Settings settings;
  settings.routes = RouteTable({{.path = "/", .hash_header = "x-session"}});
  Service service(loop, settings);
  service.world.route(0, a.at);
  service.world.route(1, b.at);
  service.world.route(2, c.at);
  std::set<std::string> homes;
  for (int key = 0; key < 20; ++key) {
    std::set<std::string> answered;
    for (int i = 0; i < 5; ++i)
      answered.insert((co_await service.world.call("GET", "/", "", {{"X-Session", std::to_string(key)}})).body);
    CHECK(answered.size() == 1);
    homes.insert(*answered.begin());
  }
  CHECK(homes.size() == 3);
  co_await service.stop();
  for (Echo* echo : {&a, &b, &c}) co_await echo->server.drain(0s);
}
TEST_CASE("routing: requests of one session go to one replica, where the route says so") { over_both(session); }

}  // namespace
}  // namespace nines::gateway
