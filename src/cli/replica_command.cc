#include <algorithm>
#include <vector>

#include "cli/commands.h"
#include "cli/target.h"

namespace nines::cli {
namespace {

constexpr const char* kLast = ". Nobody else is ready: requests wait, and fail";

std::string what_follows(const ReplicaOptions& options, const ReplicaStatus& replica, bool is_last) {
  const std::string& action = options.action;
  const std::string& name = replica.name;
  if (action == "drain") {
    return name + " gets no new requests; it has " + std::to_string(replica.in_flight) + " to finish. `nines undrain " +
           name + "` gives it its share again" + (is_last ? kLast : "");
  }
  if (action == "undrain") {
    return name + " gets its share of the requests again" +
           (replica.weight_wished == 0U ? ", which is none: `nines weight " + name + " default`" : "");
  }
  if (action == "weight") {
    return name + " gets " +
           (options.percent ? std::to_string(*options.percent) + " % of what a plain replica gets"
                            : "the configured share of the requests") +
           (replica.drained_by.empty() ? "" : ", once `nines undrain " + name + "` gives it any") +
           (options.percent == 0 && is_last ? kLast : "");
  }
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
  const std::string command = "nines " + options.action;
  const auto answer = ask_service(
      *paths, {.method = "POST",
               .target = "/v1/replicas/" + *replica + "/" + options.action,
               .body = options.action == "weight" ? asked_for_weight(command, options.percent) : asked_by(command)});
  if (!answer) return say(answer.error());
  const auto& all = status->replicas;
  const bool is_last = std::ranges::none_of(all, [&](const ReplicaStatus& other) {
    return other.name != *replica && other.state == "ready" && other.weight > 0;
  });
  return say({kDone, what_follows(options, *std::ranges::find(all, *replica, &ReplicaStatus::name), is_last)});
}

}  // namespace nines::cli
