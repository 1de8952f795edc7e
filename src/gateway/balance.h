// Which replica gets a request: power of two choices. Two candidates are drawn at random and the cheaper one taken; it
// avoids both the herd of "always the least loaded" and the blindness of round robin (Mitzenmacher 2001). Latency is a
// peak-sensitive moving average of the time to first byte (Finagle's peak EWMA).
//
//     cost = (requests in flight ÷ relative weight + 1) × latency
//
// Where all weights are alike, two different ones are drawn, and this is (in flight + 1) × latency. Where they differ
// (a canary at 5 %, a slow start), candidates are drawn by weight and may be drawn twice: on an idle fleet each gets
// its share, under load as many in flight as its weight allows. Dividing the request itself by the weight as well would
// starve a light replica as long as a heavy one is idle; drawing two different ones would give it every other request.
// Pure.
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
  std::size_t slot = 0;
  std::uint64_t in_flight = 0;
  std::uint32_t weight = 1;           // in any unit, the same for all; > 0
  const PeakEwma* latency = nullptr;  // null: not known
};

// The index of the chosen candidate; nullopt when there is none.
std::optional<std::size_t> choose(std::span<const Candidate> candidates, Instant now, Random& random);

}  // namespace nines::gateway
