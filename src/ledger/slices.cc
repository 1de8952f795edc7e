#include "ledger/slices.h"

#include <algorithm>
#include <array>

#include "ledger/reader.h"

namespace nines::ledger {
namespace {

// The counts, in the order of their columns.
constexpr std::array kCounts = {&Slice::good,
                                &Slice::bad,
                                &Slice::excluded,
                                &Slice::aborted,
                                &Slice::probes_good,
                                &Slice::probes_bad,
                                &Slice::up,
                                &Slice::degraded,
                                &Slice::down,
                                &Slice::maintenance_up,
                                &Slice::maintenance_degraded,
                                &Slice::maintenance_down};
constexpr char kColumns[] =
    "start, good, bad, excluded, aborted, probes_good, probes_bad, up, degraded, down, maintenance_up, "
    "maintenance_degraded, maintenance_down, latency";
constexpr int kLatencyColumn = 13;

Result<Slice> slice_of(const Statement& row) {
  Slice slice{.start = row.integer(0)};
  for (std::size_t i = 0; i < kCounts.size(); ++i) slice.*kCounts[i] = row.number(static_cast<int>(i) + 1);
  auto latency = decoded_histogram(row.blob(kLatencyColumn));
  if (!latency) return failure(std::move(latency.error()));
  slice.latency = std::move(*latency);
  return slice;
}

Result<std::vector<Slice>> read(const Database& db, Grain grain, std::int64_t from, std::int64_t to,
                                std::size_t limit) {
  auto statement = db.prepare(std::string("SELECT ") + kColumns +
                              " FROM slices WHERE grain = ?1 AND start >= ?2 AND start < ?3 ORDER BY start LIMIT ?4");
  if (!statement) return failure(std::move(statement.error()));
  statement->bind(seconds_of(grain), from, to, limit);
  std::vector<Slice> found;
  while (true) {
    auto row = statement->step();
    if (!row) return failure(std::move(row.error()));
    if (!*row) return found;
    auto slice = slice_of(*statement);
    if (!slice) return failure(std::move(slice.error()));
    found.push_back(std::move(*slice));
  }
}

Result<> write(const Database& db, Grain grain, const Slice& slice) {
  if (slice.known() > static_cast<std::uint64_t>(seconds_of(grain)))
    return failure(Code::kLimit, "a slice of " + std::to_string(seconds_of(grain)) + " s at " +
                                     std::to_string(slice.start) + " would have more seconds than that");
  auto statement = db.prepare(
      "INSERT OR REPLACE INTO slices VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)");
  if (!statement) return failure(std::move(statement.error()));
  const std::string latency = encoded(slice.latency);
  return statement
      ->bind(seconds_of(grain), slice.start, slice.good, slice.bad, slice.excluded, slice.aborted, slice.probes_good,
             slice.probes_bad, slice.up, slice.degraded, slice.down, slice.maintenance_up, slice.maintenance_degraded,
             slice.maintenance_down, Blob(reinterpret_cast<const std::uint8_t*>(latency.data()), latency.size()))
      .run();
}

Result<std::optional<Sampled>> one_sampled(const Database& db, const std::string& where, std::uint64_t table_id) {
  auto statement = db.prepare("SELECT table_id, counters, until, boot_id FROM sampled " + where);
  if (!statement) return failure(std::move(statement.error()));
  auto row = statement->bind(table_id).step();
  if (!row) return failure(std::move(row.error()));
  if (!*row) return std::nullopt;
  const Blob counters = statement->blob(1);
  return Sampled{.table_id = statement->number(0),
                 .counters = {counters.begin(), counters.end()},
                 .until = statement->integer(2),
                 .boot_id = std::string(statement->text(3))};
}

// Sums from the coarsest grain down; see total_of().
class Summing {
 public:
  Summing(const Database& db, Total& total) : db_(db), total_(total) {}

  // Of what begins in [from, to), by slices of this grain and, at the edges, of finer ones.
  Result<> sum(std::size_t grain, std::int64_t from, std::int64_t to) {
    if (from >= to) return {};
    const std::int64_t length = seconds_of(kGrains[grain]);
    if (grain == 0) return take(grain, start_of(kGrains[0], from), start_of(kGrains[0], to + length - 1));
    const std::int64_t first = start_of(kGrains[grain], from + length - 1), last = start_of(kGrains[grain], to);
    if (first > last) return edge(grain, from, to);  // all of it within one
    if (auto done = edge(grain, from, first); !done) return done;
    if (auto done = take(grain, first, last); !done) return done;
    return edge(grain, last, to);
  }

 private:
  // A part of one slice: by finer ones, or all of it where these are gone.
  Result<> edge(std::size_t grain, std::int64_t from, std::int64_t to) {
    if (from >= to) return {};
    const std::int64_t start = start_of(kGrains[grain], from), end = start + seconds_of(kGrains[grain]);
    auto finer = read(db_, kGrains[grain - 1], start, end, 1);
    if (!finer) return failure(std::move(finer.error()));
    if (!finer->empty()) return sum(grain - 1, from, to);
    auto whole = read(db_, kGrains[grain], start, end, 1);
    if (!whole) return failure(std::move(whole.error()));
    return whole->empty() ? Result<>{} : take(grain, start, end);
  }

  Result<> take(std::size_t grain, std::int64_t from, std::int64_t to) {
    if (from >= to) return {};
    auto slices = read(db_, kGrains[grain], from, to, SIZE_MAX / 2);
    if (!slices) return failure(std::move(slices.error()));
    for (const Slice& slice : *slices) add(total_.sum, slice);
    total_.from = std::min(total_.from, from);
    total_.to = std::max(total_.to, to);
    return {};
  }

  const Database& db_;
  Total& total_;
};

}  // namespace

Result<> add_slice(const Database& db, const Slice& ten_seconds) {
  for (const Grain grain : kGrains) {
    const std::int64_t start = start_of(grain, ten_seconds.start);
    auto there = read(db, grain, start, start + 1, 1);
    if (!there) return failure(std::move(there.error()));
    Slice sum = there->empty() ? Slice{.start = start} : std::move(there->front());
    add(sum, ten_seconds);
    if (auto written = write(db, grain, sum); !written) return written;
  }
  return {};
}

Result<> add_down(const Database& db, std::int64_t from, std::int64_t to, std::int64_t now) {
  for (const Grain grain : kGrains) {
    const std::int64_t length = seconds_of(grain);
    const auto kept = kept_for(grain);
    const std::int64_t oldest = kept ? now - std::chrono::duration_cast<std::chrono::seconds>(*kept).count() : from;
    auto statement = db.prepare(
        "INSERT INTO slices VALUES (?1, ?2, 0, 0, 0, 0, 0, 0, 0, 0, ?3, 0, 0, 0, x'') "
        "ON CONFLICT (grain, start) DO UPDATE SET down = down + ?3 "
        "WHERE up + degraded + down + maintenance_up + maintenance_degraded + maintenance_down + ?3 <= ?1");
    if (!statement) return failure(std::move(statement.error()));
    for (std::int64_t start = start_of(grain, std::max(from, oldest)); start < to; start += length) {
      const std::int64_t seconds = std::min(to, start + length) - std::max(from, start);
      if (auto done = statement->bind(length, start, seconds).run(); !done) return done;
      if (db.changes() != 1)
        return failure(Code::kLimit,
                       "a slice at " + std::to_string(start) + " would have more seconds than it is long");
    }
  }
  return {};
}

Result<> keep_sampled(const Database& db, const Sampled& sampled) {
  if (sampled.counters.size() > kCountersMax) return failure(Code::kLimit, "the counters are larger than 64 KiB");
  auto statement = db.prepare("INSERT OR REPLACE INTO sampled VALUES (?1, ?2, ?3, ?4)");
  if (!statement) return failure(std::move(statement.error()));
  const Blob counters(reinterpret_cast<const std::uint8_t*>(sampled.counters.data()), sampled.counters.size());
  if (auto done = statement->bind(sampled.table_id, counters, sampled.until, std::string_view(sampled.boot_id)).run();
      !done)
    return done;
  // A table lives for months; a forgotten one never comes back.
  return db.run("DELETE FROM sampled WHERE table_id NOT IN (SELECT table_id FROM sampled ORDER BY until DESC LIMIT 8)");
}

Result<std::optional<Sampled>> sampled_of(const Database& db, std::uint64_t table_id) {
  return one_sampled(db, "WHERE table_id = ?1", table_id);
}

Result<std::optional<Sampled>> latest_sampled(const Database& db) {
  return one_sampled(db, "WHERE ?1 = 0 ORDER BY until DESC LIMIT 1", 0);
}

Result<std::vector<Slice>> slices_of(const Database& db, Grain grain, std::int64_t from, std::int64_t to) {
  return read(db, grain, from, to, kRowsMax);
}

Result<Total> total_of(const Database& db, std::int64_t from, std::int64_t to) {
  Total total{.sum = {.start = from}, .from = from, .to = to};
  if (auto done = Summing(db, total).sum(kGrains.size() - 1, from, to); !done) return failure(std::move(done.error()));
  total.sum.start = total.from;
  return total;
}

Result<std::optional<std::int64_t>> measured_since(const Database& db) {
  // The day's slice begins before; its first hour, or what is finer, if that is still there.
  std::optional<std::int64_t> since;
  for (auto grain = kGrains.rbegin(); grain != kGrains.rend(); ++grain) {
    const std::int64_t end = since ? *since + seconds_of(*std::prev(grain)) : INT64_MAX;
    auto first = read(db, *grain, since.value_or(INT64_MIN), end, 1);
    if (!first) return failure(std::move(first.error()));
    if (first->empty()) break;
    since = first->front().start;
  }
  return since;
}

Result<std::optional<std::string>> check_slices(const Database& db) {
  for (std::size_t i = 1; i < kGrains.size(); ++i) {
    const Grain grain = kGrains[i];
    auto oldest = db.prepare("SELECT min(start) FROM slices WHERE grain = ?1");
    if (!oldest) return failure(std::move(oldest.error()));
    auto row = oldest->bind(seconds_of(kGrains[i - 1])).step();
    if (!row) return failure(std::move(row.error()));
    if (!*row || oldest->is_null(0)) continue;
    const std::int64_t from = start_of(grain, oldest->integer(0));
    oldest->reset();
    auto coarse = read(db, grain, from, INT64_MAX, SIZE_MAX / 2);
    auto fine = read(db, kGrains[i - 1], from, INT64_MAX, SIZE_MAX / 2);
    if (!coarse) return failure(std::move(coarse.error()));
    if (!fine) return failure(std::move(fine.error()));
    std::map<std::int64_t, Slice> sums;
    for (const Slice& slice : *fine) {
      Slice& sum = sums[start_of(grain, slice.start)];
      sum.start = start_of(grain, slice.start);
      add(sum, slice);
    }
    for (const Slice& slice : *coarse) {
      const auto sum = sums.find(slice.start);
      if (sum != sums.end() && sum->second == slice) {
        sums.erase(sum);
        continue;
      }
      return "the slice of " + std::to_string(seconds_of(grain)) + " s at " + std::to_string(slice.start) +
             " is not the sum of its parts";
    }
    if (!sums.empty())
      return "the slice of " + std::to_string(seconds_of(grain)) + " s at " + std::to_string(sums.begin()->first) +
             " is missing, and its parts are there";
  }
  return std::nullopt;
}

Result<std::uint64_t> prune_slices(const Database& db, std::int64_t now, std::uint64_t limit) {
  const auto oldest = [&db](Grain grain) -> Result<std::optional<std::int64_t>> {
    auto statement = db.prepare("SELECT min(start) FROM slices WHERE grain = ?1");
    if (!statement) return failure(std::move(statement.error()));
    auto row = statement->bind(seconds_of(grain)).step();
    if (!row) return failure(std::move(row.error()));
    return *row && !statement->is_null(0) ? std::optional(statement->integer(0)) : std::nullopt;
  };
  std::uint64_t rows = 0;
  std::int64_t finer = INT64_MAX;  // where those of the grain before begin: what they are parts of stays
  for (std::size_t i = 0; i + 1 < kGrains.size(); ++i) {
    const auto kept = kept_for(kGrains[i]);
    const auto first = oldest(kGrains[i]);
    if (!first) return failure(first.error());
    if (!kept || !*first) continue;
    const std::int64_t most = **first + static_cast<std::int64_t>(limit) * seconds_of(kGrains[i]);
    const std::int64_t too_old = now - std::chrono::duration_cast<std::chrono::seconds>(*kept).count();
    // Whole slices of the next grain only: where some parts are there, all of them are.
    const std::int64_t before = start_of(kGrains[i + 1], std::min({most, too_old, finer}));
    auto statement = db.prepare("DELETE FROM slices WHERE grain = ?1 AND start < ?2");
    if (!statement) return failure(std::move(statement.error()));
    if (auto done = statement->bind(seconds_of(kGrains[i]), before).run(); !done)
      return failure(std::move(done.error()));
    rows += static_cast<std::uint64_t>(db.changes());
    const auto left = oldest(kGrains[i]);
    if (!left) return failure(left.error());
    if (*left) finer = std::min(finer, **left);
  }
  return rows;
}

}  // namespace nines::ledger
