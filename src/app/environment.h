// The environment of a replica from the configuration: secrets are read here, at the moment of use, and nowhere else.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "config/config.h"

namespace nines::app {

// `folder`: what `file:` paths are relative to. kNotFound names the variable and the missing source, never a value.
Result<std::vector<std::pair<std::string, std::string>>> environment_of(const config::Replicas& replicas,
                                                                        const std::string& folder);

}  // namespace nines::app
