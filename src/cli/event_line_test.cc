#include "cli/event_line.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <time.h>

namespace nines::cli {
namespace {

const WallTime kAt = WallTime{} + 1795459045s + 7ms;  // 2026-11-23 18:37:25.007 UTC

struct Utc {
  Utc() {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
  }
};

plane::Event event(plane::EventKind kind, std::uint16_t replica = 0) { return {.kind = kind, .replica = replica}; }

TEST_CASE("event line: time, who, what") {
  const Utc utc;
  auto e = event(plane::EventKind::kExited);
  e.b = 1;
  e.set_text("killed by SIGKILL (9)");
  CHECK(event_line(e, "a-2", kAt, {}) == "18:37:25.007  a-2 exited: killed by SIGKILL (9)");
  CHECK(event_line(e, "a-2", kAt, {.date = true}) == "2026-11-23 18:37:25.007  a-2 exited: killed by SIGKILL (9)");
  CHECK(event_line(e, "a-2", kAt, {.colour = true}) ==
        "\x1b[2m18:37:25.007\x1b[0m  \x1b[1ma-2\x1b[0m \x1b[31mexited: killed by SIGKILL (9)\x1b[0m");
  CHECK(warning_line("careful", kAt, {}) == "18:37:25.007  warning: careful");
}

TEST_CASE("event line: up") {
  CHECK(up_line("a", {"http://127.0.0.1:8000"}, 3, 3) == "a is up on http://127.0.0.1:8000 (3 of 3 ready)");
  CHECK(up_line("a", {"http://x:1", "http://y:2"}, 2, 3) == "a is up on http://x:1, http://y:2 (2 of 3 ready)");
  CHECK(up_line("a", {}, 1, 1) == "a is up (1 of 1 ready)");
}

TEST_CASE("event line: why it ended") {
  CHECK(outcome_text({}).empty());
  CHECK(outcome_text({.exit_status = 1, .message = "never ready"}) == "nines: never ready\n");
  CHECK(outcome_text({.exit_status = 1}) == "nines: the service failed\n");
  CHECK(outcome_text({.exit_status = 1,
                      .message = "never ready",
                      .log_tail = {"Traceback:", "  boom"},
                      .log_file = "/x/.nines/logs/a-1.log"}) ==
        "nines: never ready\n\n  last lines of /x/.nines/logs/a-1.log:\n    Traceback:\n      boom\n");
}

}  // namespace
}  // namespace nines::cli
