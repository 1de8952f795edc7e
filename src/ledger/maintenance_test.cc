#include "ledger/maintenance.h"

#include <doctest/doctest.h>

namespace nines::ledger {
namespace {

Event planned(std::int64_t from, std::int64_t to) {
  return {.kind = std::string(Maintenance::kPlanned), .a = from, .b = to, .text = "why"};
}
Event ended(std::int64_t at) { return {.kind = std::string(Maintenance::kEnded), .a = at}; }

TEST_CASE("maintenance: what is declared, and what ends it") {
  struct Row {
    const char* name;
    std::vector<Event> events;
    std::vector<Maintenance::Window> windows;
  };
  const Row rows[] = {
      {"none", {}, {}},
      {"one", {planned(10, 20)}, {{10, 20, "why"}}},
      {"two that overlap", {planned(10, 20), planned(15, 30)}, {{10, 20, "why"}, {15, 30, "why"}}},
      {"ended early", {planned(10, 20), ended(14)}, {{10, 14, "why"}}},
      {"both end", {planned(10, 20), planned(12, 30), ended(14)}, {{10, 14, "why"}, {12, 14, "why"}}},
      {"what is to come stays", {planned(10, 20), planned(40, 50), ended(14)}, {{10, 14, "why"}, {40, 50, "why"}}},
      {"ended as it begins: none", {planned(10, 20), ended(10)}, {}},
      {"after its end nothing ends", {planned(10, 20), ended(20)}, {{10, 20, "why"}}},
      {"empty ones and other events are nothing",
       {planned(20, 20), planned(20, 10), {.kind = "ready", .a = 1, .b = 99}},
       {}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    Maintenance maintenance;
    for (const Event& event : row.events) maintenance.add(event);
    CHECK(maintenance.windows() == row.windows);
  }
}

TEST_CASE("maintenance: it covers its seconds, and not the one at its end") {
  Maintenance maintenance;
  maintenance.add(planned(10, 20));
  maintenance.add(planned(18, 25));
  for (const auto& [second, covered] : {std::pair{9, false}, {10, true}, {19, true}, {24, true}, {25, false}})
    CHECK(maintenance.covers(second) == covered);
}

}  // namespace
}  // namespace nines::ledger
