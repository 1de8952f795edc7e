// A service in a table of its own, at a time of its own: three replicas that are ready, and all four parts.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "web/view.h"

namespace nines::web::testing {

struct World {
  static constexpr Instant kNow{100'000s};
  static constexpr WallTime kWall{std::chrono::sys_days{std::chrono::year{2026} / 11 / 23} + 20h};

  World() {
    table->anchor.store(part(101, 90'000s));
    table->supervisor.store(part(102, 90'001s));
    table->gateway.store(part(103, 90'002s));
    table->keeper.store(part(104, 90'003s));
    table->header.gateway_serving = 103;
    for (std::size_t slot = 0; slot < 3; ++slot) replica(slot, "ai-" + std::to_string(slot + 1));
    facts.service = "ai";
    facts.version = "0.1.0";
    facts.listen = {"http://127.0.0.1:8000"};
    facts.objective = 0.999;
    facts.folder = "/srv/ai/.nines";
    facts.enough = 2;
    facts.alive = [this](std::uint32_t pid, std::uint64_t) { return !dead.contains(pid); };
  }

  static plane::Part part(std::uint32_t pid, Duration since) {
    return {.pid = pid, .starts = 1, .start_time = 7, .since_ns = since.count()};
  }

  // Ready, as a rule: see set() for anything else.
  void replica(std::size_t slot, std::string_view name) {
    plane::Route route{.incarnation = slot + 1,
                       .since_ns = at(95'000s, slot),
                       .spawned_ns = at(94'000s, slot),
                       .start_time = 7,
                       .pid = static_cast<std::uint32_t>(1001 + slot),
                       .port = static_cast<std::uint16_t>(20'001 + slot),
                       .wanted = plane::Wanted::kServe,
                       .state = 2,
                       .listening = 1};
    plane::set_field(route.name, name);
    table->routes[slot].store(route);
    verdict(slot, plane::Health::kUp, 95'000s + Duration(std::chrono::seconds(slot)));
  }

  template <class Change>
  void change(std::size_t slot, Change how) {
    plane::Route route = *table->routes[slot].load();
    how(route);
    table->routes[slot].store(route);
  }

  void verdict(std::size_t slot, plane::Health health, Duration since, std::string_view reason = "") {
    plane::Verdict verdict{
        .incarnation = table->routes[slot].load()->incarnation, .since_ns = since.count(), .health = health};
    plane::set_field(verdict.reason, reason);
    table->observed[slot].verdict.store(verdict);
  }

  void eject(std::size_t slot, Instant until) {
    plane::Verdict verdict = *table->observed[slot].verdict.load();
    verdict.ejected_until_ns = until.since_boot.count();
    verdict.ejections = 1;
    verdict.cause = plane::EjectionCause::kConnect;
    table->observed[slot].verdict.store(verdict);
  }

  void push(plane::EventKind kind, Duration at, std::uint16_t replica = plane::kNoReplica, std::string_view text = "") {
    plane::Event event{.at_ns = at.count(), .kind = kind, .replica = replica};
    event.set_text(text);
    table->log.push(event);
  }

  // What a writer leaves that dies in the middle of a store: an odd sequence, which is the record's first word.
  template <class T>
  static void tear(plane::Seqlock<T>& record) {
    const std::uint32_t odd = record.sequence() | 1U;
    std::memcpy(static_cast<void*>(&record), &odd, sizeof odd);
  }

  View view() const { return view_of(*table, facts, kNow, kWall); }

  std::unique_ptr<plane::Table> table = std::make_unique<plane::Table>();
  Facts facts;
  std::set<std::uint32_t> dead;

 private:
  static std::int64_t at(Duration since, std::size_t slot) { return (since + std::chrono::seconds(slot)).count(); }
};

// The moment at this time since boot, as World's wall clock has it.
inline std::optional<WallTime> wall(Duration since_boot) {
  return World::kWall - (World::kNow.since_boot - since_boot);
}

}  // namespace nines::web::testing
