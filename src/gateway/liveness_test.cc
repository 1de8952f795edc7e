// Dead, hanging, stuck, slow, busy: what the gateway tells apart, with the requests that are under way meanwhile.
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "gateway/health_checker.h"
#include "gateway/test_support.h"
#include "net/condition.h"

namespace nines::gateway {
namespace {

using namespace testing;
using net::testing::over_both;
using net::testing::over_memory;
using plane::EventKind;
using plane::Health;

// An inference server. `stopped`: as by SIGSTOP, it accepts connections and says nothing. `stuck`: only its health is
// answered.
class Engine {
 public:
  Engine(Loop& loop, std::string n)
      : name(std::move(n)), loop_(loop), changed_(loop), server(loop, [this](http::Request& r) { return answer(r); }) {
    auto listener = std::move(loop.listen(Address::loopback(0)).value());
    at = listener->address();
    server.serve(std::move(listener));
  }
  void go_on() {
    stopped = stuck = false;
    changed_.notify_all();
  }

  std::string name;
  bool stopped = false, stuck = false;
  std::string label = "de";
  Duration work{0};  // of a request to /slow
  int requests = 0, canaries = 0;
  Address at;

 private:
  Task<http::Response> answer(http::Request& request) {
    const std::string path(request.head.path());
    const bool health = path == "/health";
    while (stopped || (stuck && !health)) {
      if (!co_await changed_.wait()) co_return http::Response{.status = 500};
    }
    if (health) co_return http::Response{};
    ++(path == "/canary" ? canaries : requests);
    if (path == "/canary") co_return http::Response{.body = R"({"label": ")" + label + "\"}"};
    if (path == "/slow") (void)co_await loop_.sleep(work);
    co_return http::Response{.body = name};
  }

  Loop& loop_;
  net::Condition changed_;

 public:
  http::Server server;
};

Settings with_health() {
  Settings settings;
  settings.health_path = "/health";
  return settings;
}
Settings with_canary(bool health = true) {
  Settings settings;
  if (health) settings.health_path = "/health";
  settings.canary = CanarySettings{.target = "/canary",
                                   .body = R"({"text": "Guten Morgen"})",
                                   .expect = CanarySettings::Expect{"/label", R"("de")"}};
  return settings;
}

// Two engines behind a worker, watched by a health checker.
class Fleet {
 public:
  explicit Fleet(Loop& l, Settings settings)
      : loop(l),
        world(l, std::move(settings)),
        checker(l, *world.table, world.settings, 3, [this] { world.worker.refresh(); }) {}
  void add(std::size_t slot, const Engine& engine, Health known = Health::kUp) {
    world.route(slot, engine.at, plane::Wanted::kServe, known);
    checker.refresh();
  }
  // Sends one, and notes how it went: "a" for an answer of a, "502" for an error; and how long it took.
  void send(std::string method, std::string target) { requests.start(run(std::move(method), std::move(target))); }
  Task<void> end() {
    co_await requests.join();
    co_await checker.stop();
    co_await world.worker.drain(1s);
  }
  plane::Verdict verdict(std::size_t slot) { return *world.table->observed[slot].verdict.load(); }
  std::uint64_t hangs(std::size_t slot) { return world.table->observed[slot].hangs; }
  int events(EventKind kind) {
    int count = 0;
    for (const auto& event : world.table->gateway_events.read(1).events) count += event.kind == kind ? 1 : 0;
    return count;
  }

  Loop& loop;
  World world;
  HealthChecker checker;
  TaskGroup requests{};
  std::vector<std::string> outcomes{};
  Duration worst{0};

 private:
  Task<void> run(std::string method, std::string target) {
    const Instant begun = loop.now();
    const auto answer = co_await world.call(method, target, method == "POST" ? "{}" : "");
    worst = std::max(worst, loop.now() - begun);
    outcomes.push_back(answer.head.status() == 200 ? answer.body : std::to_string(answer.head.status()));
  }
};

Task<void> eventually(Loop& loop, Duration limit, const std::function<bool()>& so) {
  const Instant until = loop.now() + limit;
  while (!so() && loop.now() < until) (void)co_await loop.sleep(1ms);
  CHECK(so());
}
bool simulated(Loop& loop) { return dynamic_cast<net::MemoryLoop*>(&loop) != nullptr; }

// As the bench does it: clients that ask again and again, while one of the replicas is stopped for a while.
Task<void> stopped_process(Loop& loop) {
  Engine a(loop, "a"), b(loop, "b");
  Fleet fleet(loop, with_health());
  fleet.add(0, a);
  fleet.add(1, b);
  std::size_t sent = 0;
  for (; sent < 50 || (a.requests <= 5 && sent < 5000); ++sent) {
    fleet.send("GET", "/");
    (void)co_await loop.sleep(1ms);
  }
  CHECK(a.requests > 5);
  a.stopped = true;
  // At least two seconds of clients; on a slow machine as long as its own slowness makes the gateway patient.
  const Instant limit = loop.now() + 20s;
  for (int i = 0; i < 100 || (fleet.hangs(0) == 0 && loop.now() < limit); ++i, ++sent) {
    fleet.send("GET", "/");
    (void)co_await loop.sleep(20ms);
  }
  co_await fleet.requests.join();
  CHECK(fleet.outcomes.size() == sent);
  for (const std::string& outcome : fleet.outcomes) CHECK((outcome == "a" || outcome == "b"));
  CHECK(fleet.worst < (simulated(loop) ? 1s : 25s));
  CHECK(fleet.hangs(0) == 1);
  CHECK(fleet.hangs(1) == 0);
  CHECK(fleet.verdict(0).health == Health::kDown);
  CHECK(fleet.verdict(0).hung == 1);
  CHECK(std::string(fleet.verdict(0).reason).starts_with("hung: "));
  CHECK(fleet.events(EventKind::kHung) == 1);
  CHECK(fleet.verdict(1).health == Health::kUp);

  const int before = b.requests;
  a.go_on();
  co_await eventually(loop, 20s, [&] { return fleet.verdict(0).health == Health::kUp; });
  CHECK(fleet.verdict(0).hung == 0);
  a.requests = 0;
  for (int i = 0; i < 50; ++i) fleet.send("GET", "/");
  co_await fleet.requests.join();
  CHECK(a.requests > 5);
  CHECK(b.requests > before);
  co_await fleet.end();
  co_await a.server.drain(0s);
  co_await b.server.drain(0s);
}
TEST_CASE("liveness: a stopped process costs its requests a second, and nobody else anything") {
  over_both(stopped_process);
}

Task<void> unsafe_stays(Loop& loop) {
  Engine a(loop, "a"), b(loop, "b");
  Fleet fleet(loop, with_health());
  fleet.add(0, a);
  fleet.add(1, b);
  fleet.world.table->observed[1].in_flight[0] = 20;  // so that a is chosen
  a.stopped = true;
  fleet.send("POST", "/unsafe");
  fleet.send("GET", "/safe");
  co_await eventually(loop, 2s, [&] { return fleet.outcomes == std::vector<std::string>{"b"}; });
  CHECK(fleet.hangs(0) == 1);
  (void)co_await loop.sleep(5s);
  CHECK(fleet.outcomes.size() == 1);  // it may have been executed: nobody does it twice
  a.go_on();
  co_await fleet.requests.join();
  CHECK(fleet.outcomes == std::vector<std::string>{"b", "a"});
  fleet.world.table->observed[1].in_flight[0] = 0;
  co_await fleet.end();
  co_await a.server.drain(0s);
  co_await b.server.drain(0s);
}
TEST_CASE("liveness: of a replica that hangs, only what may be sent twice is taken away") { over_memory(unsafe_stays); }

Task<void> slow_but_alive(Loop& loop) {
  Engine a(loop, "a"), b(loop, "b");
  a.work = b.work = 30s;
  Fleet fleet(loop, with_health());
  fleet.add(0, a);
  fleet.add(1, b);
  fleet.send("GET", "/slow");
  fleet.send("GET", "/slow");
  co_await fleet.end();
  CHECK(fleet.worst == 30s);
  CHECK(a.requests + b.requests == 2);
  CHECK(fleet.hangs(0) + fleet.hangs(1) == 0);
  co_await a.server.drain(0s);
  co_await b.server.drain(0s);
}
TEST_CASE("liveness: slow but alive is left alone") { over_memory(slow_but_alive); }

Task<void> all_stand_still(Loop& loop) {
  Engine a(loop, "a"), b(loop, "b");
  Fleet fleet(loop, with_health());
  fleet.add(0, a);
  fleet.add(1, b);
  a.stopped = b.stopped = true;
  for (int i = 0; i < 10; ++i) fleet.send("GET", "/");
  (void)co_await loop.sleep(3s);
  a.go_on();
  b.go_on();
  co_await fleet.requests.join();
  CHECK(a.requests + b.requests == 10);  // none was sent twice
  CHECK(fleet.hangs(0) + fleet.hangs(1) == 0);
  co_await fleet.end();
  co_await a.server.drain(0s);
  co_await b.server.drain(0s);
}
TEST_CASE("liveness: where all of them stand still, nothing is sent round") { over_memory(all_stand_still); }

Task<void> stuck_inference(Loop& loop) {
  Engine a(loop, "a"), b(loop, "b");
  Fleet fleet(loop, with_canary());
  fleet.add(0, a);
  fleet.add(1, b);
  fleet.world.table->observed[1].in_flight[0] = 20;
  a.stuck = true;
  const Instant begun = loop.now();
  fleet.send("GET", "/safe");
  fleet.send("POST", "/unsafe");
  co_await eventually(loop, 60s, [&] { return fleet.verdict(0).health == Health::kDown; });
  CHECK(loop.now() - begun > 30s);
  CHECK(loop.now() - begun <= 46s);  // the stall's threshold and 15 s; it looks four times a second
  CHECK(std::string(fleet.verdict(0).reason).starts_with("canary: "));
  CHECK(fleet.events(EventKind::kCanaryFailed) == 1);
  CHECK(fleet.hangs(0) == 0);  // its health was fine all the time
  co_await eventually(loop, 1s, [&] { return fleet.outcomes == std::vector<std::string>{"b"}; });
  (void)co_await loop.sleep(10s);
  CHECK(fleet.verdict(0).health == Health::kDown);  // passing its health check does not bring it back
  a.go_on();
  co_await eventually(loop, 15s, [&] { return fleet.verdict(0).health == Health::kUp; });
  CHECK(fleet.events(EventKind::kCanaryPassed) == 1);
  co_await fleet.requests.join();
  CHECK(fleet.outcomes == std::vector<std::string>{"b", "a"});
  fleet.world.table->observed[1].in_flight[0] = 0;
  co_await fleet.end();
  co_await a.server.drain(0s);
  co_await b.server.drain(0s);
}
TEST_CASE("liveness: an engine that hangs behind a health path that answers is found by its canary") {
  over_memory(stuck_inference);
}

Task<void> stopped_without_health_path(Loop& loop) {
  Engine a(loop, "a"), b(loop, "b");
  Fleet fleet(loop, with_canary(false));
  fleet.add(0, a);
  fleet.add(1, b);
  fleet.world.table->observed[1].in_flight[0] = 20;
  a.stopped = true;
  fleet.send("GET", "/safe");
  (void)co_await loop.sleep(20s);
  CHECK(fleet.verdict(0).health == Health::kUp);  // it accepts connections: the kernel does
  co_await eventually(loop, 26s, [&] { return fleet.verdict(0).health == Health::kDown; });
  fleet.world.table->observed[1].in_flight[0] = 0;
  a.go_on();
  co_await fleet.end();
  co_await a.server.drain(0s);
  co_await b.server.drain(0s);
}
TEST_CASE("liveness: without a health path, a stopped process is found by its canary") {
  over_memory(stopped_without_health_path);
}

Task<void> long_prefill(Loop& loop) {
  Engine a(loop, "a");
  a.work = 5min;
  Fleet fleet(loop, with_canary());
  fleet.add(0, a);
  fleet.send("POST", "/slow");
  co_await fleet.requests.join();
  CHECK(fleet.outcomes == std::vector<std::string>{"a"});
  CHECK(a.canaries >= 5);  // it was asked, and left alone
  CHECK(a.canaries <= 10);
  CHECK(fleet.verdict(0).health == Health::kUp);
  CHECK(fleet.events(EventKind::kCanaryFailed) == 0);
  co_await fleet.end();
  co_await a.server.drain(0s);
}
TEST_CASE("liveness: an engine that is busy with five minutes of prefill is left alone") { over_memory(long_prefill); }

Task<void> wrong_before_ready(Loop& loop) {
  Engine a(loop, "a");
  a.label = "klingon";
  Settings settings = with_canary();
  settings.canary->before_ready = true;
  Fleet fleet(loop, settings);
  fleet.add(0, a, Health::kUnknown);
  (void)co_await loop.sleep(60s);
  CHECK(fleet.verdict(0).health == Health::kUnknown);
  CHECK(std::string(fleet.verdict(0).reason) == R"(canary: /label is "klingon" instead of "de")");
  CHECK(a.canaries > 10);
  a.label = "de";
  co_await eventually(loop, 3s, [&] { return fleet.verdict(0).health == Health::kUp; });
  const int asked = a.canaries;
  (void)co_await loop.sleep(60s);
  CHECK(a.canaries == asked);
  co_await fleet.end();
  co_await a.server.drain(0s);
}
TEST_CASE("liveness: a server that answers wrongly is not routed in the first place, where that is asked for") {
  over_memory(wrong_before_ready);
}

Task<void> first_byte(Loop& loop) {
  Engine a(loop, "a");
  a.work = 20min;
  {
    Fleet fleet(loop, with_health());
    fleet.add(0, a);
    fleet.send("POST", "/slow");
    co_await fleet.end();
    CHECK(fleet.outcomes == std::vector<std::string>{"504"});
    CHECK(fleet.worst == 600s);
  }
  Fleet fleet(loop, Settings());
  fleet.add(0, a);
  fleet.send("POST", "/slow");
  co_await fleet.end();
  CHECK(fleet.outcomes == std::vector<std::string>{"504"});
  CHECK(fleet.worst == 60s);  // accepting connections proves nothing
  co_await a.server.drain(0s);
}
TEST_CASE("liveness: a first byte is waited for a minute, and ten while the health path answers") {
  over_memory(first_byte);
}

Task<void> two_are_gone(Loop& loop) {
  Engine good(loop, "good");
  World world(loop);
  for (const std::size_t slot : {0UL, 1UL}) {
    auto listener = std::move(loop.listen(Address::loopback(0)).value());
    world.route(slot, listener->address());
  }
  world.route(2, good.at);
  world.table->observed[2].in_flight[0] = 20;  // so that it is the last to be chosen
  for (int i = 0; i < 3; ++i) CHECK((co_await world.call("POST", "/unsafe", "x")).body == "good");
  CHECK(good.requests == 3);
  co_await world.worker.drain(1s);
  co_await good.server.drain(1s);
}
TEST_CASE("liveness: with two of three replicas just killed, a request reaches the third") {
  over_memory(two_are_gone);
}

Task<void> outage(Loop& loop) {
  ScriptedReplica a(loop, {.answer = "", .reset = true}), b(loop, {.answer = "", .reset = true}),
      c(loop, {.answer = "", .reset = true});
  World world(loop);
  world.route(0, a.at);
  world.route(1, b.at);
  world.route(2, c.at);
  constexpr int kRequests = 500;
  for (int i = 0; i < kRequests; ++i) {
    CHECK((co_await world.call("GET", "/")).head.status() == 502);
    (void)co_await loop.sleep(20ms);
  }
  CHECK(a.requests + b.requests + c.requests <= kRequests * 12 / 10 + 3);
  CHECK(a.requests + b.requests + c.requests >= kRequests * 11 / 10);
  co_await world.worker.drain(1s);
  co_await a.stop();
  co_await b.stop();
  co_await c.stop();
}
TEST_CASE("liveness: when all replicas fail, they get a fifth more than the requests, not three times as much") {
  over_memory(outage);
}

Task<void> overload(Loop& loop) {
  Engine a(loop, "a");
  a.work = 1s;
  Settings settings;
  settings.admission = {.in_flight = 2, .queue = 3};
  Fleet fleet(loop, settings);
  fleet.add(0, a);
  (void)co_await loop.sleep(10ms);
  for (int i = 0; i < 10; ++i) fleet.send("POST", "/slow");
  co_await eventually(loop, 100ms, [&] { return fleet.outcomes.size() == 5; });
  CHECK(fleet.outcomes == std::vector<std::string>(5, "503"));
  CHECK(fleet.worst < 10ms);  // at once
  CHECK(plane::total(fleet.world.table->service.waiting) == 3);
  CHECK(fleet.world.counters().rejected_queue_full == 5);
  co_await fleet.end();
  CHECK(a.requests == 5);
  CHECK(std::count(fleet.outcomes.begin(), fleet.outcomes.end(), "a") == 5);
  CHECK(plane::total(fleet.world.table->service.waiting) == 0);
  co_await a.server.drain(0s);
}
TEST_CASE("liveness: beyond what replicas and the queue take, requests are turned away at once") {
  over_memory(overload);
}

Task<void> two_workers(Loop& loop) {
  Engine a(loop, "a");
  a.work = 1s;
  Settings settings;
  settings.admission.in_flight = 1;
  World one(loop, settings);
  one.route(0, a.at);
  Worker other(loop, *one.table, settings, 8);
  auto door = std::move(loop.listen(Address::loopback(0)).value());
  const Address other_at = door->address();
  other.serve(std::move(door));
  struct Ask {
    static Task<void> run(Loop& l, Address to, Instant& answered) {
      const auto answer = co_await http::fetch(l, {.to = to, .target = "/slow", .timeout = 60s});
      CHECK(answer->head.status() == 200);
      answered = l.now();
    }
  };
  TaskGroup group;
  Instant first{}, second{};
  group.start(Ask::run(loop, one.at, first));
  (void)co_await loop.sleep(10ms);
  group.start(Ask::run(loop, other_at, second));
  co_await group.join();
  CHECK(second - first >= 1s);
  CHECK(second - first <= 1010ms);
  co_await one.worker.drain(1s);
  co_await other.drain(1s);
  co_await a.server.drain(0s);
}
TEST_CASE("liveness: a slot that one worker frees is taken by a request that waits at another") {
  over_memory(two_workers);
}

}  // namespace
}  // namespace nines::gateway
