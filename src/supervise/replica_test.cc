#include "supervise/replica.h"

#include <sstream>

#include <doctest/doctest.h>

namespace nines::supervise {
namespace {

constexpr ReplicaLimits kLimits{.startup = 100s,
                                .drain_wait = 30s,
                                .stop_grace = 10s,
                                .first_retry = 20ms,
                                .backoff_min = 100ms,
                                .backoff_max = 1s,
                                .settled_after = 60s};
constexpr double kJitter = 0.5;  // half of every range, so that each has a number of its own

// Plays a script against one replica: words are events, +N passes N milliseconds (all that comes due on the way is
// done). Spawns succeed at once, unless `hold` keeps the answer back until `ok` or `fail`.
struct Stage {
  Instant now{};
  bool hold = false;
  bool spawning = false;
  std::string orders;  // "0:spawn 100:kill"
  Instant spawned{}, since{};
  State before = State::kWaiting;
  Replica replica;

  ReplicaLimits limits;

  explicit Stage(bool wanted, RestartPolicy policy = RestartPolicy::kAlways)
      : replica(kLimits, now, wanted), limits(kLimits) {
    limits.restart = policy;
    replica = Replica(limits, now, wanted);
  }

  void obey() {
    for (Order order; (order = replica.next(now)) != Order::kNone;) {
      if (!orders.empty()) orders += ' ';
      orders += std::to_string(now.since_boot / 1ms) + ':' + std::string(name_of(order));
      spawning = spawning || order == Order::kSpawn;
      if (spawning && !hold) answer(true);
    }
  }

  void answer(bool good) {
    spawning = false;
    if (good) spawned = now;
    good ? replica.on_spawned(now) : replica.on_spawn_failed(now, kJitter);
  }

  // Another supervisor goes on, from what this one has written down.
  void succeed() {
    const bool alive = replica.alive();
    const ReplicaMemory memory{.state = replica.state(),
                               .wanted = replica.wanted(),
                               .ordered = replica.ordered(),
                               .listening = replica.listening(),
                               .crashes_in_row = replica.crashes_in_row(),
                               .restarts = replica.restarts(),
                               .spawned = spawned,
                               .since = since};
    replica = Replica(limits, now);
    replica.resume(memory, alive, now);
  }

  void pass(Duration duration) {
    const Instant end = now + duration;
    while (replica.wake_at() && *replica.wake_at() <= end) {
      now = std::max(now, *replica.wake_at());
      obey();
    }
    now = end;
  }

  void say(const std::string& word) {
    if (word[0] == '+') return pass(std::chrono::milliseconds(std::stol(word.substr(1))));
    if (word == "killed") succeed();
    if (word == "listening") replica.on_listening(now);
    if (word == "healthy") replica.on_healthy(now);
    if (word == "sick") replica.on_unhealthy(now);
    if (word == "drained") replica.on_drained(now);
    if (word == "exit") replica.on_exit(now, kJitter);
    if (word == "success") replica.on_exit(now, kJitter, ExitCause::kSuccess);
    if (word == "give-up") replica.give_up(now);
    if (word == "clash") replica.on_exit(now, kJitter, ExitCause::kPortInUse);
    if (word == "stop") replica.stop(now);
    if (word == "start") replica.start(now);
    if (word == "restart") replica.restart(now);
    if (word == "ready") replica.on_listening(now), replica.on_healthy(now);
    if (word == "ok" || word == "fail") answer(word == "ok");
    if (word == "hold" || word == "go") hold = word == "hold";
    if (replica.state() != before) since = now;
    before = replica.state();
    obey();
    if (replica.state() != before) since = now;
    before = replica.state();
  }
};

Stage play(const std::string& script, bool wanted = true, RestartPolicy policy = RestartPolicy::kAlways) {
  Stage stage(wanted, policy);
  stage.hold = script.starts_with("hold");
  stage.obey();
  std::istringstream words(script);
  for (std::string word; words >> word;) stage.say(word);
  return stage;
}

struct Row {
  std::string why;
  std::string script;
  const char* orders;  // what follows the first "0:spawn"
  State state;
  bool routed = false;
  std::uint64_t restarts = 0;
  RestartPolicy policy = RestartPolicy::kAlways;
};

void check(const Row& row) {
  CAPTURE(row.why);
  CAPTURE(row.script);
  const Stage stage = play(row.script, true, row.policy);
  const std::string first = "0:spawn";
  REQUIRE(stage.orders.starts_with(first));
  CHECK(stage.orders.substr(std::min(first.size() + 1, stage.orders.size())) == row.orders);
  CHECK(name_of(stage.replica.state()) == name_of(row.state));
  CHECK(stage.replica.wants_route() == row.routed);
  CHECK(stage.replica.restarts() == row.restarts);
}

TEST_CASE("replica: from spawned to routed") {
  const Row rows[] = {
      {"it is spawned at once", "", "", State::kStarting},
      {"no proof, no route, whatever answers on the port", "healthy +1000", "", State::kStarting},
      {"a proven listener is checked, though not ready", "listening", "", State::kStarting, true},
      {"the gateway finds it healthy", "listening healthy", "", State::kReady, true},
      {"failing its first checks is still starting", "listening sick", "", State::kStarting, true},
      {"a model that loads slowly is left alone until the deadline", "+99999", "", State::kStarting},
      {"a load that hangs is killed at the deadline", "+100000", "100000:kill", State::kStopping},
      {"... also when it listens, but never answers well", "listening +100000", "100000:kill", State::kStopping},
      {"one that became ready knows no deadline", "ready +200000", "", State::kReady, true},
      {"unready: alive, routed for checks, not restarted", "ready sick +1000000", "", State::kUnready, true},
      {"unready and healthy again", "ready sick healthy", "", State::kReady, true},
      {"a new process has to prove itself again", "ready exit +10 healthy", "10:spawn", State::kStarting, false, 1},
      {"proof is not asked twice: late news changes nothing", "ready listening", "", State::kReady, true},
  };
  for (const Row& row : rows) check(row);
}

TEST_CASE("replica: what follows an exit that nobody ordered") {
  constexpr auto kFailure = RestartPolicy::kOnFailure, kNever = RestartPolicy::kNever;
  const Row rows[] = {
      {"always: also after success", "ready success +10", "10:spawn", State::kStarting, false, 1},
      {"on failure: another", "ready exit +10", "10:spawn", State::kStarting, false, 1, kFailure},
      {"... after success it is done", "ready success +1000000", "", State::kStopped, false, 0, kFailure},
      {"... until a person starts it", "ready success +50 start", "50:spawn", State::kStarting, false, 0, kFailure},
      {"... over supervisors", "ready success killed +1000000", "", State::kStopped, false, 0, kFailure},
      {"... a taken port is no end", "clash +10", "10:spawn", State::kStarting, false, 0, kFailure},
      {"never", "ready exit +1000000", "", State::kStopped, false, 0, kNever},
      {"... also after success", "success +1000000", "", State::kStopped, false, 0, kNever},
      {"... over supervisors", "exit killed +1000000", "", State::kStopped, false, 0, kNever},
      {"... a taken port is no end", "clash +10", "10:spawn", State::kStarting, false, 0, kNever},
      {"... a person's restart is another start", "ready restart drained exit", "0:drain 0:terminate 0:spawn",
       State::kStarting, false, 0, kNever},
      {"... and so is a start after it", "exit start", "0:spawn", State::kStarting, false, 0, kNever},
  };
  for (const Row& row : rows) check(row);
}

TEST_CASE("replica: one that does not answer is given up") {
  const Row rows[] = {
      {"it is ended without a drain", "ready sick give-up", "0:terminate", State::kStopping},
      {"... killed when it does not go", "ready sick give-up +10000", "0:terminate 10000:kill", State::kStopping},
      {"... and its end is a crash", "ready sick give-up +5 exit +10", "0:terminate 15:spawn", State::kStarting, false,
       1},
      {"... also when another supervisor sees it", "ready sick give-up killed exit +10", "0:terminate 10:spawn",
       State::kStarting, false, 1},
      {"one that answers again meanwhile is left alone", "ready sick healthy give-up", "", State::kReady, true},
      {"one that starts is not meant", "listening give-up", "", State::kStarting, true},
      {"one that drains goes its way", "ready sick restart give-up", "0:drain", State::kDraining},
      {"a person's stop meanwhile holds", "ready sick give-up stop exit +1000", "0:terminate", State::kStopped},
  };
  for (const Row& row : rows) check(row);
}

TEST_CASE("replica: a supervisor is killed, and the next one goes on") {
  const Row rows[] = {
      {"ready: nothing happens", "ready +100 killed +1000000", "", State::kReady, true},
      {"... and its next crash is still the first", "ready +100 killed exit +10", "110:spawn", State::kStarting, false,
       1},
      {"unready stays unready", "ready sick killed", "", State::kUnready, true},
      {"... and may become ready", "ready sick killed healthy", "", State::kReady, true},
      {"starting: proven or not is remembered", "listening killed healthy", "", State::kReady, true},
      {"... not proven", "killed healthy", "", State::kStarting},
      {"the startup deadline is the same", "+60000 killed +39999", "", State::kStarting},
      {"... and comes", "+60000 killed +40000", "100000:kill", State::kStopping},
      {"... also when it passed meanwhile", "+99999 killed +1", "100000:kill", State::kStopping},
      {"draining: it has the whole time again", "ready stop +20000 killed +29999", "0:drain", State::kDraining},
      {"... and no more", "ready stop +20000 killed +30000", "0:drain 50000:terminate", State::kStopping},
      {"... drained at last", "ready stop +20000 killed drained", "0:drain 20000:terminate", State::kStopping},
      {"stopping: SIGKILL comes", "ready stop drained +5000 killed +10000", "0:drain 0:terminate 15000:kill",
       State::kStopping},
      {"... and the exit was ordered", "ready stop drained killed exit +1000", "0:drain 0:terminate", State::kStopped},
      {"a restart is one", "ready restart drained killed exit", "0:drain 0:terminate 0:spawn", State::kStarting},
      {"what a person stopped stays stopped", "ready stop drained exit killed +1000000", "0:drain 0:terminate",
       State::kStopped},
      {"... and can be started", "ready stop drained exit killed start", "0:drain 0:terminate 0:spawn",
       State::kStarting},
      {"a pause is forgiven", "exit +10 exit killed", "10:spawn 10:spawn", State::kStarting, false, 2},
      {"... the crashes before it are not", "exit +10 exit killed exit +249", "10:spawn 10:spawn", State::kWaiting,
       false, 2},
      {"... so the next pause is the third", "exit +10 exit killed exit +250", "10:spawn 10:spawn 260:spawn",
       State::kStarting, false, 3},
      {"ready for long enough, over two supervisors: settled", "exit +10 ready +40000 killed +20000 exit +10",
       "10:spawn 60020:spawn", State::kStarting, false, 2},
      {"... not quite", "exit +10 ready +40000 killed +19999 exit +10", "10:spawn", State::kWaiting, false, 1},
      {"restarts are counted on", "exit +10 killed exit +150", "10:spawn 160:spawn", State::kStarting, false, 2},
  };
  for (const Row& row : rows) check(row);
}

TEST_CASE("replica: found without a note, it is started; found against a person's wish, it is stopped") {
  for (const State state : {State::kWaiting, State::kStopped}) {
    Replica wanted(kLimits, Instant{});
    wanted.resume({.state = state, .spawned = Instant{5s}}, true, Instant{7s});
    CHECK(wanted.state() == State::kStarting);
    CHECK(wanted.next(Instant{7s}) == Order::kNone);
    CHECK(wanted.wake_at() == Instant{105s});
    Replica held(kLimits, Instant{});
    held.resume({.state = state, .wanted = false, .spawned = Instant{5s}}, true, Instant{7s});
    CHECK(held.next(Instant{7s}) == Order::kTerminate);
    held.on_exit(Instant{8s}, kJitter);
    CHECK(held.state() == State::kStopped);
  }
}

TEST_CASE("replica: what a crash costs") {
  const Row rows[] = {
      {"not spawned before its time", "exit +9", "", State::kWaiting},
      {"the first retry takes half of 20 ms", "exit +10", "10:spawn", State::kStarting, false, 1},
      {"the second half of the way from 100 to 200 ms", "exit +10 exit +149", "10:spawn", State::kWaiting, false, 1},
      {"... and no longer", "exit +10 exit +150", "10:spawn 160:spawn", State::kStarting, false, 2},
      {"the third from 100 to 400 ms", "exit +10 exit +150 exit +250", "10:spawn 160:spawn 410:spawn", State::kStarting,
       false, 3},
      {"the fifth and all that follow are capped at 1 s", "exit +10 exit +150 exit +250 exit +450 exit +550 exit +550",
       "10:spawn 160:spawn 410:spawn 860:spawn 1410:spawn 1960:spawn", State::kStarting, false, 6},
      {"being ready for a moment forgives nothing", "exit +10 ready +59999 exit +149", "10:spawn", State::kWaiting,
       false, 1},
      {"ready for 60 s: a new story", "exit +10 ready +60000 exit +10", "10:spawn 60020:spawn", State::kStarting, false,
       2},
      {"60 s with a break are not stable", "exit +10 ready +40000 sick healthy +40000 exit +149", "10:spawn",
       State::kWaiting, false, 1},
      {"60 s count, though it fell ill before it died", "exit +10 ready +60000 sick +1000 exit +10",
       "10:spawn 61020:spawn", State::kStarting, false, 2},
      {"alive for long, but never ready, is not stable", "exit +10 +90000 exit +149", "10:spawn", State::kWaiting,
       false, 1},
      {"missing the startup deadline is a crash", "+100000 exit +10", "100000:kill 100010:spawn", State::kStarting,
       false, 1},
      {"a killed process that will not go is killed again", "+100000 +10000", "100000:kill 110000:kill",
       State::kStopping},
  };
  for (const Row& row : rows) check(row);
}

TEST_CASE("replica: five crashes without having settled are a crash loop") {
  Replica replica(kLimits, Instant{});
  Instant now{};
  const auto crash = [&] {
    now = *replica.wake_at();
    REQUIRE(replica.next(now) == Order::kSpawn);
    replica.on_spawned(now);
    replica.on_exit(now, kJitter);
  };
  for (int crashes = 1; crashes <= kCrashLoop; ++crashes) {
    CHECK(!replica.crash_loops(now));
    crash();
  }
  CHECK(replica.crashes_in_row() == kCrashLoop);
  CHECK(replica.crash_loops(now));
  // Being ready ends it only once that has lasted.
  now = *replica.wake_at();
  REQUIRE(replica.next(now) == Order::kSpawn);
  replica.on_spawned(now);
  replica.on_listening(now);
  replica.on_healthy(now);
  CHECK(replica.crash_loops(now + (kLimits.settled_after - 1ns)));
  CHECK(!replica.crash_loops(now + kLimits.settled_after));
  // A person's restart begins a new story.
  replica.restart(now);
  replica.on_exit(now, kJitter);
  CHECK(!replica.crash_loops(now));
}

TEST_CASE("replica: what is no crash") {
  const Row rows[] = {
      {"a taken port: again at once, no restart counted", "clash +10", "10:spawn", State::kStarting},
      {"clashes in a row slow down, or a fixed port would storm", "clash +10 clash +150", "10:spawn 160:spawn",
       State::kStarting},
      {"a clash does not lengthen the backoff of crashes", "clash +10 exit +10", "10:spawn 20:spawn", State::kStarting,
       false, 1},
      {"nor a crash that of clashes", "exit +10 clash +10", "10:spawn 20:spawn", State::kStarting, false, 1},
      {"a clash is forgotten after stable readiness", "clash +10 ready +60000 clash +10", "10:spawn 60020:spawn",
       State::kStarting},
      {"a clash after a crash hides no crash", "exit +10 clash +10", "10:spawn 20:spawn", State::kStarting, false, 1},
      {"a fork that fails is retried", "hold fail +10 ok", "10:spawn", State::kStarting},
      {"... and slows down", "hold fail +10 fail +149", "10:spawn", State::kWaiting},
      {"... as crashes do", "hold fail +10 fail +150", "10:spawn 160:spawn", State::kWaiting},
      {"the crash before a failed fork still counts once", "exit hold +10 fail +150 ok", "10:spawn 160:spawn",
       State::kStarting, false, 1},
      {"an order is not repeated while its answer is out", "hold +5000", "", State::kWaiting},
  };
  for (const Row& row : rows) check(row);
}

TEST_CASE("replica: stopping") {
  const Row rows[] = {
      {"drain comes first", "ready stop", "0:drain", State::kDraining},
      {"drained: terminate at once", "ready stop +5 drained", "0:drain 5:terminate", State::kStopping},
      {"never drained: terminate after the wait", "ready stop +30000", "0:drain 30000:terminate", State::kStopping},
      {"not before", "ready stop +29999", "0:drain", State::kDraining},
      {"no exit: kill after the grace", "ready stop drained +10000", "0:drain 0:terminate 10000:kill",
       State::kStopping},
      {"not before", "ready stop drained +9999", "0:drain 0:terminate", State::kStopping},
      {"and kill again", "ready stop drained +20000", "0:drain 0:terminate 10000:kill 20000:kill", State::kStopping},
      {"gone: stopped, for good", "ready stop drained exit +999000", "0:drain 0:terminate", State::kStopped},
      {"dead while draining is what was wanted", "ready stop exit +999000", "0:drain", State::kStopped},
      {"unready drains too", "ready sick stop", "0:drain", State::kDraining},
      {"starting but proven may be routed already: drains", "listening stop", "0:drain", State::kDraining},
      {"starting without a listener has nothing to drain", "stop", "0:terminate", State::kStopping},
      {"health is no matter any more", "ready stop healthy sick", "0:drain", State::kDraining},
      {"a listener found too late is not routed", "stop listening healthy", "0:terminate", State::kStopping},
      {"\"drained\" twice terminates once", "ready stop drained drained", "0:drain 0:terminate", State::kStopping},
      {"\"drained\" out of place does nothing", "ready drained", "", State::kReady, true},
      {"stop twice drains once", "ready stop +5 stop", "0:drain", State::kDraining},
      {"stop during backoff cancels the retry", "exit stop +999000", "", State::kStopped},
      {"stop while a spawn is out: ends what comes", "hold stop ok", "0:terminate", State::kStopping},
      {"... and needs nothing when none comes", "hold stop fail +999000", "", State::kStopped},
      {"stop while it is killed for its deadline", "+100000 stop exit +999000", "100000:kill", State::kStopped},
      {"a stopped one is started by a person only", "stop exit +5 start", "0:terminate 5:spawn", State::kStarting},
      {"stopping a stopped one changes nothing", "stop exit stop +999000", "0:terminate", State::kStopped},
      {"a crash before the stop was not followed by a restart", "exit stop start", "0:spawn", State::kStarting},
  };
  for (const Row& row : rows) check(row);
}

TEST_CASE("replica: starting and restarting") {
  const Row rows[] = {
      {"restart drains, ends and begins again at once", "ready restart drained exit", "0:drain 0:terminate 0:spawn",
       State::kStarting},
      {"a replica that is being restarted is not routed", "ready restart", "0:drain", State::kDraining},
      {"dead while draining for a restart: at once, and no crash", "ready restart exit", "0:drain 0:spawn",
       State::kStarting},
      {"restart forgives: the next crash is the first", "exit +10 restart exit exit +10",
       "10:spawn 10:terminate 10:spawn 20:spawn", State::kStarting, false, 2},
      {"... and the next clash, too", "clash +10 restart exit clash +10", "10:spawn 10:terminate 10:spawn 20:spawn",
       State::kStarting},
      {"restart ends a backoff", "exit +10 exit restart", "10:spawn 10:spawn", State::kStarting, false, 2},
      {"restart starts what is stopped", "stop exit restart", "0:terminate 0:spawn", State::kStarting},
      {"restart while a spawn is out: that is the fresh one", "hold restart ok", "", State::kStarting},
      {"restart while killed for its deadline: at once, no crash", "+100000 restart exit", "100000:kill 100000:spawn",
       State::kStarting},
      {"start ends a backoff", "exit +10 exit start", "10:spawn 10:spawn", State::kStarting, false, 2},
      {"start leaves alone what runs", "ready start", "", State::kReady, true},
      {"start while a spawn is out", "hold start ok", "", State::kStarting},
      {"start while stopping: comes back right after", "ready stop start drained exit", "0:drain 0:terminate 0:spawn",
       State::kStarting},
      {"stop during a restart wins", "ready restart stop drained exit +999000", "0:drain 0:terminate", State::kStopped},
      {"restart during a stop wins", "ready stop restart drained exit", "0:drain 0:terminate 0:spawn",
       State::kStarting},
      {"stop and start while a spawn is out: keep it", "hold stop start ok", "", State::kStarting},
      {"the deadline of the second process is its own", "+50000 restart exit +99999", "50000:terminate 50000:spawn",
       State::kStarting},
  };
  for (const Row& row : rows) check(row);
}

TEST_CASE("replica: \"nothing in flight\" before it is un-routed means nothing") {
  Replica replica(kLimits, Instant{});
  REQUIRE(replica.next(Instant{}) == Order::kSpawn);
  replica.on_spawned(Instant{});
  replica.on_listening(Instant{});
  replica.stop(Instant{});
  CHECK_FALSE(replica.wants_route());
  replica.on_drained(Instant{});
  CHECK(replica.next(Instant{}) == Order::kDrain);
  CHECK(replica.next(Instant{}) == Order::kNone);
}

TEST_CASE("replica: a person's stop outlives the supervisor") {
  const Stage stage = play("+999000", false);
  CHECK(stage.orders == "");
  CHECK(stage.replica.state() == State::kStopped);
  CHECK_FALSE(stage.replica.wanted());
  CHECK(play("start", false).orders == "0:spawn");
  CHECK(play("start", false).replica.wanted());
}

TEST_CASE("replica: an exit says what it was and how long it lived") {
  struct ExitRow {
    std::string script;
    ExitCause cause;
    Ending ending;
    Duration lived;
  };
  const ExitRow rows[] = {
      {"+7", ExitCause::kItself, Ending::kCrash, 7ms},
      {"+7", ExitCause::kPortInUse, Ending::kPortInUse, 7ms},
      {"+7", ExitCause::kSuccess, Ending::kCrash, 7ms},
      {"ready +7 stop", ExitCause::kItself, Ending::kOrdered, 7ms},
      {"ready +7 restart", ExitCause::kPortInUse, Ending::kOrdered, 7ms},
      {"+7 exit +10 +5", ExitCause::kItself, Ending::kCrash, 5ms},
      {"+100000 +3", ExitCause::kItself, Ending::kCrash, 100'003ms},
  };
  for (const ExitRow& row : rows) {
    CAPTURE(row.script);
    Stage stage = play(row.script);
    const Ended ended = stage.replica.on_exit(stage.now, kJitter, row.cause);
    CHECK(ended.ending == row.ending);
    CHECK(ended.lived == row.lived);
  }
}

TEST_CASE("replica: incarnations count processes, not attempts") {
  CHECK(play("hold").replica.incarnation() == 0);
  CHECK(play("hold fail +10 ok").replica.incarnation() == 1);
  CHECK(play("exit +10 restart exit").replica.incarnation() == 3);
}

TEST_CASE("replica: the defaults keep the promises") {
  const ReplicaLimits limits;
  CHECK(limits.first_retry <= 25ms);
  CHECK(limits.startup == 600s);
  CHECK(limits.drain_wait == 30s);
  CHECK(limits.stop_grace == 10s);
  CHECK(limits.backoff_min == 100ms);
  CHECK(limits.backoff_max == 30s);
  CHECK(limits.settled_after == 60s);
}

}  // namespace
}  // namespace nines::supervise
