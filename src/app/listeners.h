// The sockets that clients connect to.
#pragma once

#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "config/config.h"

namespace nines::app {

// One for each address of `listen`. kExists: it is in use, said so that a person can mend it.
Result<std::vector<Fd>> open_listeners(const config::Config& config);
Result<Fd> open_listener(const config::Address& at);

// Where this machine itself reaches what listens there: on loopback, if it listens everywhere.
config::Address reachable(config::Address at);

}  // namespace nines::app
