#include "recovery.h"

#include <algorithm>

namespace nines::demo {

using plane::EventKind;

Duration since(WallTime kill, WallTime at) { return std::max<Duration>(at - kill, 0ns); }

Recovery recovery_of(const Mark& kill, std::span<const cli::PastEvent> events) {
  Recovery found;
  for (const cli::PastEvent& past : events) {
    if (past.replica != kill.replica || !past.at) continue;
    const plane::Event& event = past.event;
    if (event.kind == EventKind::kExited && event.pid == kill.pid && !found.noticed)
      found.noticed = since(kill.at, *past.at);
    if (!found.noticed) continue;
    if (event.kind == EventKind::kSpawned && !found.ready) found.successor = event.pid;
    if (event.kind == EventKind::kReady && found.successor == event.pid && !found.ready)
      found.ready = since(kill.at, *past.at);
  }
  return found;
}

std::string_view name_of(Part part) { return part == Part::kKeeper ? "keeper" : "supervisor"; }

Succession succession_of(Part part, std::uint64_t pid, WallTime at, std::span<const cli::PastEvent> events) {
  const bool keeper = part == Part::kKeeper;
  const EventKind exited = keeper ? EventKind::kKeeperExited : EventKind::kSupervisorExited;
  const EventKind started = keeper ? EventKind::kKeeperStarted : EventKind::kSupervisorStarted;
  Succession found;
  std::optional<WallTime> ended;
  for (const cli::PastEvent& past : events) {
    if (!past.at || found.successor) continue;
    if (past.event.kind == exited && past.event.pid == pid) {
      ended = std::max(at, *past.at);
    } else if (ended && past.event.kind == started) {
      found.gap = since(*ended, *past.at);
      found.back = since(at, *past.at);
      found.successor = past.event.pid;
    }
  }
  return found;
}

}  // namespace nines::demo
