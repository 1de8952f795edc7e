// Which replica gets a request: power of two choices. Two candidates are drawn at random and the cheaper one taken;
// cost is (requests in flight + 1) × latency, where latency is a peak-sensitive moving average of the time to first
// byte. It avoids both the herd of "always the least loaded" and the blindness of round robin (Mitzenmacher 2001; the
// peak-EWMA is Finagle's). Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/random.h"
#include "base/time.h"

namespace nines::gateway {

// Rises to a new peak at once, falls back over `decay`: a replica that has become slow is avoided immediately and
// forgiven gradually.
class PeakEwma {
 public:
  explicit PeakEwma(Duration decay = 10s) : decay_(decay) {}
  void record(Duration latency, Instant now);
  // What to expect at `now`: a replica nobody asks is forgiven as time passes.
  double nanoseconds(Instant now) const;

 private:
  Duration decay_;
  double value_ = 0;
  Instant at_{};
};

struct Candidate {
  std::uint64_t in_flight = 0;
  double latency_ns = 0;
  bool allowed = false;
};

// The index of the chosen candidate; nullopt when none is allowed.
std::optional<std::size_t> choose(std::span<const Candidate> candidates, Random& random);

}  // namespace nines::gateway
