// The keys of what happens to requests: gateway, routes.
#pragma once

#include <vector>

#include "config/config.h"
#include "config/reader.h"

namespace nines::config {

void read_gateway(Section& file, Gateway& gateway);
void read_routes(Section& file, std::vector<Route>& routes);

}  // namespace nines::config
