// Which replica a worker picks, and how the failures of all workers become ejections, in simulated time.
#include "gateway/upstreams.h"

#include <algorithm>
#include <string>

#include <doctest/doctest.h>

#include "gateway/ejections.h"
#include "gateway/test_support.h"

namespace nines::gateway {
namespace {

using namespace testing;
using net::testing::over_memory;
using plane::EventKind;
using plane::Health;
using plane::Wanted;
using What = Pick::What;

// Two workers' views of one table, and the ejections of their gateway. Nobody is there to be connected to: attempts say
// what became of them.
struct Stage {
  explicit Stage(Loop& l, Settings s = Settings())
      : loop(l),
        settings(std::move(s)),
        one(loop, *table, settings, 1),
        two(loop, *table, settings, 2),
        ejections(loop, *table, settings, [this] { refresh(); }) {
    for (Upstreams* upstreams : {&one, &two}) upstreams->on_suspicion([this] { ejections.judge(); });
  }
  Task<void> stop() {
    co_await ejections.stop();
    co_await one.drain();
    co_await two.drain();
  }

  void refresh() {
    one.refresh();
    two.refresh();
  }
  template <class Change>
  void route(std::size_t slot, Change change) {
    plane::Route route{
        .incarnation = table->header.next_incarnation++, .pid = 1, .port = 20'000, .wanted = Wanted::kServe};
    plane::set_field(route.name, "replica-" + std::to_string(slot + 1));
    change(route);
    table->observed[slot].verdict.store({.incarnation = route.incarnation, .health = Health::kUp});
    table->routes[slot].store(route);
    ++table->header.routes_version;
    ejections.refresh();
    refresh();
  }
  void route(std::size_t slot) {
    route(slot, [](plane::Route&) {});
  }
  void health(std::size_t slot, Health health, std::uint8_t hung = 0) {
    plane::Verdict verdict = *table->observed[slot].verdict.load();
    verdict.health = health;
    verdict.hung = hung;
    table->observed[slot].verdict.store(verdict);
    ejections.refresh();
    refresh();
  }
  void in_flight(std::size_t slot, std::uint64_t count) { table->observed[slot].in_flight[0] = count; }

  // Where 200 requests would go: "1 3" for the first and the third, or why nowhere.
  std::string picks(std::vector<std::uint64_t> tried = {}) {
    std::array<int, 8> taken{};
    for (int i = 0; i < 200; ++i) {
      const Pick pick = one.pick(tried);
      if (pick.what == What::kFull) return "full";
      if (pick.what == What::kTriedAll) return "tried";
      if (pick.what == What::kNobody) return "nobody";
      ++taken[pick.slot];
    }
    std::string all;
    for (std::size_t slot = 0; slot < taken.size(); ++slot) {
      if (taken[slot] > 0) all += (all.empty() ? "" : " ") + std::to_string(slot + 1);
    }
    return all;
  }

  // All others answer well meanwhile.
  void others_are_well(std::size_t slot) {
    for (std::size_t i = 0; i < 8; ++i) {
      if (i != slot) table->observed[i].well_ns = loop.now().since_boot.count();
    }
  }
  // One request with one attempt, on a replica, by one of the workers.
  void fails(std::size_t slot, Failure failure, Upstreams& worker) {
    Blame blame;
    {
      Attempt attempt(worker, slot, nullptr, &blame);
      attempt.failed(failure);
    }
    worker.report(blame);
  }
  void fails(std::size_t slot, Failure failure, int times) {
    others_are_well(slot);
    for (int i = 0; i < times; ++i) fails(slot, failure, i % 2 == 0 ? one : two);
  }
  void answers(std::size_t slot, int status, bool retry_after = false, int times = 1) {
    for (int i = 0; i < times; ++i) {
      Blame blame;
      {
        Attempt attempt(two, slot, nullptr, &blame);
        attempt.answered(status, retry_after, 5ms);
      }
      two.report(blame);
    }
  }
  plane::Verdict verdict(std::size_t slot) const { return *table->observed[slot].verdict.load(); }
  // "ejected 1, panic_began" since the last time.
  std::string events() {
    const auto read = table->gateway_events.read(next_event);
    next_event = read.next;
    std::string all;
    for (const plane::Event& event : read.events) {
      all += (all.empty() ? "" : ", ") + std::string(plane::name_of(event.kind));
      if (event.replica != plane::kNoReplica) all += " " + std::to_string(event.replica + 1);
    }
    return all;
  }

  Loop& loop;
  Settings settings;
  plane::Plane table = std::move(plane::Plane::create().value());
  Upstreams one, two;
  Ejections ejections;
  std::uint64_t next_event = 1;
};

Task<void> picks_by_state(Loop& loop) {
  Stage stage(loop);
  CHECK(stage.picks() == "nobody");
  for (std::size_t slot = 0; slot < 3; ++slot) stage.route(slot);
  CHECK(stage.picks() == "1 2 3");
  const std::uint64_t first = stage.table->routes[0].load()->incarnation;
  CHECK(stage.picks({first}) == "2 3");
  CHECK(stage.picks({first, first + 1, first + 2}) == "tried");
  stage.health(1, Health::kDown);
  CHECK(stage.picks() == "1 3");
  stage.route(2, [](plane::Route& r) { r.weight = 0; });
  CHECK(stage.picks() == "1");
  // Not told, but the routes' version says that something changed.
  plane::Route route = *stage.table->routes[0].load();
  route.wanted = Wanted::kDrain;
  stage.table->routes[0].store(route);
  ++stage.table->header.routes_version;
  CHECK(stage.picks() == "2");  // down: better than nobody
  co_await stage.stop();
}
TEST_CASE("upstreams: requests go to those that are up, wanted, and of some weight") { over_memory(picks_by_state); }

Task<void> full(Loop& loop) {
  Stage stage(loop);
  stage.route(0);
  stage.route(1);
  stage.in_flight(0, 32);
  CHECK(stage.picks() == "2");
  stage.in_flight(1, 32);
  CHECK(stage.picks() == "full");
  stage.in_flight(1, 31);
  CHECK(stage.picks() == "2");
  CHECK(stage.picks({stage.table->routes[1].load()->incarnation}) == "tried");
  // What a gateway left that was killed between two writes is not a replica that is full for ever.
  stage.in_flight(0, static_cast<std::uint64_t>(-1));
  CHECK(stage.picks() == "1");
  {
    const Attempt attempt(stage.one, 1, nullptr);
    CHECK(plane::total(stage.table->observed[1].in_flight) == 32);
    stage.in_flight(0, 32);
    CHECK(stage.picks() == "full");
  }
  CHECK(stage.picks() == "2");
  co_await stage.stop();
}
TEST_CASE("upstreams: one that has as much as it may is passed over; all full is told from nobody") {
  over_memory(full);
}

Task<void> tiers(Loop& loop) {
  Stage stage(loop);
  for (std::size_t slot = 0; slot < 4; ++slot) {
    stage.route(slot, [&](plane::Route& r) { r.tier = slot < 2 ? 3 : 1; });
  }
  CHECK(stage.picks() == "3 4");
  stage.in_flight(2, 32);
  CHECK(stage.picks() == "4");
  stage.health(3, Health::kDown);
  CHECK(stage.picks() == "1 2");  // the lower tier has nobody with room
  stage.in_flight(2, 0);
  CHECK(stage.picks() == "3");
  CHECK(stage.picks({stage.table->routes[2].load()->incarnation}) == "1 2");
  co_await stage.stop();
}
TEST_CASE("upstreams: a higher tier gets requests only while no lower one can take them") { over_memory(tiers); }

Task<void> last_resort(Loop& loop) {
  Stage stage(loop);
  for (std::size_t slot = 0; slot < 3; ++slot) {
    stage.route(slot);
    stage.health(slot, slot == 0 ? Health::kUnknown : Health::kDown);
  }
  CHECK(stage.picks() == "2 3");
  stage.health(2, Health::kDown, 1);
  CHECK(stage.picks() == "2");  // not one that hangs, nor one that was never ready
  const std::uint64_t second = stage.table->routes[1].load()->incarnation;
  CHECK(stage.picks({second}) == "nobody");  // it failed this request, and waiting for it is waiting for nobody
  stage.health(0, Health::kUp);
  CHECK(stage.picks() == "1");
  co_await stage.stop();
}
TEST_CASE("upstreams: with nobody up, one that was ready in this incarnation is better than nobody") {
  over_memory(last_resort);
}

Task<void> by_hash(Loop& loop) {
  Stage stage(loop);
  for (std::size_t slot = 0; slot < 4; ++slot) stage.route(slot);
  const Pick home = stage.one.pick({}, 42);
  for (int i = 0; i < 50; ++i) CHECK(stage.two.pick({}, 42).slot == home.slot);  // whichever worker
  stage.in_flight(home.slot, 32);
  CHECK(stage.one.pick({}, 42).what == What::kSlot);
  CHECK(stage.one.pick({}, 42).slot != home.slot);
  stage.in_flight(home.slot, 0);
  // A restart keeps the slot, and so the key.
  stage.route(home.slot);
  CHECK(stage.one.pick({}, 42).slot == home.slot);
  co_await stage.stop();
}
TEST_CASE("upstreams: a key stays with its replica, over workers and restarts, as long as that has room") {
  over_memory(by_hash);
}

Task<void> warming_up(Loop& loop) {
  Stage stage(loop);
  stage.route(0);
  stage.route(1);
  (void)co_await loop.sleep(1h);
  const auto share = [&stage] {
    int second = 0;
    for (int i = 0; i < 2000; ++i) second += stage.one.pick({}).slot == 1 ? 1 : 0;
    return second;
  };
  CHECK(std::abs(share() - 1000) < 120);
  plane::Verdict verdict = stage.verdict(1);
  verdict.since_ns = loop.now().since_boot.count();
  stage.table->observed[1].verdict.store(verdict);
  stage.refresh();
  CHECK(std::abs(share() - 182) < 60);  // 10 of 110
  (void)co_await loop.sleep(5s);
  CHECK(std::abs(share() - 710) < 110);  // 55 of 155
  (void)co_await loop.sleep(5s);
  CHECK(std::abs(share() - 1000) < 120);
  stage.health(0, Health::kDown);
  verdict.since_ns = loop.now().since_boot.count();
  stage.table->observed[1].verdict.store(verdict);
  stage.refresh();
  CHECK(share() == 2000);
  co_await stage.stop();
}
TEST_CASE("upstreams: a replica that has just become ready warms up, unless it is alone") { over_memory(warming_up); }

Task<void> ejects(Loop& loop) {
  Stage stage(loop);
  for (std::size_t slot = 0; slot < 4; ++slot) stage.route(slot);
  stage.fails(0, Failure::kConnect, 2);
  CHECK(stage.picks() == "1 2 3 4");
  stage.fails(0, Failure::kConnect, 1);  // of two workers together
  CHECK(stage.picks() == "2 3 4");
  CHECK(stage.events() == "ejected 1");
  CHECK(stage.table->observed[0].ejections == 1);
  CHECK(stage.table->observed[0].connect_failures == 3);
  CHECK(stage.table->observed[0].errors == 3);
  CHECK(stage.verdict(0).cause == plane::EjectionCause::kConnect);
  CHECK(stage.verdict(0).ejected_until_ns == (loop.now() + 10s).since_boot.count());
  stage.fails(0, Failure::kBroken, 20);  // what was still in flight
  (void)co_await loop.sleep(9999ms);
  CHECK(stage.picks() == "2 3 4");
  (void)co_await loop.sleep(2ms);
  CHECK(stage.picks().starts_with("1"));
  CHECK(stage.events() == "unejected 1");
  stage.fails(0, Failure::kTimeout, 4);  // what failed before is not counted against it
  CHECK(stage.events() == "");
  stage.fails(0, Failure::kBroken, 1);
  CHECK(stage.verdict(0).ejections == 2);
  CHECK(stage.verdict(0).ejected_until_ns == (loop.now() + 20s).since_boot.count());
  // A new process has done nothing yet.
  stage.route(0);
  CHECK(stage.picks() == "1 2 3 4");
  (void)co_await loop.sleep(30s);
  CHECK(stage.events() == "ejected 1");
  co_await stage.stop();
}
TEST_CASE("ejections: three connect failures or five errors in a row, of all workers, for a while") {
  over_memory(ejects);
}

Task<void> poison(Loop& loop) {
  Stage stage(loop);
  for (std::size_t slot = 0; slot < 3; ++slot) stage.route(slot);
  for (std::size_t slot = 0; slot < 3; ++slot) {
    stage.answers(slot, 500, false, 100);  // malformed JSON, say
    stage.answers(slot, 429, true, 100);
    stage.answers(slot, 503, true, 100);
  }
  // A request that breaks whoever gets it.
  for (int i = 0; i < 100; ++i) {
    Blame blame;
    for (std::size_t slot = 0; slot < 2; ++slot) {
      Attempt attempt(stage.one, slot, nullptr, &blame);
      attempt.failed(Failure::kBroken);
    }
    stage.one.report(blame);
  }
  CHECK(stage.events() == "");
  CHECK(stage.table->observed[0].gateway_errors == 100);
  CHECK(stage.picks() == "1 2 3");
  // All fail, and no request is sent twice: there is no telling whose fault that is.
  (void)co_await loop.sleep(1s);
  for (int i = 0; i < 40; ++i) {
    for (std::size_t slot = 0; slot < 3; ++slot) stage.fails(slot, Failure::kBroken, stage.one);
  }
  CHECK(stage.events() == "");
  // Then others recover, and one does not.
  stage.answers(0, 200);
  stage.answers(1, 503, false, 5);
  CHECK(stage.events() == "ejected 2");
  co_await stage.stop();
}
TEST_CASE("ejections: 500, 429 and 503 with Retry-After eject nobody, nor does a request that breaks everybody") {
  over_memory(poison);
}

Task<void> rows(Loop& loop) {
  Stage stage(loop);
  stage.route(0);
  stage.route(1);
  stage.fails(0, Failure::kBroken, 4);
  stage.answers(0, 500);  // says nothing
  CHECK(stage.table->observed[0].gateway_errors_in_row == 4);
  stage.answers(0, 404);  // it works
  CHECK(stage.table->observed[0].gateway_errors_in_row == 0);
  stage.fails(0, Failure::kBroken, 4);
  {  // 200, and then the answer breaks off: an answer that begins proves nothing
    Blame blame;
    {
      Attempt attempt(stage.one, 0, nullptr, &blame);
      attempt.answered(200, false, 5ms);
      attempt.failed(Failure::kBroken);
    }
    stage.one.report(blame);
  }
  CHECK(stage.events() == "ejected 1");
  CHECK(stage.table->observed[0].requests == 11);
  CHECK(stage.table->observed[0].errors == 10);
  stage.fails(1, Failure::kNotItsFault, 50);
  stage.fails(1, Failure::kConnect, 50);  // the last one is never ejected
  CHECK(stage.picks() == "2");
  CHECK(stage.events() == "");
  co_await stage.stop();
}
TEST_CASE("ejections: an answer ends the row if it proves that the replica works; one that breaks off does not") {
  over_memory(rows);
}

Task<void> pardoned(Loop& loop) {
  Stage stage(loop);
  for (std::size_t slot = 0; slot < 2; ++slot) stage.route(slot);
  const std::uint64_t incarnation = stage.table->routes[0].load()->incarnation;
  stage.fails(0, Failure::kBroken, 5);
  stage.ejections.on_proof(0, incarnation, Proof::kConnects);
  stage.ejections.on_proof(0, incarnation + 7, Proof::kWorks);  // of another process
  CHECK(stage.picks() == "2");
  stage.ejections.on_proof(0, incarnation, Proof::kHealthy);
  CHECK(stage.picks().starts_with("1"));
  CHECK(stage.events() == "ejected 1, unejected 1");
  stage.fails(0, Failure::kBroken, 5);
  stage.ejections.on_proof(0, incarnation, Proof::kHealthy);  // it was wrong about this
  CHECK(stage.picks() == "2");
  (void)co_await loop.sleep(15s);
  stage.ejections.on_proof(0, incarnation, Proof::kWorks);
  CHECK(stage.picks().starts_with("1"));
  CHECK(stage.events() == "ejected 1, unejected 1");
  (void)co_await loop.sleep(1h);
  CHECK(stage.events() == "");  // nothing is announced twice
  co_await stage.stop();
}
TEST_CASE("ejections: an active check that contradicts one ends it") { over_memory(pardoned); }

Task<void> panic(Loop& loop) {
  Stage stage(loop);
  for (std::size_t slot = 0; slot < 4; ++slot) stage.route(slot);
  stage.fails(0, Failure::kBroken, 5);
  stage.fails(1, Failure::kBroken, 5);
  stage.fails(2, Failure::kBroken, 50);  // half of them are out: that is enough
  CHECK(stage.picks() == "3 4");
  CHECK(stage.events() == "ejected 1, ejected 2");
  CHECK(stage.table->header.panic == 0);
  stage.health(2, Health::kDown);
  CHECK(stage.events() == "panic_began");
  CHECK(stage.table->header.panic == 1);
  CHECK(stage.picks() == "1 2 4");
  stage.health(2, Health::kUp);
  CHECK(stage.events() == "panic_ended");
  CHECK(stage.picks() == "3 4");
  stage.health(3, Health::kDown);
  CHECK(stage.events() == "panic_began");
  (void)co_await loop.sleep(11s);  // there is nothing left to ignore
  CHECK(stage.events() == "unejected 1, panic_ended, unejected 2");
  // All of those that could be picked are gone before anybody weighs that: whoever is alive is better than nobody.
  stage.health(3, Health::kUp);
  stage.fails(0, Failure::kBroken, 5);
  for (const std::size_t slot : {1U, 2U, 3U}) {
    plane::Route route = *stage.table->routes[slot].load();
    route.wanted = Wanted::kAbsent;
    stage.table->routes[slot].store(route);
  }
  ++stage.table->header.routes_version;
  CHECK(stage.picks() == "1");
  co_await stage.stop();
}
TEST_CASE("ejections: when too few are healthy they are ignored, and somebody always serves") { over_memory(panic); }

Task<void> handed_over(Loop& loop) {
  Settings settings;
  settings.epoch = 1;
  Stage stage(loop, settings);
  for (std::size_t slot = 0; slot < 2; ++slot) stage.route(slot);
  stage.fails(0, Failure::kConnect, 3);
  CHECK(stage.events() == "ejected 1");
  stage.table->header.gateway_epoch = 2;
  settings.epoch = 2;
  {
    Upstreams upstreams(loop, *stage.table, settings, 9);
    Ejections ejections(loop, *stage.table, settings, [&] { upstreams.refresh(); });
    ejections.refresh();
    CHECK(upstreams.pick({}).slot == 1);
    stage.fails(1, Failure::kConnect, 30);  // the old one's judge is silent
    (void)co_await loop.sleep(10'001ms);
    CHECK(stage.events() == "unejected 1");  // said once, by the new one
    CHECK(stage.verdict(0).ejections == 1);
    co_await ejections.stop();
    co_await upstreams.drain();
  }
  co_await stage.stop();
}
TEST_CASE("ejections: a gateway that takes over goes on from those in the table, and the one before says no more") {
  over_memory(handed_over);
}

TEST_CASE("upstreams: where a replica is reached") {
  struct Row {
    const char *host, *socket;
    std::uint16_t port;
    std::uint8_t ipv6;
    const char* address;
  };
  const Row rows[] = {
      {"", "", 20'001, 0, "127.0.0.1:20001"},
      {"", "", 20'001, 1, "[::1]:20001"},
      {"10.1.2.3", "", 80, 0, "10.1.2.3:80"},
      {"fd00::7", "", 8080, 0, "[fd00::7]:8080"},
      {"", "/run/x.sock", 0, 0, "unix:/run/x.sock"},
      {"", "", 0, 0, ""},
      {"no address", "", 80, 0, ""},
      {"10.1.2.3", "", 0, 0, ""},
  };
  for (const Row& row : rows) {
    CAPTURE(row.host);
    plane::Route route{.port = row.port, .ipv6 = row.ipv6};
    plane::set_field(route.host, row.host);
    plane::set_field(route.socket, row.socket);
    const net::Address address = address_of(route);
    CHECK(address.is_set() == (row.address[0] != '\0'));
    if (address.is_set()) CHECK(address.text() == row.address);
  }
}

}  // namespace
}  // namespace nines::gateway
