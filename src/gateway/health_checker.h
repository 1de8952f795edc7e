// Asks the replicas whether they are well, and writes the verdicts into the shared table. It runs in the gateway,
// because what matters is what the data path can reach.
//
// A verdict has three sources: active checks (health.h), the canary (canary.h), and the workers, who say in the table
// which replica they found to hang (hang_guard.h). A replica is up while none of them says otherwise.
//
// One per gateway, on one loop; the only writer of verdicts and of the gateway's event ring, and only as long as no
// other gateway has taken its place. It goes on from the verdicts that stand in the table: they hold until its own
// checks say otherwise.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/task.h"
#include "gateway/ejections.h"
#include "gateway/settings.h"
#include "net/condition.h"
#include "net/loop.h"
#include "plane/plane.h"

namespace nines::gateway {

class HealthChecker {
 public:
  // `changed` is called after a verdict was written. The loop, the table and the settings outlive the checker.
  HealthChecker(net::Loop& loop, plane::Table& table, const Settings& settings, std::uint64_t seed,
                std::function<void()> changed);
  ~HealthChecker();

  // The supervisor has changed the table: begins checking what is new, ends checking what is gone.
  void refresh();
  // Workers tell that a row of failures has become as long as ejects.
  void judge() { ejections_.judge(); }
  // Once it returns, nothing more is written.
  Task<void> stop();

 private:
  // What is known about one incarnation, shared by the tasks that find it out.
  struct Subject {
    // `known`: what the gateway before this one has found out about the same process.
    Subject(net::Loop& loop, std::size_t slot, const plane::Route& route, const Settings& settings,
            const plane::Verdict& known, CancelScope* parent);
    const std::size_t slot;
    const plane::Route route;
    const net::Address address;
    CancelScope scope;
    HealthCheck health;
    net::Condition check_now;
    std::optional<CanaryWatch> canary{};
    plane::Verdict published;     // what it has of it is in the table
    std::string unwell{};         // why its health is not up
    std::string canary_failed{};  // why its canary does not pass
    bool canary_wrong = false;    // it is answered, wrongly
    Instant hung_at{};            // the hang that was last looked at
    bool hung = false;            // it is down for that
  };
  using Shared = std::shared_ptr<Subject>;

  Task<void> check(Shared subject);
  Task<void> send_canary(Shared subject);
  Task<void> look_now_and_then();
  void look(const Shared& subject);
  void start(Task<void> task, const Shared& subject);
  void update(Subject& subject);
  void event(const Subject& subject, plane::EventKind kind, std::string_view text, std::int64_t a = 0);
  void note_unrouted(std::size_t slot, const plane::Route& before, plane::Wanted now);

  net::Loop& loop_;
  plane::Table& table_;
  const Settings& settings_;
  Random random_;
  std::function<void()> changed_;
  Ejections ejections_;
  std::vector<plane::Route> routes_;  // as last read
  std::vector<Shared> subjects_;      // null: nothing to check
  TaskGroup tasks_;
};

}  // namespace nines::gateway
