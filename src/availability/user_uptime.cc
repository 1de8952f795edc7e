#include "availability/user_uptime.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace nines::availability {
namespace {

UserEvents in_order(UserEvents events) {
  std::ranges::sort(events, {}, [](const UserEvent& event) { return std::pair(event.at, !event.good); });
  return events;
}

// How the numbers change at a moment.
struct Change {
  WallTime at{};
  std::int64_t up = 0, down = 0;
};

WallTime later(WallTime t, Duration d) { return d > WallTime::max() - t ? WallTime::max() : t + d; }

}  // namespace

std::optional<Duration> inactivity_cutoff(std::span<const UserEvents> users) {
  std::vector<Duration> gaps;
  for (const UserEvents& user : users) {
    const UserEvents events = in_order(user);
    for (std::size_t i = 1; i < events.size(); ++i) gaps.push_back(Interval{events[i - 1].at, events[i].at}.length());
  }
  if (gaps.empty()) return std::nullopt;
  const std::size_t rank = (gaps.size() * 99 + 99) / 100;
  const auto nth = gaps.begin() + static_cast<std::ptrdiff_t>(rank - 1);
  std::ranges::nth_element(gaps, nth);
  return *nth;
}

Timeline timeline_of(std::span<const UserEvents> users, const Interval& window, Duration cutoff) {
  INVARIANT(cutoff > 0ns);
  INVARIANT(users.size() <= std::numeric_limits<std::uint32_t>::max());
  Timeline timeline{.window = window, .steps = {}};
  if (window.empty()) return timeline;
  std::vector<Change> changes = {{.at = window.begin}};
  for (const UserEvents& user : users) {
    const UserEvents events = in_order(user);
    for (std::size_t i = 0; i < events.size(); ++i) {
      const WallTime begin = std::max(events[i].at, window.begin);
      WallTime end = std::min(later(events[i].at, cutoff), window.end);
      if (i + 1 < events.size()) end = std::min(end, events[i + 1].at);
      if (end <= begin) continue;
      const std::int64_t up = events[i].good ? 1 : 0, down = 1 - up;
      changes.push_back({begin, up, down});
      changes.push_back({end, -up, -down});
    }
  }
  std::ranges::sort(changes, {}, &Change::at);
  std::int64_t up = 0, down = 0;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    up += changes[i].up;
    down += changes[i].down;
    const bool more_at_once = i + 1 < changes.size() && changes[i + 1].at == changes[i].at;
    if (more_at_once || changes[i].at >= window.end) continue;
    const Step step{changes[i].at, static_cast<std::uint32_t>(up), static_cast<std::uint32_t>(down)};
    const bool same =
        !timeline.steps.empty() && timeline.steps.back().up == step.up && timeline.steps.back().down == step.down;
    if (!same) timeline.steps.push_back(step);
  }
  return timeline;
}

}  // namespace nines::availability
