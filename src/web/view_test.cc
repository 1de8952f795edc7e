#include "web/view.h"

#include <doctest/doctest.h>

#include "web/test_support.h"

namespace nines::web {
namespace {

using plane::EventKind;
using plane::Health;
using plane::Wanted;
using testing::wall;
using testing::World;

// Every sentence about what is lacking, in one text.
std::string lacking(const View& view) {
  std::string all;
  for (const std::string& sentence : view.service.lacking) all += (all.empty() ? "" : "; ") + sentence;
  return all;
}

TEST_CASE("view: all is well") {
  World world;
  world.table->observed[1].requests = 12;
  world.table->observed[1].in_flight[0] = 2;
  world.table->observed[1].in_flight[1] = 1;
  const View view = world.view();
  CHECK(view.service.state == ServiceState::kUp);
  CHECK(lacking(view).empty());
  CHECK(view.service.since == wall(95'002s));  // when the last of it came to be there
  CHECK(view.service.taking_requests == 3);
  REQUIRE(view.replicas.size() == 3);
  const ReplicaView& replica = view.replicas[1];
  CHECK(replica.name == "ai-2");
  CHECK(replica.state == "ready");
  CHECK(replica.pid == 1002U);
  CHECK(replica.at == "20002");
  CHECK(replica.requests == 12);
  CHECK(replica.in_flight == 3);
  CHECK(replica.spawned == wall(94'001s));
  CHECK(replica.note.empty());
  REQUIRE(view.parts.size() == 4);
  CHECK(view.parts[0].name == "anchor");
  CHECK(view.parts[3].since == wall(90'003s));
}

TEST_CASE("view: what a replica is, from the supervisor's book and the gateway's verdict") {
  struct Row {
    const char* what;
    void (*happens)(World&);
    const char* state;
    bool takes_requests;
    const char* note;
  };
  const Row rows[] = {
      {"the gateway found it down, and the supervisor has not heard",
       [](World& w) { w.verdict(0, Health::kDown, 99'000s, "GET /health: 500"); }, "unready", false,
       "GET /health: 500"},
      {"it is up again, and the supervisor has not heard", [](World& w) { w.change(0, [](auto& r) { r.state = 3; }); },
       "ready", true, ""},
      {"the verdict is about the process before",
       [](World& w) { w.change(0, [](auto& r) { r.incarnation = 9, r.state = 1; }); }, "starting", false, ""},
      {"draining: up, yet nothing new for it",
       [](World& w) { w.change(0, [](auto& r) { r.wanted = Wanted::kDrain, r.state = 4; }); }, "draining", false, ""},
      {"it crashed, and waits", [](World& w) { w.change(0, [](auto& r) { r.wanted = Wanted::kAbsent, r.state = 0; }); },
       "waiting", false, ""},
      {"a person stopped it",
       [](World& w) { w.change(0, [](auto& r) { r.wanted = Wanted::kAbsent, r.pid = 0, r.state = 6, r.held = 1; }); },
       "stopped", false, "stopped by a person"},
      {"its process is gone and nobody noticed", [](World& w) { w.dead.insert(1001); }, "unknown", false,
       "its process 1001 is gone, and the supervisor has not said so yet"},
      {"the gateway died while it wrote the verdict", [](World& w) { World::tear(w.table->observed[0].verdict); },
       "ready", false, "the gateway's verdict cannot be read"},
      {"ejected", [](World& w) { w.eject(0, World::kNow + 1ns); }, "ready", false, "ejected: connections to it fail"},
      {"its pause is over", [](World& w) { w.eject(0, World::kNow); }, "ready", true, ""},
      {"ejected, but the gateway minds it no more",
       [](World& w) { w.eject(0, World::kNow + 1s), w.table->header.panic = 1; }, "ready", true,
       "ejected: connections to it fail"},
      {"ejected was the process before",
       [](World& w) {
         w.eject(0, World::kNow + 1s);
         w.change(0, [](auto& r) { r.incarnation = 9, r.state = 1; });
       },
       "starting", false, ""},
      {"nothing new for it", [](World& w) { w.change(0, [](auto& r) { r.weight = 0; }); }, "ready", false,
       "its weight is 0"},
      {"a state of a later version", [](World& w) { w.change(0, [](auto& r) { r.state = 200; }); }, "unknown", true,
       ""},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    World world;
    row.happens(world);
    const View view = world.view();
    REQUIRE(view.replicas.size() == 3);
    CHECK(view.replicas[0].state == row.state);
    CHECK(view.replicas[0].takes_requests == row.takes_requests);
    CHECK(view.replicas[0].note == row.note);
  }
}

TEST_CASE("view: a replica is in its state since the supervisor says so, or since the verdict that contradicts it") {
  World world;
  CHECK(world.view().replicas[0].since == wall(95'000s));
  world.verdict(0, Health::kDown, 99'000s);
  CHECK(world.view().replicas[0].since == wall(99'000s));
  world.change(0, [](plane::Route& r) { r.since_ns = (World::kNow.since_boot + 30s).count(); });
  world.verdict(0, Health::kUp, 99'000s);
  CHECK(world.view().replicas[0].since == wall(100'030s));  // written while we were reading
  world.change(0, [](plane::Route& r) { r.since_ns = (World::kNow.since_boot + 2min).count(); });
  CHECK_FALSE(world.view().replicas[0].since);
}

TEST_CASE("view: a torn record is unknown, and its counters still count") {
  World world;
  world.table->observed[1].requests = 12;
  World::tear(world.table->routes[1]);
  World::tear(world.table->keeper);
  const View view = world.view();
  REQUIRE(view.replicas.size() == 3);
  const ReplicaView& replica = view.replicas[1];
  CHECK_FALSE(replica.known);
  CHECK(replica.name == "slot 1");
  CHECK(replica.state == "unknown");
  CHECK_FALSE(replica.pid);
  CHECK_FALSE(replica.since);
  CHECK_FALSE(replica.takes_requests);
  CHECK(replica.requests == 12);
  CHECK(view.parts[3].state == PartState::kUnknown);
  CHECK_FALSE(view.parts[3].pid);
  CHECK_FALSE(view.parts[3].starts);
  CHECK(view.service.state == ServiceState::kDegraded);
  CHECK_FALSE(view.service.since);
  CHECK(lacking(view) ==
        "the record about the keeper cannot be read; 1 of 3 replicas takes no requests: slot 1 (unknown)");
}

TEST_CASE("view: whatever stands in the table, nothing is read beyond it") {
  World world;
  world.change(0, [](plane::Route& route) {
    std::memset(route.name, 'x', sizeof route.name);
    route.since_ns = std::numeric_limits<std::int64_t>::max();
    route.spawned_ns = std::numeric_limits<std::int64_t>::min();
  });
  plane::Verdict verdict{.incarnation = 1, .since_ns = -1, .health = Health::kDown};
  std::memset(verdict.reason, 'y', sizeof verdict.reason);
  world.table->observed[0].verdict.store(verdict);
  world.table->observed[0].in_flight[0] = static_cast<std::uint64_t>(-3);
  plane::Event event{.at_ns = -7, .kind = static_cast<EventKind>(60'000), .replica = 4711};
  std::memset(event.text, 'z', sizeof event.text);
  world.table->log.push(event);
  world.table->header.log_taken = 99;
  const View view = world.view();
  CHECK(view.replicas[0].name == std::string(sizeof plane::Route::name, 'x'));
  CHECK(view.replicas[0].note == std::string(sizeof plane::Verdict::reason, 'y'));
  CHECK_FALSE(view.replicas[0].since);
  CHECK_FALSE(view.replicas[0].spawned);
  CHECK(view.replicas[0].in_flight == 0);
  REQUIRE(view.log.last.size() == 1);
  CHECK_FALSE(view.log.last[0].at);
  CHECK(view.log.last[0].words == "slot 4711 event 60000: " + std::string(sizeof event.text - 1, 'z'));
  CHECK(view.log.waiting == 0);
}

TEST_CASE("view: up, degraded or down, since when, and what to do") {
  struct Row {
    const char* what;
    void (*happens)(World&);
    ServiceState state;
    std::optional<WallTime> since;
    const char* lacking;
  };
  const auto up = ServiceState::kUp, degraded = ServiceState::kDegraded, down = ServiceState::kDown;
  const Row rows[] = {
      {"one replica is out", [](World& w) { w.verdict(0, Health::kDown, 99'000s); }, degraded, wall(99'000s),
       "1 of 3 replicas takes no requests: ai-1 (unready)"},
      {"all were out, and two came back: degraded begins with the second of them",
       [](World& w) {
         w.verdict(0, Health::kDown, 96'000s);
         w.verdict(1, Health::kUp, 98'000s);
         w.verdict(2, Health::kUp, 97'000s);
       },
       degraded, wall(98'000s), "1 of 3 replicas takes no requests: ai-1 (unready)"},
      {"two of three are out and two are needed: down begins with the second of them",
       [](World& w) {
         w.verdict(2, Health::kDown, 96'000s);
         w.verdict(1, Health::kDown, 97'000s);
       },
       down, wall(97'000s), "2 of 3 replicas take no requests: ai-2 (unready), ai-3 (unready)"},
      {"a person stopped one: nothing is lacking",
       [](World& w) {
         w.change(0, [](auto& r) {
           r.wanted = Wanted::kAbsent, r.pid = 0, r.state = 6, r.held = 1, r.since_ns = 98'500'000'000'000;
         });
       },
       up, wall(98'500s), ""},
      {"a person stopped all",
       [](World& w) {
         for (std::size_t i = 0; i < 3; ++i) {
           w.change(i, [](auto& r) { r.wanted = Wanted::kAbsent, r.pid = 0, r.state = 6, r.held = 1; });
           w.verdict(i, Health::kUnknown, 1s);
         }
       },
       down, wall(95'002s), "every replica was stopped by a person: `nines start REPLICA` starts one"},
      {"the anchor is gone",
       [](World& w) {
         w.dead.insert(101);
         w.push(EventKind::kAnchorExited, 99'500s);
       },
       degraded, wall(99'500s), "the anchor is gone: `nines upgrade` puts one back"},
      {"the anchor went, and the supervisor wrote it down",
       [](World& w) { w.table->anchor.store({.pid = 0, .starts = 1, .since_ns = 99'400'000'000'000}); }, degraded,
       wall(99'400s), "the anchor is not running: `nines upgrade` puts one back"},
      {"there never was an anchor", [](World& w) { w.table->anchor.store({}); }, degraded, std::nullopt,
       "the anchor is not running: `nines upgrade` puts one back"},
      {"the supervisor is gone", [](World& w) { w.dead.insert(102); }, degraded, std::nullopt,
       "the supervisor is gone: the anchor starts another"},
      {"anchor and supervisor are gone", [](World& w) { w.dead = {101, 102}; }, degraded, std::nullopt,
       "the anchor is gone: `nines upgrade` puts one back; the supervisor is gone: nobody restarts replicas, and no "
       "anchor is there to start another: `nines up` does"},
      {"the keeper is gone", [](World& w) { w.dead.insert(104); }, degraded, std::nullopt,
       "the keeper is gone: the supervisor starts another"},
      {"the gateway is gone",
       [](World& w) {
         w.dead.insert(103);
         w.table->header.gateway_serving = 0;
         w.push(EventKind::kGatewayExited, 99'990s);
       },
       down, wall(99'990s), "the gateway is gone: the supervisor starts another"},
      {"the gateway is gone, and nobody has taken note", [](World& w) { w.dead.insert(103); }, down, std::nullopt,
       "the gateway is gone: the supervisor starts another"},
      {"the next gateway has not begun",
       [](World& w) {
         w.table->gateway.store(World::part(203, 99'999s));
         w.table->header.gateway_serving = 0;
       },
       down, wall(99'999s), "the gateway does not accept connections: it is starting or leaving"},
      {"one gateway replaces another, which serves on",
       [](World& w) { w.table->gateway.store(World::part(203, 99'999s)); }, up, wall(99'999s), ""},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    World world;
    row.happens(world);
    const View view = world.view();
    CHECK(name_of(view.service.state) == name_of(row.state));
    CHECK(view.service.since == row.since);
    CHECK(lacking(view) == row.lacking);
  }
}

TEST_CASE("view: enough is never more than what is wanted, and never none") {
  World world;
  world.facts.enough = 9;
  CHECK(world.view().service.state == ServiceState::kUp);
  world.facts.enough = 0;
  for (std::size_t i = 0; i < 3; ++i) world.verdict(i, Health::kDown, 99'000s);
  CHECK(world.view().service.state == ServiceState::kDown);

  const auto empty = std::make_unique<plane::Table>();
  const View nothing = view_of(*empty, {}, World::kNow, World::kWall);
  CHECK(nothing.service.state == ServiceState::kDown);
  CHECK_FALSE(nothing.service.since);
  CHECK(nothing.replicas.empty());
}

TEST_CASE("view: the last events, newest first, in words") {
  World world;
  for (int i = 0; i < 30; ++i) world.push(EventKind::kSpawned, 99'000s + i * 1s, 1);
  world.push(EventKind::kUnready, 99'100s, 0, "GET /health: 500");
  world.table->header.log_taken = 29;
  world.table->header.log_lost = 3;
  const LogView log = world.view().log;
  REQUIRE(log.last.size() == kEventsShown);
  CHECK(log.last[0].words == "ai-1 is not ready any more: GET /health: 500");
  CHECK(log.last[0].mood == plane::Mood::kWarning);
  CHECK(log.last[0].at == wall(99'100s));
  CHECK(log.last[1].words == "ai-2 started");
  CHECK(log.last[1].number == 30);
  CHECK(log.written == 31);
  CHECK(log.waiting == 2);
  CHECK(log.lost == 3);
}

TEST_CASE("view: where a replica is reached") {
  World world;
  world.change(0, [](plane::Route& route) { route.ipv6 = 1; });
  world.change(1, [](plane::Route& route) {
    route.port = 0;
    plane::set_field(route.socket, "/run/nines-x/2-17.sock");
  });
  world.change(2, [](plane::Route& route) {
    route.pid = 0;
    plane::set_field(route.host, "fd00::5");
  });
  View view = world.view();
  CHECK(view.replicas[0].at == "20001");
  CHECK(view.replicas[1].at == "2-17.sock");
  CHECK(view.replicas[2].at == "[fd00::5]:20003");
  world.change(2, [](plane::Route& route) { plane::set_field(route.host, "10.0.0.5"); });
  CHECK(world.view().replicas[2].at == "10.0.0.5:20003");
}

TEST_CASE("view: a server elsewhere is judged by the gateway's verdict alone") {
  World world;
  world.change(0, [](plane::Route& route) {
    route.pid = 0;
    plane::set_field(route.host, "10.0.0.5");
  });
  View view = world.view();
  CHECK(view.replicas[0].state == "ready");
  CHECK(view.replicas[0].takes_requests);
  CHECK_FALSE(view.replicas[0].pid);
  CHECK(view.service.state == ServiceState::kUp);
  world.verdict(0, plane::Health::kDown, 96'000s, "no answer");
  view = world.view();
  CHECK(view.replicas[0].state == "unready");
  CHECK(view.replicas[0].note == "no answer");
  CHECK(view.service.state == ServiceState::kDegraded);
}

TEST_CASE("view: a gateway alone misses nobody who does not belong to it") {
  World world;
  world.facts.alone = true;
  for (auto* part : {&world.table->anchor, &world.table->supervisor, &world.table->keeper}) part->store({});
  View view = world.view();
  REQUIRE(view.parts.size() == 1);
  CHECK(view.parts[0].name == "gateway");
  CHECK(view.service.state == ServiceState::kUp);
  CHECK(view.service.since);
  world.dead.insert(103);
  CHECK(world.view().service.lacking.front() == "the gateway is gone: start it again");
}

}  // namespace
}  // namespace nines::web
