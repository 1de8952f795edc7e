// How many were up and how many down at each moment, and the worst window of any width.
//
// Windowed availability tells one outage of 15 minutes from fifteen of one minute, which no total does: it is the
// minimum over all windows of width w [Hauer et al., "Meaningful Availability", NSDI 2020]. "All" is meant: windows
// slide, they are not cut from midnight on.
//
// Exact: sums over a sliding window are linear between the moments at which one of its ends meets a step, and a
// quotient of linear functions has its minimum at an end. So only those moments are looked at: O(n).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "availability/intervals.h"
#include "availability/nines.h"
#include "availability/partition.h"

namespace nines::availability {

// So many of each from `from` on, until the next step. Neither: nobody was there, or nobody knows.
struct Step {
  WallTime from{};
  std::uint32_t up = 0, down = 0;
  bool operator==(const Step&) const = default;
};

struct Timeline {
  Interval window;
  std::vector<Step> steps;  // in order of time, the first at the window's begin, all before its end
};

// The service as the only one there is; unknown time is neither up nor down. Declared maintenance is neither, too, or
// what was observed during it.
enum class Maintenance : std::uint8_t { kLeftOut, kAsObserved };
Timeline timeline_of(const Partition& partition, Maintenance maintenance);

// Up ÷ (up + down) over all of it; nullopt when nobody was there.
std::optional<Availability> availability_of(const Timeline& timeline);

struct WorstWindow {
  Availability availability;
  Interval at;  // the first of these that begins or ends where something changes
};

// nullopt when none so wide fits, or nobody was there. REQUIRES width > 0.
std::optional<WorstWindow> worst_window(const Timeline& timeline, Duration width);

}  // namespace nines::availability
