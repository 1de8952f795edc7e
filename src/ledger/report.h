// What the record says of a stretch of time: the figures of a report, before anybody renders them. Pure, but for
// reading.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "availability/intervals.h"
#include "availability/objective.h"
#include "availability/partition.h"
#include "availability/repair.h"
#include "availability/requests.h"
#include "ledger/course.h"
#include "ledger/incidents.h"
#include "ledger/reader.h"

namespace nines::ledger {

// The worst of all windows so wide, by time, without declared maintenance.
struct Worst {
  Duration width{0};
  std::optional<availability::WorstWindow> window;  // nullopt: none so wide fits, or nothing is known
  Duration resolution{0};                           // of the slices it was seen in: it may have been worse within one
};
inline constexpr std::array<Duration, 3> kWindows = {1h, 24h, 7 * 24h};

struct Report {
  availability::Interval asked;    // the period that was asked for
  availability::Interval window;   // of it, what is not to come
  availability::Interval covered;  // what the slices are of: whole slices around it, the finer the younger
  Slice sum;
  availability::RequestCounts requests;
  availability::Account account;
  std::optional<availability::TimeAvailability> contractual, raw;  // without and with declared maintenance
  availability::Operation operation;                               // failures: the service's outages that touch it
  std::vector<Incident> incidents;                                 // that touch it, in order of their begin
  std::optional<WallTime> record_begins;  // within the window: what was before it is unknown, and in the account so
  std::vector<Row> set_aside;             // ledgers that were found damaged since the period began; the record is newer
  std::vector<Corrected> corrections;     // ascending; every other figure is as measured
  std::optional<availability::Availability>
      corrected;             // what is observed, contractual, with them; nullopt: there are none
  std::vector<Worst> worst;  // one of each of kWindows
  std::optional<availability::Bracket> time_to_detect;  // mean of the service's outages: MTTD
  std::uint64_t events_lost = 0;  // in the period: what they said, incidents perhaps, is not in the record

  Duration before_record() const { return record_begins ? *record_begins - window.begin : Duration{0}; }
};

// All of one moment, also if nobody holds the reader. kNotFound: nothing was measured in that period yet.
Result<Report> report_of(const Reader& reader, const availability::Interval& period, WallTime now);

// What report_of() reads.
struct Findings {
  availability::Interval asked, window;
  WallTime since{};  // when the record begins
  Total total;
  std::vector<Incident> incidents;
  std::vector<Row> set_aside, lost;  // rows of these kinds, of any time
  Course course;
  std::vector<Corrected> corrections;
};
Report report_of(Findings findings);

enum class Verdict : std::uint8_t {
  kMet,       // also if all that is unknown was down
  kMetSoFar,  // by what is known, or the period is not over
  kMissed,    // by what is known; of a period that is not over: all it may have is spent, so that it stays missed
};
// By time, without declared maintenance. nullopt: nothing is known.
std::optional<Verdict> verdict_of(const Report& report, const availability::Objective& objective);

}  // namespace nines::ledger
