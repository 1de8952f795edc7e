// Goal: whatever the releases, the processes, the machine and a person do in the middle of a deploy, there is never a
// second process in one place, never a route to one that does not serve, enough replicas serve, and once the faults end
// one release serves alone, in all places: the new one if it is good, else the old one. Method: as in
// replica_sim_test.cc, with the replicas' own machines below, and their owner played here.
#include <deque>
#include <map>
#include <vector>

#include <doctest/doctest.h>

#include "base/random.h"
#include "supervise/rollout.h"

namespace nines::supervise {
namespace {

constexpr Duration kTick = 250ms;
constexpr Duration kDay = 24h;

enum class Kind : std::uint8_t { kGood, kCrashesAtStart, kNeverReady, kWrongCanary, kSlow, kErrors, kCrashesLater };
constexpr std::uint32_t kKinds = 7;

struct World {
  enum class What : std::uint8_t { kListens, kHealthy, kSick, kExits, kDrained };

  // One place for a process.
  struct Place {
    bool spare = false;
    Replica replica;
    bool held = false;          // a person's stop, or a spare that is not needed
    ReleaseNumber next = 1;     // what the next process is of
    ReleaseNumber running = 0;  // what the present one is of
    bool alive = false, listening = false, was_ready = false, told_to_go = false;
    int percent = 100;
    Instant spawned{}, since{};
    State last = State::kWaiting;
    std::multimap<Instant, What> future{};
    Evidence seen{};
  };

  Random random;
  const bool calm;  // no faults but the releases' own and the supervisor's death
  ReplicaLimits limits{.startup = 60s, .drain_wait = 10s, .stop_grace = 5s};
  RolloutLimits rollout_limits;
  std::size_t count;
  Instant now{};
  std::vector<Place> places;
  std::map<ReleaseNumber, Kind> releases{{1, Kind::kGood}};
  ReleaseNumber active = 1, newest = 1;
  // On the disk, and in the supervisor's memory.
  std::optional<RolloutMemory> book;
  std::optional<Rollout> rollout;
  bool faulty = true;
  bool given_up = false;    // a person rolled this deploy back
  bool interfered = false;  // a person or chance had a hand in it
  Instant next_deploy{}, next_death{}, next_chaos{}, next_tick{}, traffic_at{};
  std::uint64_t deploys = 0, done = 0, undone = 0, deaths = 0, chaos = 0;

  explicit World(std::uint64_t seed) : random(seed), calm(seed % 2 == 0), count(1 + random.below(4)) {
    rollout_limits.surge = static_cast<int>(random.below(3));
    rollout_limits.bake = Duration(random.below(3) * 5s);
    for (std::size_t i = 0; i < count + static_cast<std::size_t>(rollout_limits.surge); ++i) {
      const bool spare = i >= count;
      places.push_back({.spare = spare, .replica = Replica(limits, now, !spare), .held = spare});
    }
    next_deploy = Instant{5min};
    next_death = soon(2h);
    next_chaos = calm ? Instant::never() : soon(1h);
  }

  void demand(bool holds, const char* claim) {
    if (holds) return;
    std::string all;
    for (const Place& p : places)
      all += std::string(p.spare ? " spare:" : " ") + std::string(name_of(p.replica.state())) + "/" +
             std::to_string(p.running) + (p.held ? "/held" : "");
    if (book)
      all = " " + std::string(name_of(book->stage)) + (book->judged ? " of kind " : " back to kind ") +
            std::to_string(static_cast<int>(kind(book->to))) + all;
    FAIL("broken at ", now.since_boot / 1ms, " ms: ", std::string(claim), ";", all);
  }

  Instant soon(Duration at_most) {
    return now + Duration{static_cast<Duration::rep>(random.unit() * static_cast<double>(at_most.count()))};
  }

  Kind kind(ReleaseNumber release) const { return releases.at(release); }

  std::size_t ready() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(places, [](const Place& p) { return p.replica.state() == State::kReady; }));
  }

  // ---- the system ----

  void spawn(Place& p) {
    demand(!p.alive, "never two processes in one place");
    demand(!p.held, "nothing is started against a wish");
    p.alive = true;
    if (p.running != p.next) p.was_ready = false;
    p.running = p.next;
    p.listening = p.told_to_go = false;
    p.spawned = now;
    p.future.clear();
    p.replica.on_spawned(now);
    const Instant loaded = soon(20s);
    switch (kind(p.running)) {
      case Kind::kCrashesAtStart: p.future.emplace(soon(5s), What::kExits); return;
      case Kind::kNeverReady: p.future.emplace(loaded, What::kListens); return;
      case Kind::kWrongCanary: p.future.emplace(loaded, What::kListens); return;
      case Kind::kCrashesLater: p.future.emplace(loaded + (soon(3s) - now), What::kExits); break;
      case Kind::kGood:
      case Kind::kSlow:
      case Kind::kErrors: break;
    }
    p.future.emplace(loaded, What::kListens);
    p.future.emplace(loaded + 1ms, What::kHealthy);
  }

  void obey(Place& p, Order order) {
    switch (order) {
      case Order::kNone: break;
      case Order::kSpawn: spawn(p); break;
      case Order::kDrain: p.future.emplace(soon(12s), What::kDrained); break;
      case Order::kTerminate:
        p.told_to_go = true;
        if (random.below(5) != 0) p.future.emplace(soon(6s), What::kExits);
        break;
      case Order::kKill:
        p.told_to_go = true;
        p.future.emplace(now + 20ms, What::kExits);
        break;
    }
  }

  void happens(Place& p, What what) {
    switch (what) {
      case What::kListens: p.listening = true; return p.replica.on_listening(now);
      case What::kHealthy:
        if (kind(p.running) != Kind::kNeverReady && kind(p.running) != Kind::kWrongCanary) p.replica.on_healthy(now);
        p.was_ready = p.was_ready || p.replica.state() == State::kReady;
        return;
      case What::kSick: return p.replica.on_unhealthy(now);
      case What::kDrained: return p.replica.on_drained(now);
      case What::kExits:
        p.alive = false;
        p.future.clear();
        p.replica.on_exit(now, random.unit());
        return;
    }
  }

  // A hundred requests a second, shared out among those that serve.
  void traffic() {
    const auto seconds = static_cast<double>((now - traffic_at).count()) / 1e9;
    traffic_at = now;
    double all = 0;
    for (const Place& p : places) all += p.replica.state() == State::kReady ? p.percent : 0;
    if (all == 0) return;
    for (Place& p : places) {
      if (p.replica.state() != State::kReady) continue;
      const double part = 100 * seconds * p.percent / all;
      const auto requests = static_cast<std::uint64_t>(part + random.unit());
      p.seen.requests += requests;
      p.seen.latency[plane::latency_bucket(kind(p.running) == Kind::kSlow ? 50ms : 5ms)] += requests;
      if (kind(p.running) == Kind::kErrors) p.seen.errors += requests;
    }
  }

  // ---- the owner: what the supervisor does ----

  std::vector<Member> members() const {
    std::vector<Member> all;
    for (const Place& p : places) {
      all.push_back({.spare = p.spare,
                     .wanted = !p.held,
                     .release = p.alive ? p.running : p.next,
                     .next = p.next,
                     .state = p.replica.state(),
                     .since = p.since,
                     .crashes = p.replica.crashes_in_row(),
                     .was_ready = p.was_ready,
                     .answers_wrong = p.alive && p.listening && kind(p.running) == Kind::kWrongCanary,
                     .seen = p.seen});
    }
    return all;
  }

  void deploy() {
    next_deploy = soon(faulty ? Duration(4h) : Duration(24h));
    if (rollout) return;
    ++deploys;
    releases[++newest] = random.below(3) == 0 ? Kind::kGood : static_cast<Kind>(random.below(kKinds));
    book = RolloutMemory{.from = active, .to = newest, .judged = random.below(8) != 0};
    given_up = false;
    // What is not well to begin with cannot be compared with.
    interfered = std::ranges::any_of(
        places, [](const Place& p) { return !p.spare && !p.held && p.replica.state() != State::kReady; });
    rollout.emplace(rollout_limits, *book);
  }

  void step_rollout() {
    for (int round = 0; round < 4 && rollout; ++round) {
      const std::size_t before = ready();
      const auto orders = rollout->next(members(), now);
      const bool changed = *book != rollout->memory();
      book = rollout->memory();
      const bool decided = book->stage == Stage::kTidy || book->stage == Stage::kEnded;
      if (decided && !book->undone()) active = book->to;
      if (rollout->ended()) {
        ++(book->undone() ? undone : done);
        judge_outcome();
        rollout.reset();
        book.reset();
      }
      std::size_t taken = 0;
      for (const RolloutOrder& order : orders) taken += perform(order) ? 1 : 0;
      const std::size_t wanted =
          static_cast<std::size_t>(std::ranges::count_if(places, [](const Place& p) { return !p.spare && !p.held; }));
      if (taken > 0)
        demand(before - taken + 1 >= wanted || (rollout_limits.surge == 0 && wanted == 1),
               "what serves is taken only while all but one others serve");
      if (!changed) return;
    }
  }

  // True: it took one that served, and is no spare.
  bool perform(const RolloutOrder& order) {
    Place& p = places[order.member];
    switch (order.what) {
      case RolloutOrder::What::kShare: p.percent = order.percent; return false;
      case RolloutOrder::What::kRetire:
        p.held = true;
        p.replica.stop(now);
        return false;
      case RolloutOrder::What::kRun:
      case RolloutOrder::What::kReplace: break;
    }
    const bool served = !p.spare && p.replica.state() == State::kReady;
    demand(order.release == active || (book && (order.release == book->from || order.release == book->to)),
           "only the two releases of the deploy are started");
    p.next = order.release;
    if (p.spare) p.held = false;
    if (p.held) return false;
    p.replica.restart(now);
    return served;
  }

  void judge_outcome() {
    if (interfered || given_up) return;
    const Kind what = kind(book->to);
    const std::size_t wanted =
        static_cast<std::size_t>(std::ranges::count_if(places, [](const Place& p) { return !p.spare && !p.held; }));
    if (wanted == 0) return demand(book->undone(), "nothing takes over unseen");
    if (what == Kind::kGood) demand(!book->undone(), "a good release takes over");
    // Worse than one that is as bad it is not.
    const bool compared = book->judged && rollout_limits.bake > 0s && kind(book->from) == Kind::kGood;
    // Alone and without a spare, there is no old one left to compare with.
    const bool comparable = wanted > 1 || rollout_limits.surge > 0;
    const bool seen_to_be_bad = what == Kind::kCrashesAtStart || what == Kind::kNeverReady ||
                                what == Kind::kWrongCanary || (compared && what == Kind::kErrors) ||
                                (compared && comparable && what == Kind::kSlow);
    if (seen_to_be_bad) demand(book->undone(), "a bad release does not take over");
  }

  void supervisor_dies() {
    ++deaths;
    next_death = random.below(3) == 0 ? soon(3s) : soon(2h);
    const Instant back = now + 50ms;
    for (Place& p : places) {
      const bool known = p.replica.alive();
      const ReplicaMemory memory{.state = p.replica.state(),
                                 .wanted = !p.held,
                                 .ordered = p.replica.ordered(),
                                 .listening = p.replica.listening(),
                                 .crashes_in_row = p.replica.crashes_in_row(),
                                 .restarts = p.replica.restarts(),
                                 .spawned = p.spawned,
                                 .since = p.since};
      // Of a living process the book has its own release, not the next one's.
      if (known) p.next = p.running;
      p.was_ready = p.replica.state() == State::kReady || p.replica.state() == State::kUnready;
      p.replica = Replica(limits, now);
      p.replica.resume(memory, known, now);
    }
    rollout.reset();
    if (book) rollout.emplace(rollout_limits, *book);
    // Without a deploy everybody is of the one release: what the one before had not written down is mended.
    for (Place& p : places) {
      if (book || p.next == active) continue;
      p.next = active;
      if (p.alive && !p.held) p.replica.restart(now);
    }
    now = back;
    // A drain that ended meanwhile is seen by the next look at the counters.
    for (Place& p : places)
      if (p.replica.state() == State::kDraining) p.future.emplace(soon(12s), What::kDrained);
  }

  void anything() {
    ++chaos;
    interfered = true;
    next_chaos = random.below(3) == 0 ? soon(10s) : soon(1h);
    Place& p = places[random.below(static_cast<std::uint32_t>(places.size()))];
    switch (random.below(6)) {
      case 0:
      case 1:
        if (p.alive) p.future.emplace(now, What::kExits);
        break;
      case 2:
        if (p.alive) p.future.emplace(now, What::kSick), p.future.emplace(soon(30s), What::kHealthy);
        break;
      case 3:
        if (!p.spare) p.held = true, p.replica.stop(now);
        break;
      case 4:
        if (!p.spare) p.held = false, p.replica.restart(now);
        break;
      default:
        if (rollout && rollout->give_up("a person")) {
          given_up = true;
          book = rollout->memory();
        }
    }
  }

  void check() {
    for (Place& p : places) {
      demand(p.replica.alive() == p.alive, "it is known whether there is a process");
      demand(!p.replica.wants_route() || (p.alive && p.listening && !p.told_to_go), "routed only while it serves");
      if (p.replica.state() != p.last) p.since = now;
      p.last = p.replica.state();
    }
    // Nothing but the releases went wrong, and those that crash once they serve can take what they have replaced.
    if (!calm || now < Instant{2min} || kind(active) == Kind::kCrashesLater ||
        (book && (kind(book->to) == Kind::kCrashesLater || kind(book->from) == Kind::kCrashesLater)))
      return;
    const std::size_t enough = rollout_limits.surge > 0 ? std::max<std::size_t>(count - 1, 1) : count - 1;
    demand(ready() >= enough, "enough replicas serve");
  }

  void settle() {
    for (Place& p : places)
      for (Order order; (order = p.replica.next(now)) != Order::kNone;) obey(p, order);
    check();
  }

  void run_until(Instant end) {
    while (now < end) {
      settle();
      Instant next = std::min({end, next_deploy, next_death, next_chaos});
      if (rollout) next = std::min(next, next_tick = std::max(next_tick, now));
      for (const Place& p : places) {
        if (!p.future.empty()) next = std::min(next, p.future.begin()->first);
        if (const auto wake = p.replica.wake_at()) next = std::min(next, *wake);
      }
      now = std::max(now, next);
      traffic();
      for (Place& p : places) {
        while (!p.future.empty() && p.future.begin()->first <= now) {
          const What what = p.future.begin()->second;
          p.future.erase(p.future.begin());
          happens(p, what);
        }
      }
      check();
      if (now >= next_death) supervisor_dies();
      if (now >= next_chaos) anything();
      if (now >= next_deploy) deploy();
      if (rollout && now >= next_tick) {
        settle();
        step_rollout();
        next_tick = now + kTick;
      }
    }
  }

  void heal() {
    faulty = false;
    interfered = true;
    next_deploy = next_death = next_chaos = Instant::never();
    for (Place& p : places) {
      std::erase_if(p.future, [](const auto& e) { return e.second == What::kSick; });
      if (p.replica.state() == State::kUnready) p.future.emplace(now, What::kHealthy);
      if (!p.spare && p.held) p.held = false, p.replica.start(now);
    }
  }
};

TEST_CASE("rollout: thousands of days") {
  constexpr std::uint64_t kDays = 4'000;
  std::uint64_t deploys = 0, done = 0, undone = 0, deaths = 0, chaos = 0;
  for (std::uint64_t seed = 1; seed <= kDays; ++seed) {
    CAPTURE(seed);
    World world(seed);
    world.run_until(Instant{kDay});
    world.heal();
    world.run_until(Instant{kDay + 1h});
    world.demand(!world.rollout, "after the last fault the deploy ends");
    for (const World::Place& p : world.places) {
      if (p.spare) {
        world.demand(p.replica.state() == State::kStopped, "without a deploy there is no spare");
      } else {
        // One that crashes now and then may have been lucky while it was looked at.
        world.demand(p.replica.state() == State::kReady || world.kind(p.running) == Kind::kCrashesLater,
                     "after the last fault every replica is ready");
        world.demand(p.running == world.active, "one release serves alone");
      }
    }
    world.demand(world.kind(world.active) != Kind::kCrashesAtStart && world.kind(world.active) != Kind::kNeverReady &&
                     world.kind(world.active) != Kind::kWrongCanary,
                 "no release that cannot serve is the one");
    deploys += world.deploys;
    done += world.done;
    undone += world.undone;
    deaths += world.deaths;
    chaos += world.chaos;
  }
  // The days were eventful, or the checks above have checked nothing.
  CHECK(deploys > kDays * 6);
  CHECK(done > kDays * 2);
  CHECK(undone > kDays * 2);
  CHECK(deaths > kDays * 6);
  CHECK(chaos > kDays * 10);
}

}  // namespace
}  // namespace nines::supervise
