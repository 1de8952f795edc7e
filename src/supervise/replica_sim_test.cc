// Goal: whatever a process, the machine and a person do, there is never a second process beside the first,
// never a route to a dead one, no storm of restarts, no stop that does not end, and never a replica that is
// forgotten, however often the supervisor is killed. Method: play a seeded world for a simulated day and check
// everything at every step; then heal the world and demand that the replica becomes ready. A failure prints the seed
// that replays it.
#include <deque>
#include <map>

#include <doctest/doctest.h>

#include "base/random.h"
#include "supervise/replica.h"

namespace nines::supervise {
namespace {

constexpr Duration kDay = 24h;
constexpr std::uint64_t kDays = 10'000;
constexpr Duration kDeathTakes = 50ms;  // from SIGKILL to the exit

struct World {
  enum class What : std::uint8_t { kListens, kHealthy, kSick, kExits, kClashes, kDrained };

  Random random;
  ReplicaLimits limits;
  Instant now{};
  Replica replica;
  bool faulty = true;
  std::uint32_t favourite;  // the fault this seed meets most

  // The process, if there is one.
  bool alive = false;
  bool obeys_terminate = true;
  bool listening = false;
  std::multimap<Instant, What> future;
  Instant next_wish{};
  Instant next_death{};  // of the supervisor
  Instant spawned{}, since{};
  State last_state = State::kWaiting;
  std::uint64_t spawns_before = 0;  // of the supervisors before the present one

  // What the checks remember.
  bool person_wants = true;
  bool told_to_go = false;          // the present process was
  std::optional<Instant> end_by;    // a person wants it gone; it must be by then
  std::optional<Instant> spawn_by;  // there must be another process by then
  Instant ready_since = Instant::never();
  bool next_crash_is_first = true;
  bool crash_pending = false;
  std::uint64_t restarts = 0, spawns = 0, deaths = 0;
  std::deque<Instant> recent_spawns, recent_wishes;

  explicit World(std::uint64_t seed) : random(seed), replica(limits, now), favourite(random.below(8)) {
    next_wish = soon(4h);
    next_death = soon(4h);
    spawn_by = now;
  }

  void demand(bool holds, const char* claim) {
    if (holds) return;
    FAIL("broken at ", now.since_boot / 1ms, " ms in state ", std::string(name_of(replica.state())), ": ",
         std::string(claim));
  }

  Instant soon(Duration at_most) {
    return now + Duration{static_cast<Duration::rep>(random.unit() * static_cast<double>(at_most.count()))};
  }

  void plan(Instant at, What what) { future.emplace(at, what); }

  void new_process() {
    demand(!alive, "never two processes at once");
    alive = true;
    listening = told_to_go = false;
    future.clear();
    ++spawns;
    spawned = now;
    if (crash_pending) ++restarts;
    crash_pending = false;
    obeys_terminate = !faulty || random.below(3) != 0;
    if (!faulty) {
      plan(now + 1s, What::kListens);
      plan(now + 2s, What::kHealthy);
      return;
    }
    switch (random.below(16) != 0 ? favourite : random.below(8)) {
      case 0: plan(soon(200ms), What::kExits); break;     // a bad command
      case 1: plan(soon(5s), What::kClashes); break;      // a port that somebody has
      case 2: break;                                      // hangs while loading
      case 3: plan(soon(10s), What::kListens); break;     // listens, answers nothing
      case 4: serves(soon(900s), soon(5s), 1h); break;    // loads for longer than it may, perhaps
      case 5: serves(soon(20s), soon(50s), 2min); break;  // serves a moment
      default: serves(soon(20s), soon(8h), 3h); break;
    }
  }

  // Listens at `ready`, has unhealthy phases, and crashes after `crash`, if ever.
  void serves(Instant ready, Instant crash, Duration phase) {
    plan(ready, What::kListens);
    Instant at = ready + 10ms;
    for (int i = 0; i < 6; ++i) {
      plan(at, i % 2 == 0 ? What::kHealthy : What::kSick);
      at = at + (soon(phase) - now);
    }
    if (random.below(4) != 0) plan(std::max(ready, crash) + 10s, What::kExits);
  }

  void obey(Order order) {
    demand(order != Order::kDrain || (alive && listening), "only what may be routed is drained");
    demand(order == Order::kSpawn || alive, "nothing but a spawn without a process");
    if (order == Order::kSpawn) answer_spawn();
    if (order == Order::kDrain && random.below(4) != 0) plan(soon(40s), What::kDrained);
    if (order == Order::kTerminate && obeys_terminate) plan(soon(12s), What::kExits);
    if (order == Order::kKill) plan(soon(kDeathTakes), What::kExits);
    if (order == Order::kTerminate || order == Order::kKill) told_to_go = true;
  }

  void answer_spawn() {
    if (faulty && random.below(20) == 0) {
      replica.on_spawn_failed(now, random.unit());
      spawn_by = now + limits.backoff_max;
      next_crash_is_first = false;
      return;
    }
    demand(spawn_by && now <= *spawn_by, "spawned in time");
    demand(person_wants, "nothing is spawned against a person's wish");
    new_process();
    recent_spawns.push_back(now);
    spawn_by.reset();
    replica.on_spawned(now);
  }

  void wish() {
    recent_wishes.push_back(now);
    const auto which = random.below(4);
    next_wish = random.below(3) == 0 ? soon(20s) : soon(which >= 2 ? 10min : 6h);
    if (which == 0) replica.start(now);
    if (which == 1) replica.restart(now);
    if (which >= 2) replica.stop(now);
    person_wants = which < 2;
    if (which >= 1 && alive && !end_by) end_by = now + limits.drain_wait + limits.stop_grace + kDeathTakes;
    if (which >= 2) crash_pending = false;
    if (!alive) {
      spawn_by = person_wants ? std::optional(now) : std::nullopt;
      next_crash_is_first = next_crash_is_first || person_wants;
    }
  }

  // Killed; what happens until the next one is there, that one learns when it looks: the proof of the port from the
  // system, the verdict and what is in flight from the shared table, the exit from the anchor.
  void supervisor_dies() {
    ++deaths;
    const bool known = replica.alive();
    const ReplicaMemory memory{.state = replica.state(),
                               .wanted = replica.wanted(),
                               .ordered = replica.ordered(),
                               .listening = replica.listening(),
                               .crashes_in_row = replica.crashes_in_row(),
                               .restarts = replica.restarts(),
                               .spawned = spawned,
                               .since = since};
    const Instant back = soon(random.below(4) == 0 ? Duration(20s) : Duration(50ms));
    std::vector<What> news;
    std::optional<What> end;
    while (!end && !future.empty() && future.begin()->first <= back) {
      const What what = future.begin()->second;
      future.erase(future.begin());
      if (what == What::kExits || what == What::kClashes) end = what;
      if (what == What::kListens) listening = true;
      news.push_back(what);
    }
    now = back;
    spawns_before = known ? spawns - 1 : spawns;
    replica = Replica(limits, now);
    replica.resume(memory, known, now);
    if (end_by) end_by = now + limits.drain_wait + limits.stop_grace + kDeathTakes;
    if (!known) {
      spawn_by = person_wants ? std::optional(now) : std::nullopt;
      crash_pending = memory.crashes_in_row > 0;  // whether the last of them was a failed spawn, nobody knows
    }
    if (end) {
      happens(*end);
    } else {
      for (const What what : news) happens(what);
    }
    next_wish = std::max(next_wish, now);
    next_death = random.below(3) == 0 ? soon(5s) : soon(8h);
  }

  void happens(What what) {
    switch (what) {
      case What::kListens: listening = true; return replica.on_listening(now);
      case What::kHealthy: return replica.on_healthy(now);
      case What::kSick: return replica.on_unhealthy(now);
      case What::kDrained: return replica.on_drained(now);
      case What::kExits: return exits(ExitCause::kItself);
      case What::kClashes: return exits(ExitCause::kPortInUse);
    }
  }

  void exits(ExitCause cause) {
    alive = false;
    future.clear();
    const bool ordered = end_by.has_value();
    end_by.reset();
    const Ended ended = replica.on_exit(now, random.unit(), cause);
    demand((ended.ending == Ending::kOrdered) == ordered, "ordered is what a person wished, and nothing else");
    spawn_by.reset();
    if (!person_wants) return demand(replica.state() == State::kStopped, "what a person stopped is stopped");
    if (ordered) {
      spawn_by = now;
      next_crash_is_first = true;
      return;
    }
    crash_pending = cause == ExitCause::kItself;
    // Twenty-five milliseconds are the promise; kItself, since clashes have a row of their own.
    spawn_by = now + (crash_pending && next_crash_is_first ? 25ms : limits.backoff_max);
    if (crash_pending) next_crash_is_first = false;
  }

  void check() {
    demand(replica.alive() == alive, "it knows whether there is a process");
    demand(!replica.wants_route() || (alive && listening && !told_to_go && !end_by), "routed only while it serves");
    demand(!end_by || now <= *end_by, "a stop ends, by SIGKILL at last");
    demand(!spawn_by || now <= *spawn_by, "a wanted replica without a process gets one");
    demand(replica.wanted() == person_wants, "the latest wish counts");
    demand(replica.restarts() == restarts, "restarts are crashes that were followed by a process");
    demand(spawns_before + replica.incarnation() == spawns, "an incarnation is a process");
    if (replica.state() != last_state) since = now;
    last_state = replica.state();
    if (replica.state() == State::kReady) {
      ready_since = std::min(ready_since, now);
      if (now - ready_since >= limits.settled_after) next_crash_is_first = true;
    } else {
      ready_since = Instant::never();
    }
    const auto forget = [this](std::deque<Instant>& list) {
      while (!list.empty() && now - list.front() > 1min) list.pop_front();
    };
    forget(recent_spawns), forget(recent_wishes);
    // Two rows (crashes and clashes) of some eight quick steps each; a wish begins them anew.
    demand(recent_spawns.size() <= 25 + 16 * recent_wishes.size(), "no storm of restarts");
  }

  void run_until(Instant end) {
    while (now < end) {
      for (Order order; (order = replica.next(now)) != Order::kNone; check()) obey(order);
      check();
      Instant next = std::min({end, next_wish, next_death});
      if (!future.empty()) next = std::min(next, future.begin()->first);
      if (const auto wake = replica.wake_at()) {
        demand(*wake > now, "an order that is due was given");
        next = std::min(next, *wake);
      }
      // Between two events nothing changes, so readiness that settles on the way is noticed here.
      if (next - ready_since >= limits.settled_after && next > ready_since) next_crash_is_first = true;
      now = std::max(now, next);
      if (now >= next_wish) wish();
      if (now >= next_death) {
        supervisor_dies();
        continue;
      }
      while (!future.empty() && future.begin()->first <= now) {
        const What what = future.begin()->second;
        future.erase(future.begin());
        happens(what);
      }
    }
  }

  void heal() {
    faulty = false;
    next_wish = next_death = Instant::never();
    recent_wishes.push_back(now);
    replica.start(now);
    person_wants = true;
    if (!alive) spawn_by = now;
    std::erase_if(future, [](const auto& e) {
      return e.second == What::kSick || e.second == What::kExits || e.second == What::kClashes;
    });
    // What listens becomes healthy; what hangs while loading is left to the deadline.
    if (alive && listening) plan(now + 1s, What::kHealthy);
  }
};

TEST_CASE("replica: thousands of days") {
  std::uint64_t spawns = 0, restarts = 0, deaths = 0;
  for (std::uint64_t seed = 1; seed <= kDays; ++seed) {
    CAPTURE(seed);
    World world(seed);
    world.run_until(Instant{kDay});
    world.heal();
    world.run_until(Instant{kDay} + world.limits.startup + world.limits.drain_wait + 2 * world.limits.stop_grace +
                    world.limits.backoff_max + 5s);
    world.demand(world.replica.state() == State::kReady, "after the last fault it becomes ready");
    spawns += world.spawns;
    restarts += world.restarts;
    deaths += world.deaths;
  }
  // The days were eventful, or the checks above have checked nothing.
  CHECK(spawns > kDays * 50);
  CHECK(restarts > kDays * 20);
  CHECK(deaths > kDays * 3);
}

}  // namespace
}  // namespace nines::supervise
