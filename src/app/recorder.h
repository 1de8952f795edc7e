// The keeper's hand on the record: takes the log from the shared table into the ledger, in a thread of its own, because
// a slow disk must not keep replicas waiting for their output to be drained.
//
// Killed at any moment, it loses and doubles nothing: the ledger holds, in one transaction with the events, how far it
// has got. While it cannot write (disk full, file locked) the log keeps 1,024 events; more are recorded as lost. What
// was measured meanwhile waits in memory, a day of it at most.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "app/meter.h"
#include "app/paths.h"
#include "ledger/ledger.h"
#include "ledger/maintenance.h"
#include "net/epoll_loop.h"
#include "plane/plane.h"
#include "web/view.h"

namespace nines::app {

// Of the shared table, at one moment.
struct Counters {
  std::array<std::uint64_t, plane::kOutcomes> outcomes{};
  plane::LatencyCounts latency{};
};
// Fixed in length, so that another version's is told by it.
std::string bytes_of(const Counters& counters);
std::optional<Counters> counters_of(std::string_view bytes);

// A slice that is over, and the counters as it ended.
struct Measured {
  Meter::Closed slice;
  std::int64_t until = 0;  // Unix seconds: as far as it is judged
  Counters counters;
};
// The slice for the ledger: with what was counted since `before`. Pure.
ledger::Slice slice_of(const Measured& measured, const Counters& before);
// What has been recorded, for the next slice. Never lower than before: a table whose counters were carried over to
// another one has none left, and what was counted twice would be these.
void advance(Counters& base, const Counters& now);

class Recorder {
 public:
  static constexpr std::size_t kWaitingMax = 8640;  // slices: a day

  // `replicas`: names by slot. The thread begins at once.
  Recorder(plane::Table& table, const Paths& paths, std::vector<std::string> replicas);
  // Takes what there is, and ends.
  ~Recorder();

  // From any thread: the log has grown.
  void wake();
  // From any thread.
  void add(const Measured& measured);
  void tell(plane::Event event);                      // what the keeper itself has to tell
  void add_down(std::int64_t from, std::int64_t to);  // nothing ran between these Unix seconds; before the first add()
  // Whether this second (Unix) lies in declared maintenance. From any thread.
  bool in_maintenance(std::int64_t second) const;
  // From any thread.
  web::LedgerFacts facts() const;

 private:
  Task<void> run();
  Result<> take();
  Result<> take_told();
  Result<> take_down();
  Result<> take_measured();
  Result<> add_to_ledger(std::span<const Measured> measured);
  Result<Counters> counters_before();
  Result<> open();
  ledger::Event recorded(const plane::Event& event) const;

  plane::Table& table_;
  const std::string file_;
  const std::vector<std::string> replicas_;
  const std::string boot_id_;
  std::optional<ledger::Ledger> ledger_;
  Instant pruned_{};

  mutable std::mutex mutex_;
  ledger::Maintenance maintenance_;                            // guarded by mutex_
  web::LedgerFacts facts_;                                     // guarded by mutex_
  std::deque<Measured> measured_;                              // guarded by mutex_
  std::optional<std::pair<std::int64_t, std::int64_t>> down_;  // guarded by mutex_
  std::deque<plane::Event> told_;                              // guarded by mutex_
  std::uint64_t slices_dropped_ = 0;                           // guarded by mutex_

  net::EpollLoop loop_;
  Fd bell_;
  CancelScope until_stopped_;
  std::thread thread_;
};

}  // namespace nines::app
