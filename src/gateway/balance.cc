#include "gateway/balance.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace nines::gateway {
namespace {

// Latencies below this are alike: loopback noise must not decide.
constexpr double kLatencyFloor = 1e6;

struct Weights {
  std::uint64_t sum = 0;
  std::uint32_t least = UINT32_MAX, most = 0;
};

Weights weights_of(std::span<const Candidate> candidates) {
  Weights weights;
  for (const Candidate& c : candidates) {
    INVARIANT(c.weight > 0);
    weights.sum += c.weight;
    weights.least = std::min(weights.least, c.weight);
    weights.most = std::max(weights.most, c.weight);
  }
  return weights;
}

double cost_of(const Candidate& c, std::uint32_t whole_weight, Instant now) {
  const double load = static_cast<double>(c.in_flight) * whole_weight / c.weight + 1;
  return load * std::max(c.latency != nullptr ? c.latency->nanoseconds(now) : 0, kLatencyFloor);
}

std::size_t draw_by_weight(std::span<const Candidate> candidates, std::uint64_t sum, Random& random) {
  auto left = static_cast<std::uint64_t>(random.unit() * static_cast<double>(sum));
  std::size_t i = 0;
  while (i + 1 < candidates.size() && left >= candidates[i].weight) left -= candidates[i++].weight;
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

std::optional<std::size_t> choose(std::span<const Candidate> candidates, Instant now, Random& random) {
  if (candidates.size() < 2) return candidates.empty() ? std::nullopt : std::optional<std::size_t>(0);
  const Weights weights = weights_of(candidates);
  std::size_t a = 0, b = 0;
  if (weights.least == weights.most) {
    const auto count = static_cast<std::uint32_t>(candidates.size());
    a = random.below(count);
    b = random.below(count - 1);
    if (b >= a) ++b;
  } else {
    a = draw_by_weight(candidates, weights.sum, random);
    b = draw_by_weight(candidates, weights.sum, random);
  }
  if (a == b) return a;
  return cost_of(candidates[b], weights.most, now) < cost_of(candidates[a], weights.most, now) ? b : a;
}

}  // namespace nines::gateway
