// The sections `sla:` and `costs:`: what was promised, and what it costs when it is not kept. Pure.
#pragma once

#include <optional>

#include "config/config.h"
#include "config/reader.h"

namespace nines::config {

void read_sla(Section& file, std::optional<Sla>& sla);
void read_costs(Section& file, std::optional<Costs>& costs);

}  // namespace nines::config
