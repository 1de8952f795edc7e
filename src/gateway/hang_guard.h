// One worker's watch over requests that wait for their first byte: finds out which replica hangs (the policy is
// hang.h), and takes the requests of one that does away from it.
//
// That a replica hangs is said in the table, as a time: Observed::hung_ns. It holds until a check is passed later than
// that (Observed::passed_ns), so whoever finds it out un-routes the replica for all workers at once, and whoever sees
// it alive ends it. The health checker turns it into a verdict.
//
// No request has a timer for this. They queue up per replica in the order in which they were sent; a tick that runs
// only while there are any looks at the oldest of each.
//
// One thread: the worker's.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/intrusive_list.h"
#include "base/task.h"
#include "gateway/hang.h"
#include "gateway/settings.h"
#include "net/loop.h"
#include "plane/plane.h"

namespace nines::gateway {

// Requests get no byte from it, and it does not answer its health check.
inline bool hangs(const plane::Observed& observed) {
  return observed.hung_ns.load(std::memory_order_relaxed) > observed.passed_ns.load(std::memory_order_relaxed);
}

// Notes that a replica passed a check now: the later of two that do so counts.
void note_passed(plane::Observed& observed, Instant now);

// A request that waits for its first byte; a part of its attempt. Dies, or leaves(), when the byte comes.
class Waiter : public ListLink {
 public:
  explicit Waiter(CancelScope& attempt) : attempt_(attempt) {}
  // It was taken away: its scope was cancelled. Says why, for the client, should there be nowhere else to go.
  const std::optional<std::string>& taken() const { return taken_; }

 private:
  friend class HangGuard;
  CancelScope& attempt_;
  Instant sent_at_{};
  bool movable_ = false;
  std::optional<std::string> taken_;
};

class HangGuard {
 public:
  // `settings` and `table` outlive it.
  HangGuard(net::Loop& loop, plane::Table& table, const Settings& settings);
  // REQUIRES: stopped, or the loop has ended.
  ~HangGuard();
  Task<void> stop();

  // The whole request was sent to the replica, and its first byte is waited for. `movable`: it may be sent elsewhere.
  void begin(std::size_t slot, Waiter& waiter, bool movable);
  // What the worker knows of a replica. `hung`: the verdict says that it does not work on what it has, and why (it
  // completes "it …"); empty: the verdict says nothing of the kind.
  struct Known {
    std::uint64_t incarnation = 0;
    net::Address address{};
    bool routable = false;
    std::string_view hung{};
  };
  void on_route(std::size_t slot, const Known& known);

 private:
  struct Replica {
    std::uint64_t incarnation = 0;
    net::Address address{};
    bool routable = false;
    std::string verdict{};  // as Known::hung
    bool probe_failed = false;
    bool probing = false;
    HangWatch watch{};
    IntrusiveList<Waiter> waiting{};  // the oldest first
    std::string why{};                // of the last hang found here
    // The latencies of its last minute or two are what was counted since `base`.
    plane::LatencyCounts base{}, next_base{};
    Instant based{};
    std::optional<Duration> p99{};
    Instant p99_at{};
  };
  struct Tick final : net::Timer {
    explicit Tick(HangGuard& g) : guard(g) {}
    void on_timer() override { guard.tick(); }
    HangGuard& guard;
  };

  void tick();
  void look(std::size_t slot);
  void take_away(std::size_t slot, const std::string& why);
  Task<void> probe(std::size_t slot, std::uint64_t incarnation);
  bool another_lives_than(std::size_t slot) const;
  std::optional<Duration> p99_of(std::size_t slot);

  net::Loop& loop_;
  plane::Table& table_;
  const Settings& settings_;
  std::vector<Replica> replicas_;
  Tick tick_{*this};
  TaskGroup probes_;
};

}  // namespace nines::gateway
