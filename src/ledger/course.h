// How it went in a stretch of time, moment by moment, as finely as the record still has it: what
// availability/timeline.h looks for the worst hour in.
//
// A slice that was all alike is one piece, so only where something was missing are finer slices read: of a year with
// 1,000 outages some 10,000 rows. Where a slice is mixed and its parts are gone, its seconds are spread evenly over it,
// and the worst window may have been worse.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "availability/timeline.h"
#include "base/error.h"
#include "ledger/sqlite.h"

namespace nines::ledger {

struct Course {
  availability::Timeline timeline;              // declared maintenance and what is unknown are neither up nor down
  std::vector<availability::Interval> blurred;  // mixed slices whose parts are gone, or that have none; ascending
};

// [from, to), Unix seconds. REQUIRES: within a transaction.
Result<Course> course_of(const Database& db, std::int64_t from, std::int64_t to);

// The longest slice in that window whose seconds were spread; the finest grain at least.
Duration resolution_of(const Course& course, const availability::Interval& window);

}  // namespace nines::ledger
