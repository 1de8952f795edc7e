#include "app/reload.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "app/releases.h"
#include "backup/sha256.h"

namespace nines::app {
namespace {

std::string kind_of(const config::Replicas& replicas) {
  return !replicas.endpoints.empty() ? "endpoints" : replicas.container ? "a container" : "a command";
}

// Why not; empty: it may.
std::string in_the_way(const config::Config& running, const config::Config& wanted) {
  if (running.service != wanted.service)
    return "service: it is " + running.service.value_or("") +
           ", and a reload does not rename it; `nines down`, then `nines up`";
  const std::string before = kind_of(running.replicas), after = kind_of(wanted.replicas);
  if (before != after) return "replicas: it was " + before + " and is now " + after + "; `nines down`, then `nines up`";
  const config::Launch &launch = running.replicas, &other = wanted.replicas;
  if (launch != other)
    return "what the replicas are started from has changed (" + difference(launch, other) +
           "): `nines deploy` brings it, step by step";
  return "";
}

}  // namespace

std::vector<config::Endpoint> keep_places(const std::vector<config::Endpoint>& before,
                                          std::vector<config::Endpoint> wanted) {
  std::vector<std::optional<config::Endpoint>> places(wanted.size());
  std::vector<config::Endpoint> others;
  for (config::Endpoint& endpoint : wanted) {
    const auto was = std::ranges::find(before, endpoint.at, &config::Endpoint::at);
    const auto index = static_cast<std::size_t>(was - before.begin());
    if (was == before.end() || index >= places.size()) {
      others.push_back(std::move(endpoint));
    } else {
      places[index] = std::move(endpoint);
    }
  }
  std::vector<config::Endpoint> kept;
  auto other = others.begin();
  for (auto& place : places) kept.push_back(place ? *std::move(place) : std::move(*other++));
  return kept;
}

Result<ReloadPlan> plan_reload(const config::Config& running, config::Config wanted) {
  if (const std::string why = in_the_way(running, wanted); !why.empty()) return failure(Code::kRefused, why);
  wanted.replicas.endpoints = keep_places(running.replicas.endpoints, std::move(wanted.replicas.endpoints));
  auto changes = config::changes(running, wanted);
  return ReloadPlan{std::move(wanted), std::move(changes)};
}

std::string digest_of(const config::Config& config) {
  backup::Sha256 sum;
  sum.update(config::to_yaml(config));
  return "sha256:" + sum.finish();
}

}  // namespace nines::app
