// Rows of the table `slices`, as values. For ledger/*.cc only.
//
// What is read is looked at: a row that nobody writes here (a start off its grid, more seconds than it is long) is
// kInvalid, like any other damage.
#pragma once

#include <cstdint>
#include <optional>

#include "base/error.h"
#include "ledger/slice.h"
#include "ledger/sqlite.h"

namespace nines::ledger {

class SliceRows {
 public:
  // Ascending, of one grain, that begin in [from, to).
  static Result<SliceRows> in(const Database& db, Grain grain, std::int64_t from, std::int64_t to);
  // nullopt: that was all.
  Result<std::optional<Slice>> next();

 private:
  SliceRows(Statement statement, Grain grain) : statement_(std::move(statement)), grain_(grain) {}

  Statement statement_;
  Grain grain_;
  bool done_ = false;
};

Result<std::optional<Slice>> slice_at(const Database& db, Grain grain, std::int64_t start);

// Where the first one begins of those that begin in [from, to).
Result<std::optional<std::int64_t>> first_start(const Database& db, Grain grain, std::int64_t from = INT64_MIN,
                                                std::int64_t to = INT64_MAX);

// Puts slices of one grain in the place of those that are there.
class SliceWriter {
 public:
  static Result<SliceWriter> prepare(const Database& db);
  // kLimit: it has more seconds than it is long.
  Result<> put(Grain grain, const Slice& slice);

 private:
  explicit SliceWriter(Statement statement) : statement_(std::move(statement)) {}

  Statement statement_;
};

}  // namespace nines::ledger
