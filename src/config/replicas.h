// The keys of what is kept up: replicas.
#pragma once

#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/reader.h"

namespace nines::config {

// `listen`: no endpoint may be one of these.
void read_replicas(Section& file, const std::vector<Address>& listen, Replicas& replicas);

}  // namespace nines::config
