#include "ledger/course.h"

#include <algorithm>

#include "ledger/slice.h"

namespace nines::ledger {
namespace {

using availability::Interval, availability::Step;

WallTime at(std::int64_t second) { return WallTime(std::chrono::seconds(second)); }

// A slice without what this needs not.
struct Piece {
  std::int64_t start = 0, length = 0;
  std::int64_t up = 0, down = 0;  // seconds, outside of maintenance

  bool alike() const { return up == length || down == length || (up == 0 && down == 0); }
};

class Walk {
 public:
  static Result<Walk> begin(const Database& db, Course& course) {
    auto slices = db.prepare(
        "SELECT start, up + degraded, down FROM slices WHERE grain = ?1 AND start >= ?2 AND start < ?3 ORDER BY start");
    if (!slices) return failure(std::move(slices.error()));
    return Walk(std::move(*slices), course);
  }

  // Of what lies in [from, to), from slices of this grain and finer ones; false: there is none of this grain.
  Result<bool> descend(std::size_t grain, std::int64_t from, std::int64_t to) {
    const auto pieces = read(grain, from, to);
    if (!pieces) return failure(pieces.error());
    std::int64_t next = from;
    for (const Piece& piece : *pieces) {
      const std::int64_t begin = std::max(piece.start, from), end = std::min(piece.start + piece.length, to);
      if (next < begin) step(next, 0, 0);
      next = end;
      if (grain > 0 && !piece.alike()) {
        const auto finer = descend(grain - 1, begin, end);
        if (!finer) return failure(finer.error());
        if (*finer) continue;
      }
      put(piece, begin);
    }
    if (next < to && !pieces->empty()) step(next, 0, 0);
    return !pieces->empty();
  }

  void step(std::int64_t from, std::int64_t up, std::int64_t down) {
    auto& steps = course_.timeline.steps;
    const Step more{at(from), static_cast<std::uint32_t>(up), static_cast<std::uint32_t>(down)};
    if (steps.empty() || steps.back().up != more.up || steps.back().down != more.down) steps.push_back(more);
  }

 private:
  Walk(Statement slices, Course& course) : slices_(std::move(slices)), course_(course) {}

  // Of a whole second there are so many parts: what every length divides.
  static constexpr std::int64_t kParts = 86'400;

  void put(const Piece& piece, std::int64_t begin) {
    step(begin, piece.up * (kParts / piece.length), piece.down * (kParts / piece.length));
    if (!piece.alike()) course_.blurred.push_back({at(piece.start), at(piece.start + piece.length)});
  }

  Result<std::vector<Piece>> read(std::size_t grain, std::int64_t from, std::int64_t to) {
    const std::int64_t length = seconds_of(kGrains[grain]);
    slices_.bind(length, start_of(kGrains[grain], from), to);
    std::vector<Piece> pieces;
    while (true) {
      auto row = slices_.step();
      if (!row) return failure(std::move(row.error()));
      if (!*row) return pieces;
      const Piece piece{
          .start = slices_.integer(0), .length = length, .up = slices_.integer(1), .down = slices_.integer(2)};
      if (piece.up < 0 || piece.down < 0 || piece.up > length || piece.down > length - piece.up)
        return failure(Code::kInvalid, "the file is damaged: a slice has more seconds than it is long");
      pieces.push_back(piece);
    }
  }

  Statement slices_;
  Course& course_;
};

}  // namespace

Result<Course> course_of(const Database& db, std::int64_t from, std::int64_t to) {
  Course course{.timeline = {.window = {at(from), at(to)}, .steps = {}}, .blurred = {}};
  auto walk = Walk::begin(db, course);
  if (!walk) return failure(std::move(walk.error()));
  const auto found = walk->descend(kGrains.size() - 1, from, to);
  if (!found) return failure(found.error());
  if (!*found) walk->step(from, 0, 0);
  return course;
}

Duration resolution_of(const Course& course, const Interval& window) {
  Duration longest = std::chrono::seconds(seconds_of(kGrains.front()));
  for (const Interval& blurred : course.blurred)
    if (blurred.begin < window.end && blurred.end > window.begin) longest = std::max(longest, blurred.length());
  return longest;
}

}  // namespace nines::ledger
