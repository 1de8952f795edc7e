// Failures and repairs: how long it runs until it fails, how long it takes to be back, and how sure that is.
//
//   MTTF = up ÷ failures        MTTR = down ÷ failures, from onset to restored, detection included
//   MTBF = MTTF + MTTR, from one failure's start to the next one's        A = MTTF ÷ MTBF = up ÷ (up + down)
//
// The popular short form A = MTBF ÷ (MTBF + MTTR) takes all of the period for the time between failures and adds the
// repairs once more: near enough where repairs are short, 80 % instead of 75 % where they are a quarter of the time.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "availability/intervals.h"
#include "availability/nines.h"
#include "availability/partition.h"

namespace nines::availability {

// What a period of operation came to.
struct Operation {
  Duration up{0};  // degraded included: it served
  Duration down{0};
  std::uint64_t failures = 0;

  Operation& operator+=(const Operation& other);
  bool operator==(const Operation&) const = default;
};

// A failure is a stretch of DOWN. What lies between two such and is unknown, or maintenance during which nobody saw it
// up, ends none: nobody saw it come back. One that lies in declared maintenance altogether is no failure. One that had
// begun before the window counts, since its downtime does.
Operation operation_of(const Partition& partition);

struct RepairFigures {
  Duration mttf{0}, mttr{0}, mtbf{0};  // rounded down to a nanosecond
};

// nullopt without a failure: then only a bound can be said (mttf_at_least).
std::optional<RepairFigures> repair_figures(const Operation& operation);

// up ÷ (up + down); nullopt when there was neither.
std::optional<Availability> availability_of(const Operation& operation);

// What the short form makes of the same period; nullopt as above.
std::optional<Availability> popular_short_form(const Operation& operation);

struct MttfInterval {
  Duration low{0};
  std::optional<Duration> high;  // nullopt: no failure was seen, and nothing bounds it
};

// Two-sided, for exponential times to failure watched for a fixed time: 2T/χ²(1−α/2; 2N+2) to 2T/χ²(α/2; 2N)
// [NIST/SEMATECH e-Handbook of Statistical Methods, 8.4.5.1]. Without a failure `low` is one-sided at the same
// end: `confidence` 90 % says "at least, 95 %". REQUIRES 0 < confidence < 1.
MttfInterval mttf_interval(const Operation& operation, double confidence);
// One-sided: "at least this, with that confidence".
Duration mttf_at_least(const Operation& operation, double confidence);

// How a failure went. Phases as far as they are known; nines notes those it causes, a person the others.
enum class Phase : std::uint8_t { kNoticed, kAcknowledged, kCauseFound, kFixed, kVerified };
inline constexpr std::size_t kPhases = 5;

struct Incident {
  WallTime last_good{};  // it began after this,
  WallTime first_bad{};  // at this at the latest
  std::array<std::optional<WallTime>, kPhases> phases{};

  std::optional<WallTime>& at(Phase phase) { return phases[static_cast<std::size_t>(phase)]; }
  const std::optional<WallTime>& at(Phase phase) const { return phases[static_cast<std::size_t>(phase)]; }
};

// Something that lies between two probes.
struct Bracket {
  Duration least{0}, most{0};
  bool operator==(const Bracket&) const = default;
};

// From onset to a phase; nullopt when that is not known. Clocks that disagree make no negative time.
std::optional<Bracket> time_to(Phase phase, const Incident& incident);

// The mean over those incidents that know it, such as MTTD for kNoticed; nullopt when none does.
std::optional<Bracket> mean_time_to(Phase phase, std::span<const Incident> incidents);

// The same period from incidents: down from first_bad until verified, or the window's end for those still open.
// Incidents that overlap are one failure.
Operation operation_of(const Interval& window, std::span<const Incident> incidents);

}  // namespace nines::availability
