#include <algorithm>
#include <vector>

#include "cli/commands.h"
#include "cli/target.h"

namespace nines::cli {
namespace {

std::string what_follows(const ReplicaOptions& options, const ReplicaStatus& replica) {
  const std::string& action = options.action;
  const std::string& name = replica.name;
  if (action == "drain") {
    return name + " gets no new requests; it has " + std::to_string(replica.in_flight) + " to finish. `nines undrain " +
           name + "` gives it its share again";
  }
  if (action == "undrain") return name + " gets its share of the requests again";
  if (action == "weight")
    return name + " gets " + std::to_string(options.percent) + " % of what a plain replica gets" +
           (replica.drained_by.empty() ? "" : ", once `nines undrain " + name + "` gives it any");
  if (action == "stop") return name + " is being stopped; `nines start " + name + "` brings it back";
  if (action == "start") return name + " is being started";
  return name + " is being restarted";
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
  const auto weight = options.action == "weight" ? std::optional(options.percent) : std::nullopt;
  const auto answer = ask_service(*paths, {.method = "POST",
                                           .target = "/v1/replicas/" + *replica + "/" + options.action,
                                           .body = asked_by("nines " + options.action, weight)});
  if (!answer) return say(answer.error());
  return say({kDone, what_follows(options, *std::ranges::find(status->replicas, *replica, &ReplicaStatus::name))});
}

}  // namespace nines::cli
