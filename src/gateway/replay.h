// May a request whose attempt failed be sent again, elsewhere? Pure.
//
// The rule (RFC 9110, 9.2.2, and what clients of AI APIs can live with): nothing was sent -> any request may. It was
// sent -> only one that does no harm twice: an idempotent method, a request that carries an Idempotency-Key, or a route
// declared `replay: safe`. Once a byte of the answer has reached the client the question does not arise any more: a
// broken answer is broken off.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/time.h"

namespace nines::gateway {

struct ReplayLimits {
  int attempts_max = 3;        // the first one included
  Duration pause_max = 250ms;  // before the third and later attempts, full jitter; the second goes at once
  Duration pause_first = 25ms;
};

// What is known about a request when an attempt at it has failed.
struct FailedAttempt {
  bool harmless_twice = false;  // by method, by key or by route
  bool sent = false;            // some of it may have reached the replica
  bool body_kept = true;        // we still have all of the body
  int attempts = 1;             // made so far
};

enum class Replay : std::uint8_t {
  kAgain,
  kMayHaveRun,  // sent, and not declared safe to send twice
  kBodyGone,    // too large to be kept
  kTooManyAttempts,
};

Replay may_replay(const ReplayLimits& limits, const FailedAttempt& failed);

// How long to wait before attempt number `attempt` (2 is the first repetition). `jitter` in [0, 1).
Duration replay_pause(const ReplayLimits& limits, int attempt, double jitter);

bool is_idempotent(std::string_view method);

// Completes "…, so it was not sent again": the reason a person can act on.
std::string_view reason_of(Replay verdict);

}  // namespace nines::gateway
