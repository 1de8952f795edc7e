#include "recovery.h"

#include <algorithm>

namespace nines::demo {

using plane::EventKind;

Duration since(const Mark& kill, WallTime at) { return std::max<Duration>(at - kill.at, 0ns); }

Recovery recovery_of(const Mark& kill, std::span<const cli::PastEvent> events) {
  Recovery found;
  for (const cli::PastEvent& past : events) {
    if (past.replica != kill.replica || !past.at) continue;
    const plane::Event& event = past.event;
    if (event.kind == EventKind::kExited && event.pid == kill.pid && !found.noticed)
      found.noticed = since(kill, *past.at);
    if (!found.noticed) continue;
    if (event.kind == EventKind::kSpawned && !found.ready) found.successor = event.pid;
    if (event.kind == EventKind::kReady && found.successor == event.pid && !found.ready)
      found.ready = since(kill, *past.at);
  }
  return found;
}

}  // namespace nines::demo
