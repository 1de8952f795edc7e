// Asks the replicas whether they are well, and writes the verdicts into the shared table. It runs in the gateway,
// because what matters is what the data path can reach.
//
// One per gateway, on one loop; the only writer of verdicts and of the gateway's event ring, and only as long as no
// other gateway has taken its place. It goes on from the verdicts that stand in the table: they hold until its own
// checks say otherwise.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/task.h"
#include "gateway/settings.h"
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
  // Once it returns, nothing more is written.
  Task<void> stop();

 private:
  struct Slot {
    plane::Route route;
    std::shared_ptr<CancelScope> checking;  // of the present incarnation; shared with the task that runs in it
  };

  Task<void> check(std::size_t slot, plane::Route route);
  Task<Result<>> ask(const net::Address& address);
  void publish(std::size_t slot, const plane::Route& route, plane::Health health, std::string_view reason);
  void note_unrouted(std::size_t slot, const plane::Route& before, plane::Wanted now);

  net::Loop& loop_;
  plane::Table& table_;
  const Settings& settings_;
  Random random_;
  std::function<void()> changed_;
  std::vector<Slot> slots_;
  TaskGroup checks_;
};

}  // namespace nines::gateway
