#include "supervise/liveness.h"

#include <algorithm>

namespace nines::supervise {

std::optional<std::size_t> whom_to_restart(std::span<const Patient> all, Duration after, int enough, Instant now) {
  const auto ready = std::ranges::count(all, State::kReady, &Patient::state);
  // On its way back to ready already: perhaps since we restarted it.
  const bool one_is_coming = std::ranges::any_of(all, [](const Patient& one) {
    return one.wanted && (one.state == State::kWaiting || one.state == State::kStarting ||
                          one.state == State::kDraining || one.state == State::kStopping);
  });
  if (ready < enough && one_is_coming) return std::nullopt;
  const auto silent_since = [](const Patient& one) { return std::max(one.since, one.progress); };
  std::optional<std::size_t> longest;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i].state != State::kUnready || now - silent_since(all[i]) < after) continue;
    if (!longest || silent_since(all[i]) < silent_since(all[*longest])) longest = i;
  }
  return longest;
}

}  // namespace nines::supervise
