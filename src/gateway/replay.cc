#include "gateway/replay.h"

#include <algorithm>
#include <utility>

namespace nines::gateway {

Replay Replays::judge(const FailedAttempt& failed, Instant now) {
  if (failed.sent && !failed.harmless_twice) return Replay::kMayHaveRun;
  if (!failed.body_kept) return Replay::kBodyGone;
  if (failed.stale) return Replay::kAgain;
  if (failed.sent ? repetitions_ >= limits_.repetitions : unsent_ >= limits_.unsent) return Replay::kTooManyAttempts;
  if (!is_free(failed) && !budget_.draw(now, failed.sent)) return Replay::kBudgetSpent;
  ++(failed.sent ? repetitions_ : unsent_);
  return Replay::kAgain;
}

bool Replays::is_free(const FailedAttempt& failed) {
  if (failed.lost == Lost::kNo) return false;
  return !failed.sent || !std::exchange(failed.lost == Lost::kExited ? exited_once_ : hung_once_, true);
}

Replays::Verdict Replays::after(const FailedAttempt& failed, Instant now, double jitter) {
  const Replay verdict = judge(failed, now);
  if (verdict != Replay::kAgain || failed.stale || failed.lost != Lost::kNo) return {verdict};
  return {verdict, replay_pause(limits_, ++pauses_, jitter)};
}

bool Replays::elsewhere_after_503(bool harmless_twice, bool body_kept, Instant now) {
  const FailedAttempt declined{.harmless_twice = harmless_twice, .sent = true, .body_kept = body_kept};
  return judge(declined, now) == Replay::kAgain;
}

Duration replay_pause(const ReplayLimits& limits, int nth, double jitter) {
  if (nth <= 1) return 0ns;
  Duration most = limits.pause_first;
  for (int i = 2; i < nth && most < limits.pause_max; ++i) most *= 2;
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
    case Replay::kBudgetSpent: return "too many of the last requests had to be sent again already";
  }
  return "";
}

}  // namespace nines::gateway
