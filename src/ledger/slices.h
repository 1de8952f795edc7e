// The slices' tables. For ledger/*.cc only; what they mean is in slice.h and ledger.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "ledger/ledger.h"
#include "ledger/slice.h"
#include "ledger/sqlite.h"

namespace nines::ledger {

// Of each grain, the slice in which it lies gets it added. REQUIRES: within a transaction.
// kLimit: the seconds would be more than a slice has.
Result<> add_slice(const Database& db, const Slice& ten_seconds);
// As Ledger::add_down. REQUIRES: within a transaction.
Result<> add_down(const Database& db, std::int64_t from, std::int64_t to, std::int64_t now);
Result<> keep_sampled(const Database& db, const Sampled& sampled);
Result<std::optional<Sampled>> sampled_of(const Database& db, std::uint64_t table_id);
Result<std::optional<Sampled>> latest_sampled(const Database& db);

// Ascending, of one grain, that begin in [from, to): at most kRowsMax.
Result<std::vector<Slice>> slices_of(const Database& db, Grain grain, std::int64_t from, std::int64_t to);

Result<Total> total_of(const Database& db, std::int64_t from, std::int64_t to);

Result<std::optional<std::int64_t>> measured_since(const Database& db);
// As Reader::check_slices.
Result<std::optional<std::string>> check_slices(const Database& db);

// Removes what is older than it is kept, about `limit` of each grain at most. The number of rows.
Result<std::uint64_t> prune_slices(const Database& db, std::int64_t now, std::uint64_t limit);

}  // namespace nines::ledger
