#include "cli/restore_plan.h"

#include <doctest/doctest.h>

namespace nines::cli {
namespace {

TEST_CASE("restore plan: who is stopped, and who is started afterwards") {
  struct Row {
    const char* why;
    const char* state;
    const char* held_by;
    bool stopped_before;
    bool stop, start;
  };
  const Row rows[] = {
      {"it serves", "ready", "", false, true, true},
      {"it is about to start again", "backoff", "", false, true, true},
      {"a person stopped it", "stopped", "nines stop (anna)", false, false, false},
      {"a person is just stopping it", "draining", "nines stop (anna)", false, false, false},
      {"a person is just stopping it, by the socket", "stopping", "the control socket", false, false, false},
      {"a person stopped it after a restore had", "stopped", "nines stop", true, false, false},
      {"a restore was interrupted", "stopped", "nines restore", true, false, true},
      {"... and its note was lost", "stopped", "nines restore", false, false, true},
      {"a restore was interrupted before it had stopped", "draining", "nines restore", true, true, true},
      {"a restore had stopped it, and it is held by nobody", "stopped", "", true, false, true},
      {"the service does not want it", "stopped", "", false, false, false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    const ReplicaStatus replicas[] = {{.name = "a-1", .state = row.state, .held_by = row.held_by}};
    std::vector<std::string> before = {"gone-7"};
    if (row.stopped_before) before.emplace_back("a-1");
    const auto plan = plan_restore(replicas, before);
    CHECK(plan.stop == std::vector<std::string>(row.stop ? 1 : 0, "a-1"));
    CHECK(plan.start == std::vector<std::string>(row.start ? 1 : 0, "a-1"));
  }
}

}  // namespace
}  // namespace nines::cli
