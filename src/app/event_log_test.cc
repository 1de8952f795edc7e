#include "app/event_log.h"

#include <sys/wait.h>

#include <csignal>
#include <set>

#include <doctest/doctest.h>

namespace nines::app {
namespace {

using plane::Event;
using plane::EventKind;
using plane::EventRing;
using supervise::Exit;

// A table, and one supervisor after another.
struct Stage {
  plane::Plane table = std::move(plane::Plane::create().value());
  std::vector<Event> heard;
  std::optional<EventLog> log;

  Stage() { next_supervisor(); }
  void next_supervisor() {
    log.emplace(*table, [this](const Event& event) { heard.push_back(event); });
  }
  void gateway(EventKind kind, std::uint64_t incarnation = 0) {
    table->gateway_events.push({.at_ns = 1, .kind = kind, .incarnation = incarnation});
  }
  void anchor(EventKind kind, std::uint32_t pid = 0, std::int64_t a = 0, std::int64_t b = 0, std::int64_t at = 1) {
    table->anchor_events.push({.at_ns = at, .kind = kind, .pid = pid, .a = a, .b = b});
  }
  std::size_t count(EventKind kind) const {
    return static_cast<std::size_t>(std::ranges::count(heard, kind, &Event::kind));
  }
};

TEST_CASE("event log: what the rings bring is in the log once, whoever takes it") {
  Stage stage;
  stage.gateway(EventKind::kUnrouted, 1);
  stage.anchor(EventKind::kSupervisorExited, 10);
  stage.log->collect();
  stage.log->collect();
  CHECK(stage.heard.size() == 2);
  stage.next_supervisor();
  stage.log->collect();
  CHECK(stage.heard.size() == 2);
  stage.gateway(EventKind::kUnrouted, 2);
  stage.next_supervisor();
  stage.log->collect();
  stage.next_supervisor();
  stage.log->collect();
  REQUIRE(stage.heard.size() == 3);
  CHECK(stage.heard[2].incarnation == 2);
  const auto in_the_log = stage.table->log.read(1).events;
  CHECK(in_the_log.size() == 3);
  for (std::size_t i = 0; i < in_the_log.size(); ++i) CHECK(in_the_log[i].number == i + 1);
}

TEST_CASE("event log: killed between two events, the next one takes the rest") {
  Stage stage;
  for (std::uint64_t i = 1; i <= 5; ++i) stage.gateway(EventKind::kUnrouted, i);
  // As far as a supervisor got that was killed behind its second event.
  for (const Event& event : stage.table->gateway_events.read(1, 2).events) {
    Event noted = event;
    noted.origin = plane::Origin::kGateway;
    noted.origin_number = event.number;
    stage.table->log.push(noted);
  }
  stage.next_supervisor();
  stage.log->collect();
  std::vector<std::uint64_t> taken;
  for (const Event& event : stage.heard) taken.push_back(event.incarnation);
  CHECK(taken == std::vector<std::uint64_t>{3, 4, 5});
}

TEST_CASE("event log: however long ago the last one of a ring was, it is not taken twice") {
  Stage stage;
  stage.anchor(EventKind::kAnchorStarted, 1);
  stage.gateway(EventKind::kUnrouted, 1);
  stage.log->collect();
  // So much of its own that the log has nothing of the rings any more.
  for (std::size_t i = 0; i < 2 * EventRing::kSize; ++i) stage.log->note({.kind = EventKind::kSpawnFailed});
  stage.next_supervisor();
  stage.log->collect();
  CHECK(stage.count(EventKind::kAnchorStarted) == 1);
  CHECK(stage.count(EventKind::kUnrouted) == 1);
  stage.anchor(EventKind::kSupervisorExited, 2);
  stage.log->collect();
  CHECK(stage.count(EventKind::kSupervisorExited) == 1);
}

TEST_CASE("event log: what was overwritten is counted once") {
  Stage stage;
  for (std::uint64_t i = 1; i <= EventRing::kSize + 7; ++i) stage.gateway(EventKind::kUnrouted, i);
  stage.log->collect();
  REQUIRE(stage.count(EventKind::kEventsLost) == 1);
  CHECK(stage.heard.front().kind == EventKind::kEventsLost);
  CHECK(stage.heard.front().a == 7);
  CHECK(stage.count(EventKind::kUnrouted) == EventRing::kSize);
  stage.next_supervisor();
  stage.log->collect();
  CHECK(stage.count(EventKind::kEventsLost) == 1);
  CHECK(stage.count(EventKind::kUnrouted) == EventRing::kSize);
}

TEST_CASE("event log: how somebody else's child ended") {
  Stage stage;
  stage.anchor(EventKind::kReaped, 7, CLD_EXITED, 3, 100);
  stage.anchor(EventKind::kReaped, 8, CLD_KILLED, SIGKILL, 100);
  stage.anchor(EventKind::kReaped, 9, CLD_DUMPED, SIGABRT, 100);
  stage.log->collect();
  CHECK(stage.heard.empty());  // for who asks, not for the log
  CHECK(stage.log->obituary(7, Instant{100ns}) == Exit{Exit::Kind::kStatus, 3, false});
  CHECK(stage.log->obituary(8, Instant{50ns}) == Exit{Exit::Kind::kSignal, SIGKILL, false});
  CHECK(stage.log->obituary(9, Instant{0ns}) == Exit{Exit::Kind::kSignal, SIGABRT, true});
  CHECK_FALSE(stage.log->obituary(10, Instant{0ns}));
  CHECK_FALSE(stage.log->obituary(7, Instant{101ns}));  // one before it with the same pid
  stage.anchor(EventKind::kReaped, 7, CLD_EXITED, 0, 200);
  CHECK(stage.log->obituary(7, Instant{101ns}) == Exit{Exit::Kind::kStatus, 0, false});
}

TEST_CASE("event log: whose exit it has") {
  Stage stage;
  stage.log->note({.kind = EventKind::kExited, .replica = 1, .incarnation = 4});
  CHECK(stage.log->has_exit_of(1, 4));
  CHECK_FALSE(stage.log->has_exit_of(1, 5));
  CHECK_FALSE(stage.log->has_exit_of(0, 4));
  stage.log->note({.kind = EventKind::kUnready, .replica = 1, .incarnation = 5});
  CHECK_FALSE(stage.log->has_exit_of(1, 5));
}

}  // namespace
}  // namespace nines::app
