#include "availability/repair.h"

#include <algorithm>
#include <boost/math/distributions/chi_squared.hpp>
#include <cmath>
#include <vector>

#include "base/check.h"

namespace nines::availability {
namespace {

namespace policies = boost::math::policies;
// Nothing thrown: what overflows is infinite, and is told apart by its value.
using Quiet =
    policies::policy<policies::domain_error<policies::ignore_error>, policies::pole_error<policies::ignore_error>,
                     policies::overflow_error<policies::ignore_error>,
                     policies::evaluation_error<policies::ignore_error>>;
using ChiSquared = boost::math::chi_squared_distribution<double, Quiet>;

// `tail`: the probability of a value above it.
double chi_squared_above(double tail, std::uint64_t degrees) {
  return boost::math::quantile(boost::math::complement(ChiSquared(static_cast<double>(degrees)), tail));
}
double chi_squared_below(double tail, std::uint64_t degrees) {
  return boost::math::quantile(ChiSquared(static_cast<double>(degrees)), tail);
}

Duration divide(Duration time, double by) {
  const double ns = static_cast<double>(time.count()) / by;
  // 2^63 as a double; what is no number or larger has no end.
  return ns < 0x1.0p63 ? Duration(static_cast<Duration::rep>(ns)) : Duration::max();
}

Duration each(Duration sum, std::uint64_t count) {
  return Duration(static_cast<Duration::rep>(static_cast<std::uint64_t>(sum.count()) / count));
}

}  // namespace

Operation& Operation::operator+=(const Operation& other) {
  up += other.up;
  down += other.down;
  failures += other.failures;
  return *this;
}

Operation operation_of(const Partition& partition) {
  Operation operation;
  bool down = false, counted = false;
  for (const Slice& slice : partition.slices) {
    if (slice.observed == State::kDown) {
      if (!down) counted = false;
      down = true;
      if (!slice.maintenance && !counted) {
        ++operation.failures;
        counted = true;
      }
    } else if (slice.observed != State::kUnknown) {
      down = false;
    }
  }
  const ObservedTime time = contractual(partition.account());
  operation.up = time.up + time.degraded;
  operation.down = time.down;
  return operation;
}

std::optional<RepairFigures> repair_figures(const Operation& operation) {
  if (operation.failures == 0) return std::nullopt;
  return RepairFigures{.mttf = each(operation.up, operation.failures),
                       .mttr = each(operation.down, operation.failures),
                       .mtbf = each(operation.up + operation.down, operation.failures)};
}

std::optional<Availability> availability_of(const Operation& operation) {
  const Duration total = operation.up + operation.down;
  if (total == 0ns) return std::nullopt;
  return Availability::of_unavailability(ratio(operation.down, total));
}

std::optional<Availability> popular_short_form(const Operation& operation) {
  const Duration total = operation.up + operation.down;
  if (total == 0ns) return std::nullopt;
  // (total ÷ N) ÷ (total ÷ N + down ÷ N): N cancels.
  return Availability::of_unavailability(
      static_cast<double>(operation.down.count()) /
      (static_cast<double>(total.count()) + static_cast<double>(operation.down.count())));
}

Duration mttf_at_least(const Operation& operation, double confidence) {
  INVARIANT(confidence > 0 && confidence < 1);
  return divide(operation.up, chi_squared_above(1 - confidence, 2 * operation.failures + 2) / 2);
}

MttfInterval mttf_interval(const Operation& operation, double confidence) {
  INVARIANT(confidence > 0 && confidence < 1);
  const double tail = (1 - confidence) / 2;
  MttfInterval interval{.low = mttf_at_least(operation, 1 - tail), .high = std::nullopt};
  if (operation.failures > 0) interval.high = divide(operation.up, chi_squared_below(tail, 2 * operation.failures) / 2);
  return interval;
}

std::optional<Bracket> time_to(Phase phase, const Incident& incident) {
  const auto& moment = incident.at(phase);
  if (!moment) return std::nullopt;
  const Duration least = Interval{incident.first_bad, *moment}.length();
  return Bracket{.least = least, .most = std::max(least, Interval{incident.last_good, *moment}.length())};
}

std::optional<Bracket> mean_time_to(Phase phase, std::span<const Incident> incidents) {
  Bracket sum;
  std::uint64_t count = 0;
  for (const Incident& incident : incidents) {
    const auto time = time_to(phase, incident);
    if (!time) continue;
    sum.least += time->least;
    sum.most += time->most;
    ++count;
  }
  if (count == 0) return std::nullopt;
  return Bracket{.least = each(sum.least, count), .most = each(sum.most, count)};
}

Operation operation_of(const Interval& window, std::span<const Incident> incidents) {
  std::vector<Interval> stretches;
  for (const Incident& incident : incidents)
    stretches.push_back({incident.first_bad, incident.at(Phase::kVerified).value_or(window.end)});
  const Intervals down = Intervals(std::move(stretches)) & Intervals({window});
  const Duration total = down.total();
  return {.up = window.length() - total, .down = total, .failures = down.parts().size()};
}

}  // namespace nines::availability
