// Performs what outlier.h and panic.h decide, for the whole gateway: reads the rows of failures that all workers keep
// in the shared table, writes ejections into the verdicts, panic into the header, and says so in the log.
//
//     in rotation --a row is long enough, the fleet can spare it--> ejected --its pause is over, or an active check
//          ^                                                           |       contradicts it-->+
//          +-----------------------------------------------------------+------------------------+
//
// An ejection ends because time passes: workers compare times, and the timer here only announces it. What stands in the
// table holds when another gateway takes over, which goes on from it.
//
// One per gateway, on the loop of the health checker, who owns it: it writes the rest of the verdicts.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "base/task.h"
#include "gateway/outlier.h"
#include "gateway/settings.h"
#include "net/loop.h"
#include "plane/plane.h"

namespace nines::gateway {

class Ejections {
 public:
  // `changed` is called after something was written that workers go by. The rest outlives this.
  Ejections(net::Loop& loop, plane::Table& table, const Settings& settings, std::function<void()> changed);
  ~Ejections();

  // The table has changed: routes, or the health of a replica.
  void refresh();
  // A row of failures may be long enough.
  void judge();
  // An active check has passed. `incarnation`: of the process that it was made on.
  void on_proof(std::size_t slot, std::uint64_t incarnation, Proof proof);
  // Once it returns, nothing more is written.
  Task<void> stop();

 private:
  struct Slot {
    std::uint64_t incarnation = 0;
    std::uint32_t pid = 0;
    bool wanted = false;     // requests are, for this one
    plane::Verdict verdict;  // as last read
    bool is_current() const { return wanted && verdict.incarnation == incarnation; }
    Instant ejected_until() const { return Instant{Duration(is_current() ? verdict.ejected_until_ns : 0)}; }
  };
  void read();
  void eject(std::size_t slot, const Ejection& ejection, std::uint32_t row);
  void readmit(std::size_t slot, std::string_view why);
  Task<void> announce_end(std::size_t slot, std::uint64_t incarnation, Instant until);
  void end_rows(std::size_t slot);
  bool weigh_panic();
  void event(plane::EventKind kind, std::uint16_t slot, std::string_view text, std::int64_t a, std::int64_t b = 0);

  net::Loop& loop_;
  plane::Table& table_;
  const Settings& settings_;
  std::function<void()> changed_;
  std::vector<Slot> slots_;
  std::vector<Suspect> fleet_;  // scratch of judge()
  TaskGroup announcements_;
  bool stopped_ = false;
};

}  // namespace nines::gateway
