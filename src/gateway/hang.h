// Does a replica hang, and what is to be done about the requests it has? Pure.
//
// A process that is stopped, swapped out or deadlocked keeps its connections open: nothing breaks, and every request it
// has waits for a time-out. So a time to first byte that is out of the replica's own proportion makes us ask its
// health, at once, over a fresh connection. Slow but alive answers, and is left alone.
//
//                 no byte from it for                 the probe fails, nothing came
//                 patience()                          meanwhile, another one lives
//     calm ------------------------------> probing ---------------------------------> hung: un-routed, and the
//      ^                                      |                                         requests that may be sent
//      |  the probe passes, or a byte came:   |                                         elsewhere are
//      +--- next probe at twice the wait -----+
//
// The probe is the health path. Where there is none, nothing is probed and nobody is found to hang: a TCP connection is
// accepted by the kernel, also for a process that is stopped. The canary (canary.h) is what is left there.
//
// One is found to hang only as long as another makes progress: where all of them stand still, the reason is something
// that they share (a database, the machine), and sending requests round helps nobody.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/time.h"

namespace nines::gateway {

struct HangLimits {
  double factor = 4;       // of the replica's own 99th percentile of the time to first byte
  Duration floor = 250ms;  // at least so long
  Duration probe = 500ms;  // in which the health check must answer
  Duration tick = 50ms;    // how often it is looked, while requests are under way
  // So long a byte or a passed check proves that another replica lives: beyond the pause between two checks.
  Duration lives = 4s;
};

// How long a replica may be silent while it has a request before it is probed. `p99`: nullopt when it has not answered
// often enough to have one.
Duration hang_patience(const HangLimits& limits, std::optional<Duration> p99);

// One replica, as seen by one worker: when to probe it, and what the result means.
class HangWatch {
 public:
  enum class What : std::uint8_t { kNothing, kProbe };

  // A look at it. `oldest`: when the request was sent that has waited longest for its first byte; nullopt: none waits.
  // `progress`: when the last byte of any request came from it, to any worker. kProbe: do it now, then say how it
  // ended; until then nothing more is asked for.
  What look(Instant now, std::optional<Instant> oldest, Instant progress, Duration patience);

  // The probe has ended. True: the replica hangs. `progress` as above, `another_lives` as below.
  bool on_probe(Instant now, bool passed, Instant progress, bool another_lives);

  // Since when nothing has come from it: what on_probe() judged by.
  Instant silent_since() const { return silent_since_; }

 private:
  bool probing_ = false;
  Instant silent_since_{};
  Duration next_wait_{0};  // of the present silence: how long it must last until the next probe
};

// What is known about a replica other than the one that may hang.
struct Neighbour {
  bool routable = false;
  bool suspected = false;  // it is being probed, or its last probe failed
  Instant progress{};      // the last byte that came from it
  Instant passed{};        // its last passed check
};
bool another_lives(const HangLimits& limits, std::span<const Neighbour> others, Instant now);

}  // namespace nines::gateway
