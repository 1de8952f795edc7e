#include "gateway/balance.h"

#include <algorithm>
#include <cmath>

namespace nines::gateway {
namespace {

// Latencies below this are alike: loopback noise must not decide.
constexpr double kLatencyFloor = 1e6;

double cost_of(const Candidate& c) {
  return static_cast<double>(c.in_flight + 1) * std::max(c.latency_ns, kLatencyFloor);
}

// The n-th allowed candidate.
std::size_t nth_allowed(std::span<const Candidate> candidates, std::size_t n) {
  std::size_t i = 0;
  while (!candidates[i].allowed || n-- > 0) ++i;
  return i;
}

}  // namespace

double PeakEwma::nanoseconds(Instant now) const {
  const double age = static_cast<double>((now - at_).count()) / static_cast<double>(decay_.count());
  return value_ * std::exp(-std::max(age, 0.0));
}

void PeakEwma::record(Duration latency, Instant now) {
  const auto sample = static_cast<double>(std::max(latency, 0ns).count());
  const double weight =
      std::exp(-std::max(static_cast<double>((now - at_).count()) / static_cast<double>(decay_.count()), 0.0));
  value_ = sample > value_ ? sample : value_ * weight + sample * (1 - weight);
  at_ = now;
}

std::optional<std::size_t> choose(std::span<const Candidate> candidates, Random& random) {
  const auto allowed = static_cast<std::uint32_t>(
      std::count_if(candidates.begin(), candidates.end(), [](const Candidate& c) { return c.allowed; }));
  if (allowed == 0) return std::nullopt;
  if (allowed == 1) return nth_allowed(candidates, 0);
  const std::uint32_t first = random.below(allowed);
  std::uint32_t second = random.below(allowed - 1);
  if (second >= first) ++second;
  const std::size_t a = nth_allowed(candidates, first), b = nth_allowed(candidates, second);
  return cost_of(candidates[b]) < cost_of(candidates[a]) ? b : a;
}

}  // namespace nines::gateway
