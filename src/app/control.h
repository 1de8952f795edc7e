// The control socket of a running service: HTTP over a Unix socket that only its user can reach. What `nines status`,
// `down` and the others speak; the paths and the JSON are described in docs/internals/control-api.md.
#pragma once

#include <memory>

#include "http/server.h"

namespace nines::app {

class Supervisor;

// The handler of the control socket. The supervisor outlives it.
http::Server::Handler control_handler(Supervisor& supervisor);

}  // namespace nines::app
