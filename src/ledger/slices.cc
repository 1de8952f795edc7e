#include "ledger/slices.h"

#include <algorithm>
#include <array>
#include <functional>
#include <limits>
#include <map>

#include "base/check.h"
#include "ledger/slice_rows.h"

namespace nines::ledger {
namespace {

std::int64_t whole_seconds(Duration d) { return std::chrono::duration_cast<std::chrono::seconds>(d).count(); }

// The slices that one transaction changes, as they will be.
class Sums {
 public:
  // Called with each slice, and how many seconds of it lie in the stretch.
  using Put = std::function<void(Slice& sum, std::int64_t seconds)>;

  // `now`: finer slices that would not be kept today are not begun; nullopt: all are.
  Sums(const Database& db, std::optional<std::int64_t> now) : db_(db) {
    for (std::size_t i = 0; i < kGrains.size(); ++i) {
      const auto kept = kept_for(kGrains[i]);
      kept_since_[i] = now && kept ? *now - whole_seconds(*kept) : std::numeric_limits<std::int64_t>::min();
    }
  }

  Result<> add(std::int64_t from, std::int64_t to, const Put& put) {
    constexpr std::int64_t kDay = 86'400;
    for (std::int64_t day = start_of(Grain::kDay, from); day < to; day += kDay) {
      if (auto done = add_within(kGrains.size() - 1, day, from, to, false, put); !done) return done;
    }
    return {};
  }

  std::size_t rows() const {
    std::size_t rows = 0;
    for (const auto& sums : sums_) rows += sums.size();
    return rows;
  }

  Result<> write() const {
    auto writer = SliceWriter::prepare(db_);
    if (!writer) return failure(std::move(writer.error()));
    for (std::size_t i = 0; i < kGrains.size(); ++i) {
      for (const auto& [start, sum] : sums_[i]) {
        if (auto done = writer->put(kGrains[i], sum.slice); !done) return done;
      }
    }
    return {};
  }

 private:
  struct Sum {
    Slice slice;
    bool is_new = false;  // the record has none
    bool finer = false;   // finer slices make it up
  };

  Result<> add_within(std::size_t grain, std::int64_t start, std::int64_t from, std::int64_t to, bool in_new,
                      const Put& put) {
    auto found = at(grain, start, in_new);
    if (!found) return failure(std::move(found.error()));
    Sum& sum = **found;
    const std::int64_t first = std::max(from, start), end = std::min(to, start + seconds_of(kGrains[grain]));
    put(sum.slice, end - first);
    if (!sum.finer) return {};
    const std::int64_t length = seconds_of(kGrains[grain - 1]);
    for (std::int64_t finer = start_of(kGrains[grain - 1], first); finer < end; finer += length) {
      if (auto done = add_within(grain - 1, finer, from, to, sum.is_new, put); !done) return done;
    }
    return {};
  }

  // `in_new`: the coarser one is not in the record, so this one is not either.
  Result<Sum*> at(std::size_t grain, std::int64_t start, bool in_new) {
    const auto known = sums_[grain].find(start);
    if (known != sums_[grain].end()) return &known->second;
    Sum sum{.slice = {.start = start}, .is_new = true};
    if (!in_new) {
      auto there = slice_at(db_, kGrains[grain], start);
      if (!there) return failure(std::move(there.error()));
      sum.is_new = !*there;
      if (*there) sum.slice = std::move(**there);
    }
    if (grain > 0) {
      const std::int64_t end = start + seconds_of(kGrains[grain]);
      sum.finer = end > kept_since_[grain - 1];
      // One whose parts are gone already stays without.
      if (!sum.is_new) {
        auto part = first_start(db_, kGrains[grain - 1], start, end);
        if (!part) return failure(std::move(part.error()));
        sum.finer = part->has_value();
      }
    }
    return &sums_[grain].emplace(start, std::move(sum)).first->second;
  }

  const Database& db_;
  std::array<std::int64_t, kGrains.size()> kept_since_{};
  std::array<std::map<std::int64_t, Sum>, kGrains.size()> sums_;
};

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

// Where the `rows`-th slice from the end begins; nullopt: there are fewer.
Result<std::optional<std::int64_t>> start_from_end(const Database& db, Grain grain, std::int64_t rows) {
  auto statement = db.prepare("SELECT start FROM slices WHERE grain = ?1 ORDER BY start DESC LIMIT 1 OFFSET ?2");
  if (!statement) return failure(std::move(statement.error()));
  auto row = statement->bind(seconds_of(grain), rows - 1).step();
  if (!row) return failure(std::move(row.error()));
  if (!*row) return std::nullopt;
  return statement->integer(0);
}

// Up to where slices of kGrains[i] may go, were there no limit; nullopt: nowhere.
Result<std::optional<std::int64_t>> prunable_before(const Database& db, std::size_t i, std::int64_t oldest,
                                                    std::int64_t now) {
  const Grain grain = kGrains[i], coarser = kGrains[i + 1];
  const auto kept = kept_for(grain);
  if (!kept) return std::nullopt;
  std::int64_t before = start_of(coarser, now - whole_seconds(*kept));
  if (before <= oldest) return std::nullopt;
  // By their age alone all could go while the wall clock is wrong for a minute.
  auto newest = start_from_end(db, grain, whole_seconds(*kept) / seconds_of(grain));
  if (!newest) return failure(std::move(newest.error()));
  if (!*newest) return std::nullopt;
  before = std::min(before, **newest);
  if (i > 0) {  // a part never stays without its sum
    auto part = first_start(db, kGrains[i - 1]);
    if (!part) return failure(std::move(part.error()));
    if (*part) before = std::min(before, **part);
  }
  // Whole slices of the next grain only: where some parts are there, all of them are.
  return start_of(coarser, before);
}

}  // namespace

Result<> add_slices(const Database& db, std::span<const Slice> ten_seconds) {
  constexpr std::int64_t kLength = 10;
  Sums sums(db, std::nullopt);
  for (const Slice& slice : ten_seconds) {
    INVARIANT(slice.start % kLength == 0 && slice.start >= -kSecondMax && slice.start < kSecondMax);
    const auto put = [&slice](Slice& sum, std::int64_t /*seconds*/) { add(sum, slice); };
    if (auto done = sums.add(slice.start, slice.start + kLength, put); !done) return done;
  }
  return sums.write();
}

Result<std::int64_t> fill_slices(const Database& db, const Stretch& stretch, std::int64_t now, std::size_t rows_max) {
  INVARIANT(stretch.from >= -kSecondMax && stretch.from <= stretch.to && stretch.to <= kSecondMax);
  INVARIANT(std::ranges::find(kSeconds, stretch.state) != kSeconds.end());
  Sums sums(db, now);
  const auto put = [&stretch](Slice& sum, std::int64_t seconds) {
    sum.*stretch.state += static_cast<std::uint64_t>(seconds);
  };
  std::int64_t at = stretch.from;
  while (at < stretch.to && sums.rows() < rows_max) {
    const std::int64_t end = std::min(stretch.to, start_of(Grain::kHour, at) + seconds_of(Grain::kHour));
    if (auto done = sums.add(at, end, put); !done) return failure(std::move(done.error()));
    at = end;
  }
  if (auto written = sums.write(); !written) return failure(std::move(written.error()));
  return at;
}

Result<> keep_sampled(const Database& db, const Sampled& sampled) {
  if (sampled.counters.size() > kCountersMax) return failure(Code::kLimit, "the counters are larger than 64 KiB");
  // In the order in which they were written: `until` is wall time, and may jump.
  auto statement =
      db.prepare("INSERT OR REPLACE INTO sampled SELECT ?1, ?2, ?3, ?4, coalesce(max(written), 0) + 1 FROM sampled");
  if (!statement) return failure(std::move(statement.error()));
  const Blob counters(reinterpret_cast<const std::uint8_t*>(sampled.counters.data()), sampled.counters.size());
  if (auto done = statement->bind(sampled.table_id, counters, sampled.until, std::string_view(sampled.boot_id)).run();
      !done)
    return done;
  // A table lives for months; a forgotten one never comes back.
  return db.run(
      "DELETE FROM sampled WHERE table_id NOT IN (SELECT table_id FROM sampled ORDER BY written DESC LIMIT 8)");
}

Result<std::optional<Sampled>> sampled_of(const Database& db, std::uint64_t table_id) {
  return one_sampled(db, "WHERE table_id = ?1", table_id);
}

Result<std::optional<Sampled>> latest_sampled(const Database& db) {
  return one_sampled(db, "WHERE ?1 = 0 ORDER BY written DESC LIMIT 1", 0);
}

Result<Pruned> prune_slices(const Database& db, std::int64_t now, std::uint64_t rows_max) {
  Pruned pruned;
  for (std::size_t i = 0; i + 1 < kGrains.size(); ++i) {
    auto oldest = first_start(db, kGrains[i]);
    if (!oldest) return failure(std::move(oldest.error()));
    if (!*oldest) continue;
    auto all = prunable_before(db, i, **oldest, now);
    if (!all) return failure(std::move(all.error()));
    if (!*all) continue;
    const std::int64_t most = **oldest + static_cast<std::int64_t>(rows_max) * seconds_of(kGrains[i]);
    const std::int64_t before = std::min(**all, start_of(kGrains[i + 1], most));
    auto statement = db.prepare("DELETE FROM slices WHERE grain = ?1 AND start < ?2");
    if (!statement) return failure(std::move(statement.error()));
    if (auto done = statement->bind(seconds_of(kGrains[i]), before).run(); !done)
      return failure(std::move(done.error()));
    pruned.slices += static_cast<std::uint64_t>(db.changes());
    pruned.more = pruned.more || before < **all;
  }
  return pruned;
}

}  // namespace nines::ledger
