#include "supervise/liveness.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace nines::supervise {
namespace {

constexpr Duration kAfter = 30s;
constexpr Instant kNow{1000s};
constexpr Instant ago(Duration d) { return Instant{kNow.since_boot - d}; }

// One letter for each replica: r ready, u unready and silent for 31 s, U for 40 s, f for 29 s, b unready for 60 s but
// with a byte 5 s ago, s starting, w waiting, d draining, t stopping (ended), x stopped by a person.
Patient patient(char letter) {
  switch (letter) {
    case 'r': return {.state = State::kReady, .since = ago(900s)};
    case 'u': return {.state = State::kUnready, .since = ago(31s)};
    case 'U': return {.state = State::kUnready, .since = ago(40s)};
    case 'e': return {.state = State::kUnready, .since = ago(kAfter)};
    case 'f': return {.state = State::kUnready, .since = ago(29s)};
    case 'b': return {.state = State::kUnready, .since = ago(60s), .progress = ago(5s)};
    case 'B': return {.state = State::kUnready, .since = ago(60s), .progress = ago(31s)};
    case 's': return {.state = State::kStarting, .since = ago(1s)};
    case 'w': return {.state = State::kWaiting, .since = ago(1s)};
    case 'd': return {.state = State::kDraining, .since = ago(1s)};
    case 't': return {.state = State::kStopping, .since = ago(1s)};
    case 'x': return {.state = State::kStopped, .wanted = false, .since = ago(1s)};
    default: break;
  }
  FAIL("no such letter: ", letter);
  return {};
}

TEST_CASE("liveness: who is restarted") {
  struct Row {
    const char* why;
    const char* all;
    int enough;
    int whom;  // -1: nobody
  };
  const Row rows[] = {
      {"everybody is well", "rrr", 2, -1},
      {"one does not answer, and the others are enough", "rur", 2, 1},
      {"exactly after the time", "rer", 2, 1},
      {"not yet", "rfr", 2, -1},
      {"busy: bytes still come", "rbr", 2, -1},
      {"they came, and stopped coming", "rBr", 2, 1},
      {"of two the one that is silent longer", "ruU", 1, 2},
      {"the same in the other order", "rUu", 1, 1},
      {"one is being restarted, and the others are enough: the next may go", "rrrus", 3, 3},
      {"one is being restarted, and the others are not enough", "rrus", 3, -1},
      {"all fail: something they share; one is tried", "uUu", 2, 1},
      {"and nobody else while that one is being ended", "utu", 2, -1},
      {"or waits for its backoff", "uwu", 2, -1},
      {"or is starting", "usu", 2, -1},
      {"or is drained for a person", "udu", 2, -1},
      {"it is ready: the next", "uru", 2, 0},
      {"one that a person stopped is not on its way", "uxu", 2, 0},
      {"a single one", "u", 1, 0},
      {"a single one that starts", "s", 1, -1},
      {"no replica at all", "", 1, -1},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    std::vector<Patient> all;
    for (const char letter : std::string(row.all)) all.push_back(patient(letter));
    const auto whom = whom_to_restart(all, kAfter, row.enough, kNow);
    CHECK((whom ? static_cast<int>(*whom) : -1) == row.whom);
  }
}

}  // namespace
}  // namespace nines::supervise
