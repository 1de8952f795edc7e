// A prepared service, run by this process or by a child in the background. Both return the exit status.
#pragma once

#include <string>

#include "cli/service_setup.h"

namespace nines::cli {

// Until the service is down; says what happens on stdout, and why it failed on stderr. `hint` is a line for the
// person who started it, may be empty.
int run_in_foreground(Prepared prepared, const std::string& hint);

// Returns once the service is up, or is known not to come up. What happens later goes to Paths::own_log().
// REQUIRES: this process has one thread.
int run_detached(Prepared prepared);

}  // namespace nines::cli
