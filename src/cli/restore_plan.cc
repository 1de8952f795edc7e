#include "cli/restore_plan.h"

#include <algorithm>

namespace nines::cli {

bool held_by_somebody(const ReplicaStatus& replica) {
  return !replica.held_by.empty() && !replica.held_by.starts_with(kRestorer);
}

RestorePlan plan_restore(std::span<const ReplicaStatus> replicas, std::span<const std::string> stopped_before) {
  RestorePlan plan;
  for (const ReplicaStatus& replica : replicas) {
    if (held_by_somebody(replica)) continue;
    const bool runs = replica.state != "stopped";
    const bool ours =
        !replica.held_by.empty() || std::ranges::find(stopped_before, replica.name) != stopped_before.end();
    if (runs) plan.stop.push_back(replica.name);
    if (runs || ours) plan.start.push_back(replica.name);
  }
  return plan;
}

}  // namespace nines::cli
