#include "plane/events.h"

#include <algorithm>

namespace nines::plane {

std::string_view name_of(EventKind kind) {
  switch (kind) {
    case EventKind::kServiceStarted: return "service_started";
    case EventKind::kServiceStopping: return "service_stopping";
    case EventKind::kSpawned: return "spawned";
    case EventKind::kSpawnFailed: return "spawn_failed";
    case EventKind::kListening: return "listening";
    case EventKind::kReady: return "ready";
    case EventKind::kUnready: return "unready";
    case EventKind::kExited: return "exited";
    case EventKind::kUnrouted: return "unrouted";
    case EventKind::kDraining: return "draining";
    case EventKind::kTerminated: return "terminated";
    case EventKind::kKilled: return "killed";
    case EventKind::kGatewayStarted: return "gateway_started";
    case EventKind::kGatewayExited: return "gateway_exited";
    case EventKind::kKeeperStarted: return "keeper_started";
    case EventKind::kKeeperExited: return "keeper_exited";
    case EventKind::kSupervisorStarted: return "supervisor_started";
    case EventKind::kSupervisorExited: return "supervisor_exited";
    case EventKind::kAnchorStarted: return "anchor_started";
    case EventKind::kAnchorExited: return "anchor_exited";
    case EventKind::kAdopted: return "adopted";
    case EventKind::kStopWished: return "stop_wished";
    case EventKind::kStartWished: return "start_wished";
    case EventKind::kRestartWished: return "restart_wished";
    case EventKind::kBackupTaken: return "backup_taken";
    case EventKind::kBackupFailed: return "backup_failed";
    case EventKind::kRestored: return "restored";
    case EventKind::kUpgraded: return "upgraded";
    case EventKind::kEventsLost: return "events_lost";
    case EventKind::kEjected: return "ejected";
    case EventKind::kUnejected: return "unejected";
    case EventKind::kHung: return "hung";
    case EventKind::kCanaryFailed: return "canary_failed";
    case EventKind::kCanaryPassed: return "canary_passed";
    case EventKind::kPanicBegan: return "panic_began";
    case EventKind::kPanicEnded: return "panic_ended";
    case EventKind::kDrainWished: return "drain_wished";
    case EventKind::kUndrainWished: return "undrain_wished";
    case EventKind::kWeightWished: return "weight_wished";
    case EventKind::kWaitsFor: return "waits_for";
    case EventKind::kNeedsMet: return "needs_met";
    case EventKind::kOutOfMemory: return "out_of_memory";
    case EventKind::kGivenUp: return "given_up";
    case EventKind::kDeployBegan: return "deploy_began";
    case EventKind::kDeployMoved: return "deploy_moved";
    case EventKind::kDeployDone: return "deploy_done";
    case EventKind::kDeployUndone: return "deploy_undone";
    case EventKind::kFileDamaged: return "file_damaged";
    case EventKind::kFilePutBack: return "file_put_back";
    case EventKind::kReloadWished: return "reload_wished";
    case EventKind::kCrashLoop: return "crash_loop";
    case EventKind::kMaintenancePlanned: return "maintenance_planned";
    case EventKind::kMaintenanceEnded: return "maintenance_ended";
    case EventKind::kIncidentAcknowledged: return "incident_acknowledged";
    case EventKind::kIncidentNoted: return "incident_noted";
    case EventKind::kIncidentsMerged: return "incidents_merged";
    case EventKind::kCorrected: return "corrected";
    case EventKind::kServiceDegraded: return "service_degraded";
    case EventKind::kServiceDown: return "service_down";
    case EventKind::kServiceUp: return "service_up";
    case EventKind::kClockStepped: return "clock_stepped";
    case EventKind::kNotMeasured: return "not_measured";
    case EventKind::kHostDown: return "host_down";
    case EventKind::kReaped: return "reaped";
  }
  return "unknown";
}

void Event::set_text(std::string_view t) {
  std::size_t n = std::min(t.size(), sizeof text - 1);
  // Do not cut a UTF-8 sequence in two.
  while (n > 0 && n < t.size() && (static_cast<unsigned char>(t[n]) & 0xC0U) == 0x80U) --n;
  if (n > 0) std::memcpy(text, t.data(), n);
  text[n] = '\0';
}

void EventRing::push(Event event) {
  const std::uint64_t number = next_.load(std::memory_order_relaxed) + 1;
  prepare(event, number);
  publish(number);
}

void EventRing::prepare(Event event, std::uint64_t number) {
  event.number = number;
  slots_[(number - 1) % kSize].store(event);
}

EventRing::Read EventRing::read(std::uint64_t from, std::size_t max) const {
  Read result;
  const std::uint64_t written = next_.load(std::memory_order_acquire);
  const std::uint64_t oldest = written > kSize ? written - kSize + 1 : 1;
  from = std::max<std::uint64_t>(from, 1);
  // The ring was made anew (its writer's memory was lost): begin with what there is.
  if (from > written + 1) from = oldest;
  if (from < oldest) {
    result.lost = oldest - from;
    from = oldest;
  }
  result.next = from;
  for (; result.next <= written && result.events.size() < max; ++result.next) {
    const auto event = slots_[(result.next - 1) % kSize].load();
    // Overwritten while we read, or its writer died in the middle of it.
    if (!event || event->number != result.next) {
      ++result.lost;
      continue;
    }
    result.events.push_back(*event);
  }
  return result;
}

}  // namespace nines::plane
