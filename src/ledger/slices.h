// The slices' tables: slices.cc writes them, slice_sums.cc reads them. For ledger/*.cc only; what they mean is in
// slice.h and ledger.h.
//
// What holds of them after every transaction: a slice of a finer grain has the coarser one it lies in; and of the finer
// slices within a coarse one either none are there, or all that make it up. So whoever finds some need not ask whether
// others were removed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/error.h"
#include "ledger/ledger.h"
#include "ledger/slice.h"
#include "ledger/sqlite.h"

namespace nines::ledger {

// As Ledger::add. REQUIRES: within a transaction.
Result<> add_slices(const Database& db, std::span<const Slice> ten_seconds);
// As Ledger::fill, of about `rows_max` rows; how far it came. `now`: Unix seconds. REQUIRES: within a transaction.
Result<std::int64_t> fill_slices(const Database& db, const Stretch& stretch, std::int64_t now, std::size_t rows_max);

Result<> keep_sampled(const Database& db, const Sampled& sampled);
Result<std::optional<Sampled>> sampled_of(const Database& db, std::uint64_t table_id);
Result<std::optional<Sampled>> latest_sampled(const Database& db);

// Removes what is older than it is kept, of each grain about `rows_max` at most. REQUIRES: within a transaction.
Result<Pruned> prune_slices(const Database& db, std::int64_t now, std::uint64_t rows_max);

// What the next slice will be added to: kInvalid if it is damaged.
Result<> check_newest_slices(const Database& db);

// As Reader's. REQUIRES: within a transaction.
Result<std::vector<Slice>> slices_of(const Database& db, Grain grain, std::int64_t from, std::int64_t to);
Result<Total> total_of(const Database& db, std::int64_t from, std::int64_t to);
Result<std::optional<std::int64_t>> measured_since(const Database& db);
Result<std::optional<SliceBreak>> check_slices(const Database& db);

}  // namespace nines::ledger
