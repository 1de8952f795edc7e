// A service as its supervisor process runs it. How the processes come to be:
//
//   `nines up`  makes the estate (estate.h) and becomes the anchor (anchor.h)
//   anchor      starts `internal-supervisor`, again and again: run_supervisor()
//   supervisor  starts `internal-gateway` and `internal-keeper`, and the replicas
//
// All are this same program.
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

// By slot: SERVICE-1, SERVICE-2, …
std::vector<std::string> replica_names(const config::Config& config);
// The same, and behind them the spares, which are there during a deploy only: SERVICE-spare-1, …
std::vector<std::string> slot_names(const config::Config& config);

// What a caller wants to hear of while it runs. Called on the supervisor's thread; must not block for long.
struct Listener {
  // Every event, in order, of both rings. `replica` is its name, empty for none.
  std::function<void(const plane::Event&, const std::string& replica)> event;
  // Enough replicas are ready and the listener answers. `addresses` as http://… URLs. `again`: it was so before, under
  // another supervisor.
  std::function<void(const std::vector<std::string>& addresses, std::size_t ready, bool again)> up;
  // Something a person should know that is no event: a replica reachable from other machines, say.
  std::function<void(const std::string&)> warning;
};

struct Outcome {
  int exit_status = 0;  // 0 stopped as wished; 1 never ready, port in use; 2 the command cannot be executed
  std::string message;  // one clear message when not 0
  std::vector<std::string> log_tail;  // last lines of the replica's log, when it explains the message
  std::string log_file;               // the log they are from
  bool goes_on = false;               // not down: another supervisor takes our place
  bool by_the_anchor = false;         // ... whom our anchor is to start, once we have ended
};

// Runs until the service is down, with nothing of it left, or goes on under another supervisor. SIGINT and SIGTERM do
// what `nines down` does; a second one hurries (SIGKILL instead of waiting).
// REQUIRES the descriptors of process_contract.h.
Outcome run_supervisor(const Service& service, const Listener& listener);

// The other processes; `arguments` are those the supervisor gave. The exit status of the process.
int gateway_main(const std::vector<std::string>& arguments);
int keeper_main(const std::vector<std::string>& arguments);

}  // namespace nines::app
