#include "ledger/slice_rows.h"

#include <string>
#include <utility>

namespace nines::ledger {
namespace {

constexpr int kLatencyColumn = 1 + static_cast<int>(kCounts.size());

std::string words_of(Grain grain, std::int64_t start) {
  return "the slice of " + std::to_string(seconds_of(grain)) + " s at " + std::to_string(start);
}

Result<Slice> slice_of(const Statement& row, Grain grain) {
  Slice slice{.start = row.integer(0)};
  bool sound = slice.start % seconds_of(grain) == 0 && slice.start >= -kSecondMax - seconds_of(grain) &&
               slice.start < kSecondMax;
  for (std::size_t i = 0; i < kCounts.size(); ++i) {
    slice.*kCounts[i] = row.number(static_cast<int>(i) + 1);
    sound = sound && slice.*kCounts[i] <= kCountMax;
  }
  if (!sound || slice.known() > static_cast<std::uint64_t>(seconds_of(grain)))
    return failure(Code::kInvalid, words_of(grain, slice.start) + " is damaged");
  auto latency = decoded_histogram(row.blob(kLatencyColumn));
  if (!latency) return failure(std::move(latency.error()).in(words_of(grain, slice.start)));
  slice.latency = std::move(*latency);
  return slice;
}

}  // namespace

Result<SliceRows> SliceRows::in(const Database& db, Grain grain, std::int64_t from, std::int64_t to) {
  auto statement = db.prepare(
      "SELECT start, good, bad, excluded, aborted, probes_good, probes_bad, up, degraded, down, maintenance_up, "
      "maintenance_degraded, maintenance_down, latency FROM slices WHERE grain = ?1 AND start >= ?2 AND start < ?3 "
      "ORDER BY start");
  if (!statement) return failure(std::move(statement.error()));
  statement->bind(seconds_of(grain), from, to);
  return SliceRows(std::move(*statement), grain);
}

Result<std::optional<Slice>> SliceRows::next() {
  if (done_) return std::nullopt;
  auto row = statement_.step();
  if (!row) return failure(std::move(row.error()));
  done_ = !*row;
  if (done_) return std::nullopt;
  return slice_of(statement_, grain_);
}

Result<std::optional<Slice>> slice_at(const Database& db, Grain grain, std::int64_t start) {
  auto rows = SliceRows::in(db, grain, start, start + 1);
  if (!rows) return failure(std::move(rows.error()));
  return rows->next();
}

Result<std::optional<std::int64_t>> first_start(const Database& db, Grain grain, std::int64_t from, std::int64_t to) {
  auto statement =
      db.prepare("SELECT start FROM slices WHERE grain = ?1 AND start >= ?2 AND start < ?3 ORDER BY start LIMIT 1");
  if (!statement) return failure(std::move(statement.error()));
  auto row = statement->bind(seconds_of(grain), from, to).step();
  if (!row) return failure(std::move(row.error()));
  if (!*row) return std::nullopt;
  return statement->integer(0);
}

Result<SliceWriter> SliceWriter::prepare(const Database& db) {
  auto statement = db.prepare(
      "INSERT OR REPLACE INTO slices VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)");
  if (!statement) return failure(std::move(statement.error()));
  return SliceWriter(std::move(*statement));
}

Result<> SliceWriter::put(Grain grain, const Slice& slice) {
  if (slice.known() > static_cast<std::uint64_t>(seconds_of(grain)))
    return failure(Code::kLimit, words_of(grain, slice.start) + " would have more seconds than that");
  const std::string latency = encoded(slice.latency);
  return statement_
      .bind(seconds_of(grain), slice.start, slice.good, slice.bad, slice.excluded, slice.aborted, slice.probes_good,
            slice.probes_bad, slice.up, slice.degraded, slice.down, slice.maintenance_up, slice.maintenance_degraded,
            slice.maintenance_down, Blob(reinterpret_cast<const std::uint8_t*>(latency.data()), latency.size()))
      .run();
}

}  // namespace nines::ledger
