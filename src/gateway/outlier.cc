#include "gateway/outlier.h"

#include <algorithm>

#include "base/check.h"

namespace nines::gateway {

using plane::EjectionCause;

void Blame::failed(const Blamed& what) {
  if (count_ < kMax) all_[count_++] = what;
}

bool Blame::is_replicas_fault(std::size_t i) const {
  const Blamed& one = all_[i];
  if (one.failure == Failure::kConnect || acquitted_) return true;
  return std::none_of(all_.begin(), all_.begin() + static_cast<std::ptrdiff_t>(count_),
                      [&](const Blamed& other) { return other.failure == one.failure && other.slot != one.slot; });
}

namespace {

std::optional<EjectionCause> cause_of(const OutlierLimits& limits, const Suspect& suspect) {
  if (suspect.connect_failures >= limits.connect_failures) return EjectionCause::kConnect;
  if (suspect.gateway_errors >= limits.gateway_errors) return EjectionCause::kGatewayErrors;
  return std::nullopt;
}

bool another_is_well(std::span<const Suspect> fleet, const Suspect& suspect, Instant now) {
  return std::ranges::any_of(fleet, [&](const Suspect& other) {
    const bool serves = other.in_fleet && other.up && !other.ejected(now);
    return &other != &suspect && serves && other.well >= suspect.failing_since;
  });
}

bool can_be_spared(const OutlierLimits& limits, std::span<const Suspect> fleet, Instant now) {
  std::int64_t size = 0, out = 0, serving = 0;
  for (const Suspect& s : fleet) {
    if (!s.in_fleet) continue;
    ++size;
    out += s.ejected(now) ? 1 : 0;
    serving += s.up && !s.ejected(now) ? 1 : 0;
  }
  return serving > 1 && (out + 1) * 100 <= limits.ejected_percent_max * size;
}

// Those before, less one for every stretch of time without any.
std::uint32_t not_forgiven(const OutlierLimits& limits, const Suspect& suspect, Instant now) {
  if (suspect.ejections == 0) return 0;
  const auto stretches = (now - suspect.ejected_until) / limits.forgiven_after;
  return stretches >= suspect.ejections ? 0 : suspect.ejections - static_cast<std::uint32_t>(stretches);
}

Duration pause_after(const OutlierLimits& limits, std::uint32_t before) {
  Duration pause = limits.pause_min;
  for (std::uint32_t i = 0; i < before && pause < limits.pause_max; ++i) pause *= 2;
  return std::min(pause, limits.pause_max);
}

}  // namespace

std::optional<Ejection> judge_outlier(const OutlierLimits& limits, std::span<const Suspect> fleet, std::size_t index,
                                      Instant now) {
  INVARIANT(index < fleet.size());
  const Suspect& suspect = fleet[index];
  if (!suspect.in_fleet || !suspect.up || suspect.ejected(now)) return std::nullopt;
  const auto cause = cause_of(limits, suspect);
  if (!cause || !can_be_spared(limits, fleet, now)) return std::nullopt;
  if (*cause == EjectionCause::kGatewayErrors && !another_is_well(fleet, suspect, now)) return std::nullopt;
  const std::uint32_t before = not_forgiven(limits, suspect, now);
  return Ejection{.cause = *cause, .until = now + pause_after(limits, before), .ejections = before + 1};
}

bool pardons(Proof proof, EjectionCause cause, std::uint32_t ejections) {
  if (proof == Proof::kWorks || cause == EjectionCause::kConnect) return true;
  return proof == Proof::kHealthy && ejections <= 1;
}

}  // namespace nines::gateway
