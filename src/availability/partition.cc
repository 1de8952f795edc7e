#include "availability/partition.h"

#include <algorithm>
#include <array>

#include "base/check.h"

namespace nines::availability {
namespace {

// Walks along a set as time goes on.
class Follower {
 public:
  explicit Follower(const Intervals& set) : parts_(set.parts()) {}

  // REQUIRES t never goes back.
  bool covers(WallTime t) {
    while (at_ < parts_.size() && parts_[at_].end <= t) ++at_;
    return at_ < parts_.size() && parts_[at_].begin <= t;
  }

 private:
  std::span<const Interval> parts_;
  std::size_t at_ = 0;
};

void add(ObservedTime& time, State observed, Duration length) {
  INVARIANT(observed != State::kMaintenance);  // which is declared
  Duration& sum = observed == State::kUp         ? time.up
                  : observed == State::kDegraded ? time.degraded
                  : observed == State::kDown     ? time.down
                                                 : time.unknown;
  sum += length;
}

}  // namespace

std::string_view name_of(State state) {
  constexpr std::array<std::string_view, 5> kNames = {"UP", "DEGRADED", "DOWN", "MAINTENANCE", "UNKNOWN"};
  return kNames[static_cast<std::size_t>(state)];
}

ObservedTime& ObservedTime::operator+=(const ObservedTime& other) {
  up += other.up;
  degraded += other.degraded;
  down += other.down;
  unknown += other.unknown;
  return *this;
}

Account& Account::operator+=(const Account& other) {
  outside += other.outside;
  maintenance += other.maintenance;
  return *this;
}

Duration Account::in(State state) const {
  switch (state) {
    case State::kUp: return outside.up;
    case State::kDegraded: return outside.degraded;
    case State::kDown: return outside.down;
    case State::kMaintenance: return maintenance.total();
    case State::kUnknown: return outside.unknown;
  }
  return 0ns;
}

Account Partition::account() const {
  Account account;
  for (const Slice& slice : slices)
    add(slice.maintenance ? account.maintenance : account.outside, slice.observed, slice.at.length());
  return account;
}

Partition partition(const Interval& window, const Observations& seen) {
  Partition result{.window = window, .slices = {}};
  if (window.empty()) return result;
  const std::array sets = {&seen.up, &seen.degraded, &seen.down, &seen.maintenance};
  std::vector<WallTime> cuts = {window.begin};
  for (const Intervals* set : sets) {
    for (const Interval& part : set->parts()) {
      for (const WallTime edge : {part.begin, part.end}) {
        if (window.contains(edge)) cuts.push_back(edge);
      }
    }
  }
  std::ranges::sort(cuts);
  cuts.erase(std::ranges::unique(cuts).begin(), cuts.end());

  Follower up(seen.up), degraded(seen.degraded), down(seen.down), maintenance(seen.maintenance);
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    const WallTime t = cuts[i];
    const bool is_up = up.covers(t), is_degraded = degraded.covers(t), is_down = down.covers(t);
    const Slice slice{.at = {t, i + 1 < cuts.size() ? cuts[i + 1] : window.end},
                      .observed = is_down       ? State::kDown
                                  : is_degraded ? State::kDegraded
                                  : is_up       ? State::kUp
                                                : State::kUnknown,
                      .maintenance = maintenance.covers(t)};
    Slice* const last = result.slices.empty() ? nullptr : &result.slices.back();
    if (last != nullptr && last->observed == slice.observed && last->maintenance == slice.maintenance) {
      last->at.end = slice.at.end;
    } else {
      result.slices.push_back(slice);
    }
  }
  return result;
}

std::optional<TimeAvailability> availability_of(const ObservedTime& time) {
  const Duration total = time.total();
  if (total == 0ns) return std::nullopt;
  TimeAvailability result{.observed = std::nullopt,
                          .low = Availability::of_unavailability(ratio(time.down + time.unknown, total)),
                          .high = Availability::of_unavailability(ratio(time.down, total)),
                          .coverage = ratio(time.known(), total).value()};
  if (time.known() > 0ns) result.observed = Availability::of_unavailability(ratio(time.down, time.known()));
  return result;
}

std::optional<Ratio> unavailability_at_worst(const ObservedTime& time) {
  if (time.total() == 0ns) return std::nullopt;
  return ratio(time.down + time.unknown, time.total());
}

}  // namespace nines::availability
