#include "gateway/replay.h"

#include <algorithm>

namespace nines::gateway {

Replay may_replay(const ReplayLimits& limits, const FailedAttempt& failed) {
  if (failed.sent && !failed.harmless_twice) return Replay::kMayHaveRun;
  if (!failed.body_kept) return Replay::kBodyGone;
  if (failed.attempts >= limits.attempts_max) return Replay::kTooManyAttempts;
  return Replay::kAgain;
}

Duration replay_pause(const ReplayLimits& limits, int attempt, double jitter) {
  if (attempt <= 2) return 0ns;
  Duration most = limits.pause_first;
  for (int i = 3; i < attempt && most < limits.pause_max; ++i) most *= 2;
  most = std::min(most, limits.pause_max);
  return Duration(static_cast<std::int64_t>(static_cast<double>(most.count()) * jitter));
}

bool is_idempotent(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "PUT" || method == "DELETE" ||
         method == "TRACE";
}

std::string_view reason_of(Replay verdict) {
  switch (verdict) {
    case Replay::kAgain: return "it may be sent again";
    case Replay::kMayHaveRun:
      return "it may have been executed, and its route is not declared `replay: safe` (nor has it an Idempotency-Key)";
    case Replay::kBodyGone: return "its body was too large to be kept";
    case Replay::kTooManyAttempts: return "it had been tried often enough";
  }
  return "";
}

}  // namespace nines::gateway
