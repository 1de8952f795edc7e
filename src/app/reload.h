// A reload: whether a service may go on with another configuration as it is, and what that takes. Pure.
//
// Everything may change in place but what replicas are started from (that is a deploy), the service's name, and whether
// its servers are processes, containers or elsewhere. All or nothing: a configuration with one such change is refused.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "config/changes.h"
#include "config/config.h"

namespace nines::app {

struct ReloadPlan {
  config::Config config;  // the wanted one; its endpoints in the order in which those that stay keep their places
  std::vector<config::Change> changes;
};

// `running`: what is active, with the launch of the active release in it. kRefused: says which keys stand in the way,
// and what brings them.
Result<ReloadPlan> plan_reload(const config::Config& running, config::Config wanted);

// The wanted endpoints: those that were there stay at their index, the others fill what is free. The last ones move
// where the list has become shorter.
std::vector<config::Endpoint> keep_places(const std::vector<config::Endpoint>& before,
                                          std::vector<config::Endpoint> wanted);

// Of the configuration as text: "sha256:…". Two that are equal have the same.
std::string digest_of(const config::Config& config);

}  // namespace nines::app
