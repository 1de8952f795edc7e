// A service on a screen. Pure: the same status and style give the same text.
#pragma once

#include <string>

#include "cli/status.h"
#include "cli/terminal.h"

namespace nines::cli {

// All of it: head, totals, replicas, the last events.
std::string render_status(const ServiceStatus& status, const Style& style);

// The processes: replicas, then supervisor, gateway and keeper.
std::string render_processes(const ServiceStatus& status, const Style& style);

}  // namespace nines::cli
