// What the record says of a stretch of time: the figures of a report, before anybody renders them. Pure, but for
// reading.
#pragma once

#include <optional>
#include <vector>

#include "availability/intervals.h"
#include "availability/objective.h"
#include "availability/partition.h"
#include "availability/repair.h"
#include "availability/requests.h"
#include "ledger/incidents.h"
#include "ledger/reader.h"

namespace nines::ledger {

struct Report {
  availability::Interval asked;    // the period that was asked for
  availability::Interval window;   // of it, what has been since the first slice, and is not to come
  availability::Interval covered;  // what the slices are of: whole slices around it, the finer the younger
  Slice sum;
  availability::RequestCounts requests;
  availability::Account account;
  std::optional<availability::TimeAvailability> contractual, raw;  // without and with declared maintenance
  availability::Operation operation;                               // failures: the service's outages that touch it
  std::vector<Incident> incidents;                                 // that touch it, in order of their begin
};

// kNotFound: nothing was measured in that period yet.
Result<Report> report_of(const Reader& reader, const availability::Interval& period, WallTime now);

// Of sums and incidents; what report_of() reads.
Report report_of(const availability::Interval& asked, const availability::Interval& window, const Total& total,
                 std::vector<Incident> incidents);

enum class Verdict : std::uint8_t {
  kMet,       // also if all that is unknown was down
  kMetSoFar,  // by what is known, or the period is not over
  kMissed,    // by what is known; of a period that is not over: all it may have is spent, so that it stays missed
};
// By time, without declared maintenance. nullopt: nothing is known.
std::optional<Verdict> verdict_of(const Report& report, const availability::Objective& objective);

}  // namespace nines::ledger
