#include "gateway/hang.h"

#include <algorithm>

namespace nines::gateway {

Duration hang_patience(const HangLimits& limits, std::optional<Duration> p99) {
  if (!p99) return limits.floor;
  const double most = static_cast<double>(p99->count()) * limits.factor;
  return std::max(limits.floor, Duration(static_cast<std::int64_t>(most)));
}

HangWatch::What HangWatch::look(Instant now, std::optional<Instant> oldest, Instant progress, Duration patience) {
  if (probing_) return What::kNothing;
  if (!oldest) {
    next_wait_ = 0ns;
    return What::kNothing;
  }
  const Instant since = std::max(*oldest, progress);
  if (since != silent_since_) next_wait_ = 0ns;
  silent_since_ = since;
  const Duration silent = now - since;
  if (silent < std::max(patience, next_wait_)) return What::kNothing;
  probing_ = true;
  next_wait_ = 2 * silent;
  return What::kProbe;
}

bool HangWatch::on_probe(Instant now, bool passed, Instant progress, bool another_lives) {
  probing_ = false;
  if (passed || progress > silent_since_) return false;
  // It may well hang, but nothing can be done about it: look again soon, others may come back.
  if (!another_lives) next_wait_ = now - silent_since_;
  return another_lives;
}

bool another_lives(const HangLimits& limits, std::span<const Neighbour> others, Instant now) {
  return std::any_of(others.begin(), others.end(), [&](const Neighbour& other) {
    return other.routable && !other.suspected && now - std::max(other.progress, other.passed) <= limits.lives;
  });
}

}  // namespace nines::gateway
