// Measures: turns what is seen each second into judged seconds, slices of ten seconds, and events of the service's
// state. Pure: the caller brings the time and the counters, and leaves memory, slices and events where a successor and
// the recorder find them.
//
//   seconds    judged by availability::state_of: requests first, the last probe where there were none
//   doubt      clients that waited and gave up say nothing certain, but the probe has no word either: until somebody is
//              answered, or for kDoubt, seconds without another request are unknown
//   a gap      seconds that nobody watched (the keeper was dead, halted or starved) are unknown, and what was counted
//              meanwhile belongs to the slice in which it is noticed
//   trouble    begins with the first second that is not UP, and ends with the first of kCalm seconds of UP in a row, so
//              that a service that comes and goes has one outage and not twenty
//   the clock  set back by up to kSkip, its seconds are not judged a second time, and its requests are counted; by
//   more,
//              measuring goes on by the clock as it is now, and the ledger refuses what it has already
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "availability/requests.h"
#include "base/time.h"
#include "plane/plane.h"

namespace nines::app {

class Meter {
 public:
  static constexpr std::int64_t kSlice = 10;  // seconds
  static constexpr std::int64_t kCalm = 10;   // seconds
  static constexpr std::int64_t kLate = 3;    // seconds without a look: nobody has watched
  static constexpr std::int64_t kDoubt = 60;  // seconds
  static constexpr std::int64_t kSkip = 60;   // seconds

  struct Look {
    Instant at;
    WallTime wall;
    std::array<std::uint64_t, plane::kOutcomes> outcomes{};  // by plane::Outcome, since the table was made
    std::uint64_t given_up = 0;                              // ServiceCounters::given_up, since then
    std::optional<bool> probe;                               // how the last one ended; nullopt: none did lately
    std::uint64_t probes_good = 0, probes_bad = 0;           // since the look before
    std::string why;                                         // what was wrong with the last probe
    bool maintenance = false;                                // declared
  };
  // An event of the kinds that the keeper tells.
  struct Told {
    plane::EventKind kind{};
    std::int64_t a = 0, b = 0;
    std::string text;
    std::optional<std::int64_t> at_s;  // when, if not now
  };
  // Their numbers are the last ones of memory().slices and memory().told.
  struct Findings {
    std::vector<plane::MeasuredSlice> closed;
    std::vector<Told> told;
  };

  // Goes on from what a predecessor left; from nothing when it is empty.
  explicit Meter(const plane::Metered& memory) : memory_(memory) {}

  // REQUIRES, of the three: nothing was looked at yet.
  // It was not well from `from` on (Unix seconds), and is not known to be well again.
  void begin_in_trouble(std::int64_t from, bool down);
  // Nothing ran between these Unix seconds; what is to be told of it comes with the next findings.
  void begin_after(std::int64_t gone_from, std::int64_t gone_to, std::vector<Told> told);

  Findings look(const Look& look);
  // The present slice as it is, with all that was counted by now, for a keeper that leaves: what comes later is added
  // to it, and the second that is not over is its successor's to judge.
  Findings close(std::span<const std::uint64_t, plane::kOutcomes> outcomes);

  const plane::Metered& memory() const { return memory_; }
  plane::Metered& memory() { return memory_; }  // for plane::keep()

 private:
  void begin(const Look& look);
  void mind_clock(const Look& look, Findings& findings);
  std::uint64_t since_last(const Look& look, plane::Outcome outcome) const;
  void judge(const Look& look, std::int64_t now, std::int64_t judged, Findings& findings);
  void take_slice(std::int64_t until, Findings& findings);
  void mind_state(availability::State state, std::int64_t second, std::uint64_t failed, const std::string& why,
                  Findings& findings);
  Findings numbered(Findings findings);

  plane::Metered memory_;
  std::vector<Told> first_told_;
};

}  // namespace nines::app
