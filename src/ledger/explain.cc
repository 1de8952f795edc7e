#include "ledger/explain.h"

#include <algorithm>

namespace nines::ledger {
namespace {

// All of one grain, however many.
Result<std::vector<Piece>> all_of(const Reader& reader, Grain grain, std::int64_t from, std::int64_t to) {
  std::vector<Piece> pieces;
  while (from < to) {
    auto slices = reader.slices(grain, from, to);
    if (!slices) return failure(std::move(slices.error()));
    for (Slice& slice : *slices) pieces.push_back({std::move(slice), seconds_of(grain)});
    if (slices->size() < kRowsMax) break;
    from = pieces.back().slice.start + 1;
  }
  return pieces;
}

}  // namespace

Result<std::vector<Piece>> pieces_of(const Reader& reader, std::int64_t from, std::int64_t to) {
  std::vector<Piece> pieces;
  std::int64_t until = to;
  for (const Grain grain : kGrains) {
    // Only those that lie before the finer ones altogether.
    auto some = all_of(reader, grain, start_of(grain, from), until - (until == to ? 0 : seconds_of(grain) - 1));
    if (!some) return some;
    if (some->empty()) continue;
    until = some->front().slice.start;
    pieces.insert(pieces.begin(), std::make_move_iterator(some->begin()), std::make_move_iterator(some->end()));
  }
  return pieces;
}

std::vector<Missing> missing_in(const std::vector<Piece>& pieces, std::int64_t from, std::int64_t to) {
  std::vector<Missing> all;
  const auto note = [&](const Missing& more) {
    if (all.empty() || all.back().to != more.from) {
      all.push_back(more);
      return;
    }
    Missing& last = all.back();
    last.to = more.to;
    last.down += more.down;
    last.degraded += more.degraded;
    last.unknown += more.unknown;
    last.maintenance += more.maintenance;
    last.bad += more.bad;
  };
  const auto gap = [&](std::int64_t begin, std::int64_t end) {
    if (begin < end) note({.from = begin, .to = end, .unknown = static_cast<std::uint64_t>(end - begin)});
  };
  std::int64_t next = from;
  for (const auto& [slice, seconds] : pieces) {
    gap(next, slice.start);
    next = slice.start + seconds;
    const auto length = static_cast<std::uint64_t>(seconds);
    const Missing missing{.from = slice.start,
                          .to = next,
                          .down = slice.down,
                          .degraded = slice.degraded,
                          .unknown = length - std::min(length, slice.known()),
                          .maintenance = slice.maintenance_up + slice.maintenance_degraded + slice.maintenance_down,
                          .bad = slice.bad};
    if (missing.down + missing.degraded + missing.unknown + missing.maintenance > 0) note(missing);
  }
  gap(next, to);
  return all;
}

}  // namespace nines::ledger
