// Active health of one incarnation of one replica: results of checks in, verdict and time of the next check out. Pure.
//
//             one pass          `fall` failures in a row, or its requests hang
//   kUnknown ----------> kUp ------------------------------------------> kDown
//                         ^                                                |
//                         |   `rise` passes in a row; one, when it hung    |
//                         +------------------------------------------------+
//
// A replica begins unknown, which is not routed: "up before its first check" is a fault of other gateways. While it
// starts it is asked often, so that readiness costs milliseconds, and failures mean nothing. A gateway that takes over
// from another begins with what that one has found.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace nines::gateway {

struct HealthLimits {
  Duration interval = 2s;          // while all is well
  Duration transition = 500ms;     // after a first result that contradicts the verdict
  Duration starting = 25ms;        // until the first pass of this incarnation
  Duration starting_slow = 250ms;  // the same, once it has taken longer than `starting_patience`
  Duration starting_patience = 10s;
  Duration down = 1s;    // while it is down
  int rise = 2;          // passes from down to up
  int fall = 3;          // failures from up to down
  double jitter = 0.05;  // of every pause, so that checks of many gateways do not march in step
};

enum class Standing : std::uint8_t { kUnknown, kUp, kDown };

class HealthCheck {
 public:
  HealthCheck(HealthLimits limits, Instant now, Standing known = Standing::kUnknown)
      : limits_(limits), standing_(known), rise_(limits.rise), begun_(now), next_(now) {}

  // A check ended. `jitter` in [-1, 1). True when the standing changed.
  bool on_pass(Instant now, double jitter);
  bool on_fail(Instant now, double jitter);

  // Requests hang there and a fresh check has failed: it is down at once. Its next check is due now, and one pass
  // brings it back. True when the standing changed; while it is not up there is nothing to change.
  bool on_hung(Instant now);

  Standing standing() const { return standing_; }
  Instant next_check() const { return next_; }  // the first is due at once

 private:
  void plan(Instant now, Duration pause, double jitter);
  bool become(Standing standing);

  HealthLimits limits_;
  Standing standing_;
  int rise_ = 0;  // passes that bring it back
  int run_ = 0;   // results in a row that contradict the standing
  Instant begun_;
  Instant next_;
};

}  // namespace nines::gateway
