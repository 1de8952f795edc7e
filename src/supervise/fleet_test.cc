#include "supervise/fleet.h"

#include <string_view>

#include <doctest/doctest.h>

namespace nines::supervise {
namespace {

// q quick exit · e exit at the very limit of quick · s slow exit · o ordered exit · p port clash · f fork fails · n
// command not found · d permission denied · t too late · r ready · S stop
Verdict play(std::string_view script, int not_stopped = 3) {
  Fleet fleet(3);
  for (char step : script) {
    if (step == 'q') fleet.on_exit({Ending::kCrash, 1s});
    if (step == 'e') fleet.on_exit({Ending::kCrash, 30s});
    if (step == 's') fleet.on_exit({Ending::kCrash, 30s + 1ms});
    if (step == 'o') fleet.on_exit({Ending::kOrdered, 1s});
    if (step == 'p') fleet.on_exit({Ending::kPortInUse, 1s});
    if (step == 'f') fleet.on_spawn_failed(Code::kLimit);
    if (step == 'n') fleet.on_spawn_failed(Code::kNotFound);
    if (step == 'd') fleet.on_spawn_failed(Code::kRefused);
    if (step == 'i') fleet.on_spawn_failed(Code::kInvalid);
    if (step == 't') fleet.on_too_late();
    if (step == 'r') fleet.on_ready();
    if (step == 'S') fleet.stop();
  }
  return fleet.verdict(not_stopped);
}

TEST_CASE("fleet: when a start has failed, and when it is never given up") {
  constexpr Verdict on{}, done{Outcome::kDone, Reason::kNone, 0};
  constexpr Verdict crash{Outcome::kGaveUp, Reason::kCrashAtStart, 1}, port{Outcome::kGaveUp, Reason::kPortInUse, 1},
      command{Outcome::kGaveUp, Reason::kCannotExecute, 2}, late{Outcome::kGaveUp, Reason::kNeverReady, 1};
  struct Row {
    std::string why;
    std::string_view script;
    Verdict verdict;
    int not_stopped = 3;
  };
  const Row rows[] = {
      {"nothing happened yet", "", on},
      {"four quick exits may be bad luck", "qqqq", on},
      {"five are a broken command", "qqqqq", crash},
      {"quick includes 30 s: imports are slow", "eeeee", crash},
      {"slow exits may wait for a database", "ssssssssss", on},
      {"... and do not count between quick ones", "qqqqsss", on},
      {"ordered exits are a person's doing", "oooooooqqqq", on},
      {"one was ready: a crash loop later is not a typo", "rqqqqqqqqqq", on},
      {"ready after four quick exits", "qqqqrqqqq", on},
      {"the command does not exist", "n", command},
      {"the command may not be executed", "d", command},
      {"the command is a directory", "i", command},
      {"the command vanished after a good start: a deploy at work", "rnn", on},
      {"a missing command beats the crashes before it", "qqqqqn", command},
      {"no memory to fork is no usage error", "ffff", on},
      {"... but does not go on for ever", "fffff", crash},
      {"taken ports are no crash", "ppppqqqq", on},
      {"a command that never gets its port", "ppppp", port},
      {"ports taken later are retried for ever", "rpppppppp", on},
      {"two of three were not ready in time: the third may be", "tt", on},
      {"all three were not", "ttt", late},
      {"one was, so the others are tried for ever", "rtttttt", on},
      {"stopping takes its time", "rS", on, 1},
      {"all stopped: done", "rS", done, 0},
      {"a person's stop is no failure, even of a broken start", "qqqqqS", done, 0},
      {"... and ends nothing early", "qqqqqS", on, 2},
      {"replicas stopped one by one do not end the service", "r", on, 0},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    CHECK(play(row.script, row.not_stopped) == row.verdict);
  }
}

TEST_CASE("fleet: enough is all but one, and at least one") {
  CHECK(Fleet(1).enough_ready() == 1);
  CHECK(Fleet(2).enough_ready() == 1);
  CHECK(Fleet(3).enough_ready() == 2);
  CHECK(Fleet(10).enough_ready() == 9);
}

// What the header promises: replicas drain side by side, whatever each of them does.
TEST_CASE("fleet: stopping many takes no longer than stopping one") {
  const ReplicaLimits limits;
  Instant now{};
  std::vector<Replica> replicas(20, Replica(limits, now));
  for (std::size_t i = 0; i < replicas.size(); ++i) {
    REQUIRE(replicas[i].next(now) == Order::kSpawn);
    replicas[i].on_spawned(now);
    if (i % 2 == 0) replicas[i].on_listening(now);
  }
  Fleet fleet(20);
  fleet.stop();
  for (Replica& replica : replicas) replica.stop(now);

  const Instant latest = now + limits.drain_wait + limits.stop_grace;
  int not_stopped = 20;
  while (fleet.verdict(not_stopped).outcome != Outcome::kDone) {
    Instant next = Instant::never();
    for (Replica& replica : replicas) {
      for (Order order; (order = replica.next(now)) != Order::kNone;)
        if (order == Order::kKill) {  // the only thing they obey
          replica.on_exit(now, 0);
          --not_stopped;
        }
      if (replica.wake_at()) next = std::min(next, *replica.wake_at());
    }
    if (not_stopped > 0) now = next;
    REQUIRE(now <= latest);
  }
  CHECK(now == latest);
}

}  // namespace
}  // namespace nines::supervise
