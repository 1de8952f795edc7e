// How long to wait for the first byte of an answer. Pure.
//
// A server that is dead and one that works through a long prompt look the same from a socket. What tells them apart is
// that the second still passes its health check, or its canary: as long as one passed lately it gets more time, up to a
// bound. (Time-outs that cut off long prompts: aibrix#1810; busy engines judged dead: ray#54070.)
#pragma once

#include <algorithm>

#include "base/time.h"

namespace nines::gateway {

struct PatienceLimits {
  Duration first_byte = 60s;       // from the request sent to the first byte of the answer's body, unconditionally
  Duration first_byte_max = 600s;  // the same, while the replica proves to be alive
  Duration vouches = 10s;          // so long a pass holds: some checks at their slowest pace
};

// Until when to wait, as far as is known now; ask again then, and give up when the answer has passed. `passed`: when
// the replica last passed an active check or its canary; {}: never, or what it passes proves nothing (a TCP connect).
constexpr Instant first_byte_deadline(const PatienceLimits& limits, Instant sent_at, Instant passed) {
  const Instant vouched = passed == Instant{} ? Instant{} : passed + limits.vouches;
  return std::min(sent_at + limits.first_byte_max, std::max(sent_at + limits.first_byte, vouched));
}

}  // namespace nines::gateway
