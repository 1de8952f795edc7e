// What the service's own events say about one kill. Pure.
//
//   kill ──► exited ──► spawned ──► listening ──► ready
//     └──────┘ noticed                               │
//     └──────────────────────────────────────────────┘ ready
//
// Events carry wall time in milliseconds, so these times are as good as that.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "cli/status.h"

namespace nines::demo {

struct Mark {
  std::string replica;
  std::uint64_t pid = 0;
  WallTime at;  // just before the signal was sent
};

struct Recovery {
  std::optional<Duration> noticed;         // the supervisor knew that it is dead
  std::optional<std::uint64_t> successor;  // pid of the next incarnation
  std::optional<Duration> ready;           // the next incarnation gets requests
};

// `events`: oldest first; those of other replicas and of other incarnations say nothing about it.
Recovery recovery_of(const Mark& kill, std::span<const cli::PastEvent> events);

// Since the kill, never negative: the event's clock is coarser than ours.
Duration since(const Mark& kill, WallTime at);

}  // namespace nines::demo
