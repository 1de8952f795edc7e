// Every second that is missing from the availability of a stretch of time: where it lies, and what the record has to
// say about it. The sums are those of the report of the same stretch, by construction: both add up the same slices.
#pragma once

#include <cstdint>
#include <vector>

#include "availability/intervals.h"
#include "ledger/reader.h"

namespace nines::ledger {

// Neighbouring slices in which something is missing.
struct Missing {
  std::int64_t from = 0, to = 0;  // Unix seconds, to the finest slices that are there
  std::uint64_t down = 0, degraded = 0, unknown = 0, maintenance = 0;  // seconds
  std::uint64_t bad = 0;                                               // requests
  bool operator==(const Missing&) const = default;
};

// A slice, and how long it is.
struct Piece {
  Slice slice;
  std::int64_t seconds = 0;
};

// The finest there are, ascending. REQUIRES from <= to, Unix seconds.
Result<std::vector<Piece>> pieces_of(const Reader& reader, std::int64_t from, std::int64_t to);

// Pure. Time between pieces is unknown.
std::vector<Missing> missing_in(const std::vector<Piece>& pieces, std::int64_t from, std::int64_t to);

}  // namespace nines::ledger
