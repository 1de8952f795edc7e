// User-uptime: the share of their time in which users found the service well [Hauer et al., "Meaningful Availability",
// NSDI 2020]. Each user counts by the time they were there, so neither the busiest nor those who retry the most decide.
//
// A user's state holds from one request to the next: up after a good one, down after a bad one. Someone who makes no
// request for longer than the cutoff is not there from then on: neither up nor down.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "availability/timeline.h"

namespace nines::availability {

struct UserEvent {
  WallTime at{};
  bool good = true;
};

// Of one user, in any order. Of several at the same moment a bad one counts.
using UserEvents = std::vector<UserEvent>;

// The 99th percentile (nearest rank) of the times between requests of the same user, over all users; nullopt when
// nobody made two.
std::optional<Duration> inactivity_cutoff(std::span<const UserEvents> users);

// Users up and down at each moment of the window. Requests before it count as far as they reach into it; after the
// last one of a user the state holds for the cutoff, but not beyond the window. O(n log n) in the number of requests.
// availability_of() is user-uptime, worst_window() is windowed user-uptime. At most 2^32 − 1 users.
// REQUIRES cutoff > 0.
Timeline timeline_of(std::span<const UserEvents> users, const Interval& window, Duration cutoff);

}  // namespace nines::availability
