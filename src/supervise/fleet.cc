#include "supervise/fleet.h"

#include <algorithm>

#include "base/check.h"

namespace nines::supervise {

Fleet::Fleet(int replica_count, FleetLimits limits) : limits_(limits), replica_count_(replica_count) {
  INVARIANT(replica_count > 0);
}

void Fleet::on_exit(const Ended& ended) {
  if (ended.ending == Ending::kPortInUse) ++port_clashes_;
  if (ended.ending == Ending::kCrash && ended.lived <= limits_.quick) ++quick_exits_;
}

void Fleet::on_spawn_failed(Code code) {
  if (code == Code::kNotFound || code == Code::kRefused || code == Code::kInvalid)
    cannot_execute_ = true;
  else
    ++quick_exits_;
}

void Fleet::on_too_late() { ++too_late_; }

void Fleet::on_ready() { ever_ready_ = true; }

void Fleet::stop() { stopping_ = true; }

Verdict Fleet::verdict(int not_stopped) const {
  // A person's stop comes first: what was wanted has happened, whatever went wrong before.
  if (stopping_) return not_stopped == 0 ? Verdict{Outcome::kDone, Reason::kNone, 0} : Verdict{};
  if (ever_ready_) return {};
  if (cannot_execute_) return {Outcome::kGaveUp, Reason::kCannotExecute, 2};
  // By their restart policy nobody will try again.
  if (not_stopped == 0) return {Outcome::kGaveUp, Reason::kCrashAtStart, 1};
  if (quick_exits_ >= limits_.quick_exits_max) return {Outcome::kGaveUp, Reason::kCrashAtStart, 1};
  // Five free ports in a row, all taken: the command does not listen where it is told to.
  if (port_clashes_ >= limits_.quick_exits_max) return {Outcome::kGaveUp, Reason::kPortInUse, 1};
  // As many as there are have had their whole startup time.
  if (too_late_ >= replica_count_) return {Outcome::kGaveUp, Reason::kNeverReady, 1};
  return {};
}

int Fleet::enough_ready() const { return std::max(replica_count_ - 1, 1); }

}  // namespace nines::supervise
