#include "plane/event_text.h"

#include <doctest/doctest.h>

namespace nines::plane {
namespace {

Event event(EventKind kind, std::string_view text = "", std::int64_t a = 0, std::int64_t b = 0, std::uint32_t pid = 0) {
  Event e{.kind = kind, .pid = pid, .a = a, .b = b};
  e.set_text(text);
  return e;
}

TEST_CASE("event text: every kind in words") {
  struct Row {
    Event event;
    const char* replica;
    const char* said;
  };
  const Row rows[] = {
      {event(EventKind::kServiceStarted, "language-id"), "", "language-id is starting"},
      {event(EventKind::kServiceStarted), "", "service is starting"},
      {event(EventKind::kServiceStopping, "nines down"), "", "service is stopping: nines down"},
      {event(EventKind::kServiceStopping), "", "service is stopping"},
      {event(EventKind::kSpawned, "", 0, 0, 4711), "a-1", "a-1 started, pid 4711"},
      {event(EventKind::kSpawnFailed, "no memory"), "a-1", "a-1 could not be started: no memory"},
      {event(EventKind::kListening), "a-1", "a-1 listens"},
      {event(EventKind::kListening, "", 20013), "a-1", "a-1 listens on port 20013"},
      {event(EventKind::kUnready, "no answer", 1), "a-1", "a-1 is not ready: no answer"},
      {event(EventKind::kListening, "/run/x/1-3.sock"), "a-1", "a-1 listens on /run/x/1-3.sock"},
      {event(EventKind::kReady, "", 84'000'000, 20013, 4711), "a-1", "a-1 ready after 84 ms on port 20013, pid 4711"},
      {event(EventKind::kReady), "a-1", "a-1 ready"},
      {event(EventKind::kUnready, "GET /health: 500"), "a-1", "a-1 is not ready any more: GET /health: 500"},
      {event(EventKind::kExited, "killed by SIGKILL (9)", 9, 1), "a-2", "a-2 exited: killed by SIGKILL (9)"},
      {event(EventKind::kExited, "exit status 0"), "a-2", "a-2 stopped: exit status 0"},
      {event(EventKind::kExited, "", 0, 1), "a-2", "a-2 exited"},
      {event(EventKind::kUnrouted), "a-2", "a-2 gets no more requests"},
      {event(EventKind::kUnrouted, "", 1), "a-2", "a-2 gets no more requests, 1 is to be finished"},
      {event(EventKind::kUnrouted, "", 3), "a-2", "a-2 gets no more requests, 3 are to be finished"},
      {event(EventKind::kDraining), "a-2", "a-2 gets no new requests and finishes those it has"},
      {event(EventKind::kTerminated), "a-2", "a-2 was asked to end (SIGTERM)"},
      {event(EventKind::kKilled, "it did not end in time"), "a-2", "a-2 was killed (SIGKILL): it did not end in time"},
      {event(EventKind::kGatewayStarted, "", 0, 0, 12), "", "gateway started, pid 12"},
      {event(EventKind::kGatewayExited, "killed by SIGSEGV (11)", 0, 1), "", "gateway exited: killed by SIGSEGV (11)"},
      {event(EventKind::kKeeperStarted, "", 0, 0, 13), "", "keeper started, pid 13"},
      {event(EventKind::kKeeperExited, "exit status 1", 0, 1), "", "keeper exited: exit status 1"},
      {event(EventKind::kEjected, "5 gateway errors in a row", 10'000'000'000), "a-1",
       "a-1 is ejected for 10 s: 5 gateway errors in a row"},
      {event(EventKind::kUnejected, "its pause is over"), "a-1", "a-1 gets requests again: its pause is over"},
      {event(EventKind::kHung, "no byte for 5 s, and GET /health timed out"), "a-1",
       "a-1 hangs: no byte for 5 s, and GET /health timed out"},
      {event(EventKind::kCanaryFailed, "timed out"), "a-1", "a-1 fails its canary: timed out"},
      {event(EventKind::kCanaryPassed, "", 84'000'000), "a-1", "a-1 passes its canary again, in 84 ms"},
      {event(EventKind::kPanicBegan, "", 1, 4), "", "gateway ignores ejections: only 1 of 4 replicas is healthy"},
      {event(EventKind::kPanicEnded, "", 3, 4), "", "gateway minds ejections again: 3 of 4 replicas are healthy"},
      {event(static_cast<EventKind>(999), "from later"), "a-1", "a-1 event 999: from later"},
  };
  for (const Row& row : rows) CHECK(describe(row.event, row.replica) == row.said);
}

TEST_CASE("event text: what an event carries commands no terminal") {
  CHECK(describe(event(EventKind::kUnready, "\x1b[2J\nboo\x7f µ"), "a\x1b") == "a? is not ready any more: ?[2J?boo? µ");
}

TEST_CASE("event text: an ordered end is not bad, a crash is") {
  CHECK(mood_of(event(EventKind::kExited, "", 9, 0)) == Mood::kNeutral);
  CHECK(mood_of(event(EventKind::kExited, "", 0, 1)) == Mood::kBad);
  CHECK(mood_of(event(EventKind::kReady)) == Mood::kGood);
}

TEST_CASE("event text: kinds are found by the names they are written with") {
  int known = 0;
  for (std::uint16_t number = 0; number < 100; ++number) {
    const auto kind = static_cast<EventKind>(number);
    if (plane::name_of(kind) == "unknown") continue;
    ++known;
    CHECK(event_kind(plane::name_of(kind)) == kind);
    CHECK(!describe(event(kind), "a-1").contains("event "));
  }
  CHECK(known >= 16);
  CHECK(!event_kind("unknown"));
  CHECK(!event_kind(""));
}

}  // namespace
}  // namespace nines::plane
