// Reading the rows that incidents are made of, without reading all of the record. For ledger/*.cc only.
//
// There is no index on wall time, and none is needed: rows are in the order in which things happened, so where a
// stretch of time begins is found by halving. Wall time goes back only where the clock was set, which the record says
// (clock_stepped), or while nothing ran (service_started, host_down): between these rows it ascends, and each part is
// searched by itself. A few rows around each end are looked at besides, since a step is told a moment after it.
#pragma once

#include <vector>

#include "availability/intervals.h"
#include "base/error.h"
#include "ledger/incidents.h"
#include "ledger/sqlite.h"

namespace nines::ledger {

// As Reader::incidents. REQUIRES: within a transaction.
Result<std::vector<Incident>> incidents_in(const Database& db, const availability::Interval& window);

// Neighbouring rows: [first, end).
struct Seqs {
  std::uint64_t first = 0, end = 0;
  bool operator==(const Seqs&) const = default;
};
// In ascending order, apart from each other: all rows with a wall time in the window are in one of them.
Result<std::vector<Seqs>> seqs_in(const Database& db, const availability::Interval& window);

}  // namespace nines::ledger
