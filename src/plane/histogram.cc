#include "plane/histogram.h"

#include <bit>
#include <cmath>

namespace nines::plane {

std::size_t latency_bucket(Duration latency) {
  // Four buckets per power of two: the exponent and the two bits below the leading one, linear in between. In quarters
  // of a microsecond the leading one always has two bits below it.
  const auto quarters = latency < 1us ? 4ULL : static_cast<unsigned long long>(latency / 250ns);
  const auto exponent = static_cast<std::size_t>(std::bit_width(quarters) - 1);
  const std::size_t quarter = (quarters >> (exponent - 2)) & 3U;
  return std::min((exponent - 2) * 4 + quarter, kLatencyBuckets - 1);
}

Duration latency_bound(std::size_t bucket) {
  const double base = std::ldexp(1.0, static_cast<int>(bucket / 4));
  const double upper = base * (1.25 + 0.25 * static_cast<double>(bucket % 4));
  return Duration(static_cast<std::int64_t>(upper * 1000.0));
}

std::optional<Duration> quantile(const LatencyCounts& counts, double fraction) {
  std::uint64_t total = 0;
  for (const auto count : counts) total += count;
  if (total == 0) return std::nullopt;
  const auto wanted =
      std::max<std::uint64_t>(1, static_cast<std::uint64_t>(std::ceil(fraction * static_cast<double>(total))));
  std::uint64_t seen = 0;
  for (std::size_t bucket = 0; bucket < counts.size(); ++bucket) {
    seen += counts[bucket];
    if (seen >= wanted) return latency_bound(bucket);
  }
  return latency_bound(kLatencyBuckets - 1);
}

LatencyCounts LatencyHistogram::snapshot() const {
  LatencyCounts counts;
  for (std::size_t i = 0; i < counts.size(); ++i) counts[i] = counts_[i].load(std::memory_order_relaxed);
  return counts;
}

}  // namespace nines::plane
