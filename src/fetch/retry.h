// Whether a call is worth another try, and after what wait. Pure: randomness comes in.
//
// Waits grow twofold from `base` to `cap`, and each is drawn evenly from nothing to that ("full jitter": M. Brooker,
// Exponential Backoff And Jitter, AWS Architecture Blog), so that callers who failed together do not come back
// together.
#pragma once

#include <optional>
#include <string_view>

#include "base/error.h"
#include "base/random.h"
#include "base/time.h"

namespace nines::fetch {

struct Retry {
  int attempts = 5;  // with the first
  Duration base = 500ms;
  Duration cap = 20s;
};

// How a try ended: an answer, or none.
struct Outcome {
  int status = 0;                       // 0: there was no answer
  std::string_view code = {};           // S3's word for it: "SlowDown"
  Code error = Code::kUnavailable;      // where there was no answer
  std::optional<Duration> retry_after;  // what the answer asked for; it is heeded up to `cap`
};

// Another try may end differently: 408, 429, 5xx but 501, S3's passing troubles, and no answer from a server that may
// be there. A server that is not who it should be, or says too much, will be the same next time.
bool may_pass(const Outcome& outcome);

// `made`: tries so far, 1 after the first. nullopt: give up.
std::optional<Duration> wait_before_retry(const Retry& retry, int made, const Outcome& outcome, Random& random);

}  // namespace nines::fetch
