// What `nines check-ledger` finds in a record, as values and on a screen: whether the chain of its rows is whole, and
// whether every coarse slice is the sum of the finer ones it is made of, where these are still there. Reads the file,
// and nothing else; changes nothing.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "base/time.h"
#include "ledger/reader.h"

namespace nines::cli {

struct LedgerCheck {
  std::string file;
  ledger::Verification rows;
  std::optional<WallTime> first, last;            // of the rows that were found in order
  std::optional<WallTime> measured_since;         // nullopt: there are no slices
  std::optional<ledger::SliceBreak> slice_break;  // the first

  bool whole() const { return !rows.broken && !slice_break; }
};

// kNotFound: there is no ledger yet. kInvalid: it is so damaged that it cannot be walked. Others: as ledger/ledger.h.
Result<LedgerCheck> check_ledger(const std::string& file);

std::string text_of(const LedgerCheck& check);
std::string json_of(const LedgerCheck& check);

}  // namespace nines::cli
