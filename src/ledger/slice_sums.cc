// Reading the slices' tables; see slices.h for what holds of them.
#include <algorithm>
#include <limits>

#include "ledger/reader.h"
#include "ledger/slice_rows.h"
#include "ledger/slices.h"

namespace nines::ledger {
namespace {

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
    auto finer = first_start(db_, kGrains[grain - 1], start, end);
    if (!finer) return failure(std::move(finer.error()));
    if (*finer) return sum(grain - 1, from, to);
    auto whole = first_start(db_, kGrains[grain], start, end);
    if (!whole) return failure(std::move(whole.error()));
    return *whole ? take(grain, start, end) : Result<>{};
  }

  Result<> take(std::size_t grain, std::int64_t from, std::int64_t to) {
    if (from >= to) return {};
    auto slices = SliceRows::in(db_, kGrains[grain], from, to);
    if (!slices) return failure(std::move(slices.error()));
    while (true) {
      auto slice = slices->next();
      if (!slice) return failure(std::move(slice.error()));
      if (!*slice) break;
      add(total_.sum, **slice);
    }
    total_.from = std::min(total_.from, from);
    total_.to = std::max(total_.to, to);
    return {};
  }

  const Database& db_;
  Total& total_;
};

std::string words_of(Grain grain, std::int64_t start) {
  const std::string at = format_rfc3339(WallTime(std::chrono::seconds(start)));
  return "the " + std::string(name_of(grain)) + " from " + at;
}

// Of one grain, where a finer one is there.
Result<std::optional<SliceBreak>> check_grain(const Database& db, Grain coarse, Grain fine) {
  auto sums = SliceRows::in(db, coarse, INT64_MIN, INT64_MAX);
  if (!sums) return failure(std::move(sums.error()));
  auto parts = SliceRows::in(db, fine, INT64_MIN, INT64_MAX);
  if (!parts) return failure(std::move(parts.error()));
  auto part = parts->next();
  auto sum = sums->next();
  while (part && sum && *part) {
    Slice expected{.start = start_of(coarse, (*part)->start)};
    for (; part && *part && start_of(coarse, (*part)->start) == expected.start; part = parts->next())
      add(expected, **part);
    if (!part) break;
    while (sum && *sum && (*sum)->start < expected.start) sum = sums->next();
    if (!sum) break;
    if (!*sum || (*sum)->start != expected.start)
      return SliceBreak{coarse, expected.start,
                        words_of(coarse, expected.start) + " is missing, and parts of it are there"};
    if (**sum != expected)
      return SliceBreak{coarse, expected.start, words_of(coarse, expected.start) + " is not the sum of its parts"};
  }
  if (!part) return failure(std::move(part.error()));
  if (!sum) return failure(std::move(sum.error()));
  return std::nullopt;
}

}  // namespace

Result<std::vector<Slice>> slices_of(const Database& db, Grain grain, std::int64_t from, std::int64_t to) {
  auto slices = SliceRows::in(db, grain, from, to);
  if (!slices) return failure(std::move(slices.error()));
  std::vector<Slice> found;
  while (found.size() < kRowsMax) {
    auto slice = slices->next();
    if (!slice) return failure(std::move(slice.error()));
    if (!*slice) break;
    found.push_back(std::move(**slice));
  }
  return found;
}

Result<Total> total_of(const Database& db, std::int64_t from, std::int64_t to) {
  from = std::clamp(from, -kSecondMax, kSecondMax);
  to = std::clamp(to, from, kSecondMax);
  Total total{.sum = {.start = from}, .from = from, .to = to};
  if (auto done = Summing(db, total).sum(kGrains.size() - 1, from, to); !done) return failure(std::move(done.error()));
  total.sum.start = total.from;
  return total;
}

Result<std::optional<std::int64_t>> measured_since(const Database& db) {
  // The day's slice begins before; its first hour, or what is finer, if that is still there.
  std::optional<std::int64_t> since;
  for (auto grain = kGrains.rbegin(); grain != kGrains.rend(); ++grain) {
    const std::int64_t end = since ? *since + seconds_of(*std::prev(grain)) : std::numeric_limits<std::int64_t>::max();
    auto first = first_start(db, *grain, since.value_or(std::numeric_limits<std::int64_t>::min()), end);
    if (!first) return failure(std::move(first.error()));
    if (!*first) break;
    since = *first;
  }
  return since;
}

Result<> check_newest_slices(const Database& db) {
  auto newest = db.prepare("SELECT start FROM slices WHERE grain = ?1 ORDER BY start DESC LIMIT 1");
  if (!newest) return failure(std::move(newest.error()));
  for (const Grain grain : kGrains) {
    auto row = newest->bind(seconds_of(grain)).step();
    if (!row) return failure(std::move(row.error()));
    if (!*row) continue;
    const auto slice = slice_at(db, grain, newest->integer(0));
    if (!slice) return failure(slice.error());
  }
  const auto sampled = latest_sampled(db);
  if (!sampled) return failure(sampled.error());
  return {};
}

Result<std::optional<SliceBreak>> check_slices(const Database& db) {
  for (std::size_t i = 1; i < kGrains.size(); ++i) {
    auto broken = check_grain(db, kGrains[i], kGrains[i - 1]);
    if (!broken || *broken) return broken;
  }
  return std::nullopt;
}

}  // namespace nines::ledger
