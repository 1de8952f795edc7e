// The replicas of one service as a whole: whether its start has failed for good, when `up` is done, and how
// many replicas are enough. Pure; it remembers only what no replica can know alone.
//
// The rule it exists for: a typo in the command should end `nines up` within a second, with the log's last
// lines; the same crash loop a year later must never end it. So giving up is possible only until the
// first replica was ready once.
//
// Stopping: call stop() here and Replica::stop() on every replica. They drain in parallel, so the whole takes at
// most drain_wait + stop_grace, however many there are.
#pragma once

#include <cstdint>

#include "base/error.h"
#include "base/time.h"
#include "supervise/replica.h"

namespace nines::supervise {

struct FleetLimits {
  int quick_exits_max = 5;
  // Measured from the spawn. Importing a model library takes 5 to 20 s before the line that fails is reached, so
  // "quick" has to be longer than that; a server that waits a minute for its database is not quick.
  Duration quick = 30s;
};

enum class Outcome : std::uint8_t { kGoesOn, kDone, kGaveUp };
enum class Reason : std::uint8_t { kNone, kCrashAtStart, kPortInUse, kNeverReady, kCannotExecute };

struct Verdict {
  Outcome outcome = Outcome::kGoesOn;
  Reason reason = Reason::kNone;
  int exit_status = 0;  // of `up`: 0 done, 1 never ready, 2 the command cannot be executed

  friend bool operator==(const Verdict&, const Verdict&) = default;
};

class Fleet {
 public:
  explicit Fleet(int replica_count, FleetLimits limits = {});

  // Feed it what Replica::on_exit returned, for every replica.
  void on_exit(const Ended& ended);
  // An error from spawn(). kNotFound, kRefused and kInvalid mean that trying again cannot help; the rest (out
  // of processes, of memory) counts as a quick exit.
  void on_spawn_failed(Code code);
  // A replica was killed at its startup deadline.
  void on_too_late();
  void on_ready();
  void stop();  // a person ends the service

  // `not_stopped`: how many replicas are not in State::kStopped, or are there because a person wants them so.
  Verdict verdict(int not_stopped) const;

  // k of "restart one for its health only while k others are ready", and of `up --detach` returning 0.
  int enough_ready() const;
  bool ever_ready() const { return ever_ready_; }

 private:
  FleetLimits limits_;
  int replica_count_;
  int quick_exits_ = 0;
  int port_clashes_ = 0;
  int too_late_ = 0;
  bool cannot_execute_ = false;
  bool ever_ready_ = false;
  bool stopping_ = false;
};

}  // namespace nines::supervise
