// A whole service in this process's care: `nines up` and `nines run` call it.
//
// This process becomes the supervisor. It starts the gateway and the keeper (this same program, with other
// arguments) and the replicas, and answers on the control socket until somebody wishes it down or it cannot start.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "app/paths.h"
#include "config/config.h"
#include "plane/events.h"

namespace nines::app {

struct Service {
  config::Config config;  // valid; config.service is set
  Paths paths;            // the folders exist, the lock is held by the caller
};

// What a caller wants to hear of while it runs. Called on the supervisor's thread; must not block for long.
struct Listener {
  // Every event, in order, of both rings. `replica` is its name, empty for none.
  std::function<void(const plane::Event&, const std::string& replica)> event;
  // Once: enough replicas are ready and the listener answers. `addresses` as http://… URLs.
  std::function<void(const std::vector<std::string>& addresses)> up;
  // Something a person should know that is no event: a replica reachable from other machines, say.
  std::function<void(const std::string&)> warning;
};

struct Outcome {
  int exit_status = 0;  // 0 stopped as wished; 1 never ready, port in use; 2 the command cannot be executed
  std::string message;  // one clear message when not 0
  std::vector<std::string> log_tail;  // last lines of the replica's log, when it explains the message
  std::string log_file;               // the log they are from
};

// Runs until the service is down, with nothing of it left. SIGINT and SIGTERM do what `nines down` does; a second one
// hurries (SIGKILL instead of waiting).
Outcome run_service(const Service& service, const Listener& listener);

// The other processes; `arguments` are those the supervisor gave. The exit status of the process.
int gateway_main(const std::vector<std::string>& arguments);
int keeper_main(const std::vector<std::string>& arguments);

}  // namespace nines::app
