#include "gateway/health.h"

#include <utility>

namespace nines::gateway {

bool HealthCheck::on_pass(Instant now, double jitter) {
  bool changed = false;
  if (standing_ == Standing::kUp) {
    run_ = 0;
  } else if (standing_ == Standing::kUnknown || ++run_ >= rise_) {
    changed = become(Standing::kUp);
  }
  plan(now, standing_ == Standing::kUp ? limits_.interval : limits_.transition, jitter);
  return changed;
}

bool HealthCheck::on_fail(Instant now, double jitter) {
  if (standing_ == Standing::kUnknown) {
    // The supervisor's startup deadline decides when this has taken too long, not we.
    plan(now, now - begun_ < limits_.starting_patience ? limits_.starting : limits_.starting_slow, jitter);
    return false;
  }
  bool changed = false;
  if (standing_ == Standing::kDown) {
    run_ = 0;
  } else if (++run_ >= limits_.fall) {
    changed = become(Standing::kDown);
    rise_ = limits_.rise;
  }
  plan(now, standing_ == Standing::kDown ? limits_.down : limits_.transition, jitter);
  return changed;
}

bool HealthCheck::on_hung(Instant now) {
  if (standing_ != Standing::kUp) return false;
  rise_ = 1;
  next_ = now;
  return become(Standing::kDown);
}

bool HealthCheck::become(Standing standing) {
  run_ = 0;
  return std::exchange(standing_, standing) != standing;
}

void HealthCheck::plan(Instant now, Duration pause, double jitter) {
  const double factor = 1.0 + limits_.jitter * jitter;
  next_ = now + Duration(static_cast<std::int64_t>(static_cast<double>(pause.count()) * factor));
}

}  // namespace nines::gateway
