// The keys of what is kept up: replicas.
#pragma once

#include <string_view>

#include "config/config.h"
#include "config/reader.h"

namespace nines::config {

inline constexpr std::string_view kCommandExample = "command: [my-server, --port, \"{port}\"]";

void read_replicas(Section& file, Replicas& replicas);

}  // namespace nines::config
