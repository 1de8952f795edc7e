// What the service's own events say about one kill. Pure.
//
//   kill ──► exited ──► spawned ──► listening ──► ready
//     └──────┘ noticed                               │
//     └──────────────────────────────────────────────┘ ready
//
// and about one kill of a part of nines itself:
//
//   kill ──► exited ──► started
//     │      └─────────────┤ gap
//     └────────────────────┘ back
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

enum class Part : std::uint8_t { kKeeper, kSupervisor };
std::string_view name_of(Part part);

struct Succession {
  std::optional<Duration> gap;             // between the two events
  std::optional<Duration> back;            // since the kill
  std::optional<std::uint64_t> successor;  // pid
};

// `pid` was killed at `at`. `events`: oldest first.
Succession succession_of(Part part, std::uint64_t pid, WallTime at, std::span<const cli::PastEvent> events);

// Since the kill, never negative: the event's clock is coarser than ours.
Duration since(WallTime kill, WallTime at);

}  // namespace nines::demo
