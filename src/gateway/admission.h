// Who has to wait for a replica, and who is turned away: a bounded queue, and a Retry-After that is measured. Pure.
//
// Everybody who waits in a queue that is longer than what is served in the time its clients are patient for waits in
// vain; a 503 at once costs them, and the replicas, nothing. 503, because the service lacks capacity: 429 would blame
// the caller.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.h"
#include "gateway/sliding_count.h"

namespace nines::gateway {

struct AdmissionLimits {
  std::uint64_t in_flight = 32;   // attempts on one replica, over all workers; workers that decide in the same instant
                                  // may exceed it by one each
  std::size_t queue = 100;        // requests of the gateway that wait; each worker takes its share
  Duration queue_time = 5s;       // how long one waits
  Duration look = 5ms;            // how often the head of a queue looks whether another worker has freed a slot
  Duration retry_after_min = 1s;  // what clients are told
  Duration retry_after_max = 60s;
};

// At least one, so that a replica that restarts costs no worker its requests.
constexpr std::size_t queue_share(const AdmissionLimits& limits, std::size_t workers) {
  return limits.queue / workers > 0 ? limits.queue / workers : 1;
}

// Attempts that ended lately, per second.
class CompletionRate {
 public:
  void on_end(Instant now);
  double per_second(Instant now);

 private:
  static constexpr Duration kWindow = 10s;
  SlidingCount ended_{kWindow};
  Instant first_ = Instant::never();
};

// When a client that is turned away may come back, in whole seconds: the time in which everybody who is before it in
// the queue will have been served, spread by `jitter` in [0, 1) so that those who were turned away together do not come
// back together. `rate` 0: nobody knows, so as late as allowed.
int retry_after_seconds(const AdmissionLimits& limits, std::size_t queued, double rate, double jitter);

// The same when no replica is ready at all: how long that lasts says no queue. A process restarts in seconds.
int retry_after_outage_seconds(const AdmissionLimits& limits, double jitter);

}  // namespace nines::gateway
