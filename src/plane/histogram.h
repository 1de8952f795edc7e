// Latencies as counts in buckets, four to a power of two and equally wide within it: 1 µs to 71 min in 128 buckets,
// with an error of at most 25 %. Counts only, so histograms add up over replicas, processes and time. One writer's
// increments are seen by readers as they come; a reader may miss the last few.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "base/time.h"

namespace nines::plane {

inline constexpr std::size_t kLatencyBuckets = 128;
using LatencyCounts = std::array<std::uint64_t, kLatencyBuckets>;

// The bucket a latency falls in, and the largest latency of a bucket.
std::size_t latency_bucket(Duration latency);
Duration latency_bound(std::size_t bucket);

// The smallest bound that at least `fraction` of all latencies are within; nullopt when there are none.
std::optional<Duration> quantile(const LatencyCounts& counts, double fraction);

class LatencyHistogram {
 public:
  void record(Duration latency) { counts_[latency_bucket(latency)].fetch_add(1, std::memory_order_relaxed); }
  LatencyCounts snapshot() const;
  // REQUIRES: nobody records.
  void clear() {
    for (auto& count : counts_) count.store(0, std::memory_order_relaxed);
  }

 private:
  std::array<std::atomic<std::uint64_t>, kLatencyBuckets> counts_ = {};
};

}  // namespace nines::plane
