// Measures: turns what is seen each second into judged seconds, slices of ten seconds, and events of the service's
// state. Pure: the caller brings the time and the counters, writes the slices, and leaves the memory where a successor
// finds it.
//
//   seconds    judged by availability::state_of: requests first, the last probe where there were none
//   a gap      seconds that nobody watched (the keeper was dead, halted or starved) are unknown, and what was counted
//              meanwhile belongs to the slice in which it is noticed
//   trouble    begins with the first second that is not UP, and ends with the first of kCalm seconds of UP in a row, so
//              that a service that comes and goes has one outage and not twenty
//   the clock  time that was set back is not recorded twice: its seconds are skipped, its requests are counted
#pragma once

#include <cstdint>
#include <optional>
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
  static constexpr std::int64_t kLate =
      3;  // after that long without a look nobody has watched, and only the last second is judged

  struct Look {
    Instant at;
    WallTime wall;
    availability::RequestCounts requests;           // since the table was made
    std::optional<bool> probe;                      // how the last one ended; nullopt: none did lately
    std::uint64_t probes_good = 0, probes_bad = 0;  // since the look before
    bool maintenance = false;                       // declared
  };
  // A slice that is over. Its requests are those between the looks that closed it and the slice before: the caller has
  // the counters.
  struct Closed {
    std::int64_t start = 0;  // Unix seconds
    std::uint32_t seconds[6] = {};
    std::uint32_t probes[2] = {};
  };
  // An event for the ledger, of the kinds that the keeper tells itself.
  struct Told {
    plane::EventKind kind{};
    std::int64_t a = 0, b = 0;
    std::string text;
  };
  struct Findings {
    std::vector<Closed> closed;  // their requests are those up to the look before this one
    std::vector<Told> told;
  };

  // Goes on from what a predecessor left; from nothing when it is empty.
  explicit Meter(const plane::Metered& memory) : memory_(memory) {}

  Findings look(const Look& look);
  // Before the first look: it was not well from `from` on (Unix seconds), and is not known to be well again.
  void begin_in_trouble(std::int64_t from, bool down);
  // The present slice as it is, for a keeper that leaves: what comes later is added to it. nullopt: there is nothing.
  std::optional<Closed> close();

  const plane::Metered& memory() const { return memory_; }

 private:
  void begin(const Look& look);
  void mind_clock(const Look& look, std::int64_t seconds, Findings& findings);
  Closed take_slice(std::int64_t next);
  void mind_state(availability::State state, std::int64_t second, std::uint64_t failed, Findings& findings);

  plane::Metered memory_;
};

}  // namespace nines::app
