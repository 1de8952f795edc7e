#include "fetch/retry.h"

#include <algorithm>

namespace nines::fetch {

bool may_pass(const Outcome& outcome) {
  if (outcome.status == 0)
    return outcome.error == Code::kUnavailable || outcome.error == Code::kTimedOut || outcome.error == Code::kClosed;
  if (outcome.code == "SlowDown" || outcome.code == "RequestTimeout" || outcome.code == "InternalError") return true;
  if (outcome.status == 501) return false;  // not implemented: it will not be
  return outcome.status == 408 || outcome.status == 429 || outcome.status >= 500;
}

std::optional<Duration> wait_before_retry(const Retry& retry, int made, const Outcome& outcome, Random& random) {
  if (made >= retry.attempts || !may_pass(outcome)) return std::nullopt;
  Duration most = retry.base;
  for (int i = 1; i < made && most < retry.cap; ++i) most *= 2;
  most = std::min(most, retry.cap);
  const auto drawn = Duration(static_cast<Duration::rep>(static_cast<double>(most.count()) * random.unit()));
  return std::max(drawn, std::min(outcome.retry_after.value_or(0ns), retry.cap));
}

}  // namespace nines::fetch
