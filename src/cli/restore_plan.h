// Which replicas a restore stops, and which it starts when the files are in place. Pure.
//
//   held by a person, or just being stopped by one   is neither stopped nor started
//   held by a restore that was interrupted           is started
//   everything else that is not stopped              is stopped, and started
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cli/status.h"

namespace nines::cli {

// As whom a restore stops replicas.
inline constexpr std::string_view kRestorer = "nines restore";

// Somebody else than a restore stopped it.
bool held_by_somebody(const ReplicaStatus& replica);

struct RestorePlan {
  std::vector<std::string> stop, start;
};
// `stopped_before`: by an earlier restore that did not come to its end. Names the service does not have are left out.
RestorePlan plan_restore(std::span<const ReplicaStatus> replicas, std::span<const std::string> stopped_before);

}  // namespace nines::cli
