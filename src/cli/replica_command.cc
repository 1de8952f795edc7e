#include <vector>

#include "cli/commands.h"
#include "cli/target.h"

namespace nines::cli {
namespace {

std::string what_follows(const std::string& action, const std::string& replica) {
  if (action == "stop") return replica + " is being stopped; `nines start " + replica + "` brings it back";
  if (action == "start") return replica + " is being started";
  return replica + " is being restarted";
}

}  // namespace

int perform(const GlobalOptions& global, const ReplicaOptions& options) {
  const auto paths = find_service(global);
  if (!paths) return say(paths.error());
  const auto status = ask_status(*paths);
  if (!status) return say(status.error());
  std::vector<std::string> names;
  for (const ReplicaStatus& replica : status->replicas) names.push_back(replica.name);
  const auto replica = choose_replica(options.replica, names);
  if (!replica) return say(replica.error());
  const auto answer = ask_service(*paths, {.method = "POST",
                                           .target = "/v1/replicas/" + *replica + "/" + options.action,
                                           .body = asked_by("nines " + options.action)});
  if (!answer) return say(answer.error());
  return say({kDone, what_follows(options.action, *replica)});
}

}  // namespace nines::cli
