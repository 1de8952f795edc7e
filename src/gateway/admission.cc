#include "gateway/admission.h"

#include <algorithm>
#include <cmath>

namespace nines::gateway {
namespace {

double seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

// A whole number of seconds between `earliest` and `spread` later, but within the limits: at the upper one the spread
// goes down instead.
int between(const AdmissionLimits& limits, double earliest, double spread, double jitter) {
  const double min = seconds(limits.retry_after_min), max = seconds(limits.retry_after_max);
  const double from = std::ceil(std::clamp(earliest, min, std::max(min, max - spread)));
  return static_cast<int>(std::min(from + std::floor(jitter * (spread + 1)), max));
}

}  // namespace

void CompletionRate::on_end(Instant now) {
  first_ = std::min(first_, now);
  ended_.add(now);
}

double CompletionRate::per_second(Instant now) {
  // A gateway that has just begun has not seen a whole window.
  const Duration seen = std::clamp<Duration>(first_ > now ? 0s : now - first_, 1s, kWindow);
  return static_cast<double>(ended_.count(now)) / seconds(seen);
}

int retry_after_seconds(const AdmissionLimits& limits, std::size_t queued, double rate, double jitter) {
  const double max = seconds(limits.retry_after_max);
  const double wait = rate > 0 ? std::min(static_cast<double>(queued + 1) / rate, max) : max;
  return between(limits, wait, std::max(1.0, wait / 2), jitter);
}

int retry_after_outage_seconds(const AdmissionLimits& limits, double jitter) {
  return between(limits, seconds(limits.retry_after_min), 4.0, jitter);
}

}  // namespace nines::gateway
