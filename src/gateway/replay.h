// May a request whose attempt failed be sent again, elsewhere? Pure.
//
// The rule (RFC 9110, 9.2.2, and what clients of AI APIs can live with): nothing was sent -> any request may. It was
// sent -> only one that does no harm twice: an idempotent method, a request that carries an Idempotency-Key, or a route
// declared `replay: safe`. Once a byte of the answer has reached the client the question does not arise any more: a
// broken answer is broken off.
//
// How often, and at whose expense:
//
//   the attempt failed because                           counts as        draws from the budget   pause
//   an idle connection had been closed (stale)           nothing          no                      none
//   its process ended (lost)                             a repetition     no, once per request    none
//   its replica hangs (lost)                             a repetition     no, once per request    none
//   either, and nothing was sent                         an unsent one    no                      none
//   it was sent, and anything else                       a repetition     yes                     0, 25, 50 … 250 ms
//   nothing was sent (refused, connecting timed out)     an unsent one    yes, at its own floor   0, 25, 50 … 250 ms
//   the replica answered 503                             a repetition     yes                     none
//
// A lost attempt draws nothing because it adds no load: what it had begun is not being done any more. Once for each of
// the two, since a request may be what ends, or stops, its replicas. A refused connection does not use up a request's
// repetitions: where two of three replicas have just been killed, the third must still be reached.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/time.h"
#include "gateway/retry_budget.h"

namespace nines::gateway {

struct ReplayLimits {
  int repetitions = 2;  // of a request that a replica may have had
  int unsent = 8;       // attempts that never reached one: each may cost the time to connect
  // Before a repetition, full jitter; the first goes at once.
  Duration pause_first = 25ms;
  Duration pause_max = 250ms;
};

// The replica that an attempt was made on.
enum class Lost : std::uint8_t {
  kNo,
  kExited,  // the supervisor has seen the end of its process
  kHung,    // the attempt was taken from it
};

// What is known about an attempt that has failed.
struct FailedAttempt {
  bool harmless_twice = false;  // the request: by method, by key or by route
  bool sent = false;            // some of it may have reached the replica
  bool body_kept = true;        // we still have all of its body
  // Over a connection that had waited idle, and was closed as it was used again: nothing against its replica, which may
  // be asked again. The attempt after it must not be over such a connection when it goes to the same replica.
  bool stale = false;
  Lost lost = Lost::kNo;
};

enum class Replay : std::uint8_t {
  kAgain,
  kMayHaveRun,  // sent, and not declared safe to send twice
  kBodyGone,    // too large to be kept
  kTooManyAttempts,
  kBudgetSpent,
};

// The repetitions of one request.
class Replays {
 public:
  // Both outlive it.
  Replays(const ReplayLimits& limits, RetryBudget& budget) : limits_(limits), budget_(budget) {}

  struct Verdict {
    Replay verdict;
    Duration pause{0};  // before the next attempt, when there is one
  };
  // An attempt has failed. kAgain has drawn from the budget what it costs: the next attempt is then made, on a replica
  // that has not had this request (but see `stale`). `jitter` in [0, 1).
  Verdict after(const FailedAttempt& failed, Instant now, double jitter);

  // A replica has answered 503: it did not want the request. May it be sent elsewhere, instead of passing the answer
  // on? REQUIRES: another replica takes it now (ask first), so that a 503 and its Retry-After are given up for
  // something. A Retry-After is the wish of that one replica, which does not get the request again; others have not
  // asked for it. 429 never comes here: it is about the caller.
  bool elsewhere_after_503(bool harmless_twice, bool body_kept, Instant now);

  int repetitions() const { return repetitions_ + unsent_; }

 private:
  Replay judge(const FailedAttempt& failed, Instant now);
  bool is_free(const FailedAttempt& failed);

  const ReplayLimits& limits_;
  RetryBudget& budget_;
  int repetitions_ = 0;  // of attempts that were sent
  int unsent_ = 0;       // of attempts that were not
  int pauses_ = 0;
  bool exited_once_ = false, hung_once_ = false;
};

// How long to wait before the nth repetition that waits (1 is the first, which does not). `jitter` in [0, 1).
Duration replay_pause(const ReplayLimits& limits, int nth, double jitter);

bool is_idempotent(std::string_view method);

// Completes "…, so it was not sent again": the reason a person can act on.
std::string_view reason_of(Replay verdict);

// The client should not send it again either: say so with `x-should-retry: false`, which OpenAI's clients heed. True
// where trying again would multiply the load, or might do something twice.
constexpr bool discourages_retry(Replay verdict) {
  return verdict == Replay::kBudgetSpent || verdict == Replay::kMayHaveRun;
}

}  // namespace nines::gateway
