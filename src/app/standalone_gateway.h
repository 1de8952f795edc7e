// `nines gateway`: the data path in front of endpoints, in one process: no supervisor, no anchor, and a shared table
// that nobody else sees.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "app/service.h"
#include "base/fd.h"

namespace nines::app {

struct StandaloneGateway {
  Service service;  // with endpoints; the folder of the state need not exist
  std::vector<Fd> listeners;
  // What happened, in order, with the name of the endpoint it is about. On the calling thread.
  std::function<void(const plane::Event&, const std::string& endpoint)> event;
  std::function<void(const std::string&)> warning;
};

// Until SIGTERM or SIGINT; then it takes no more connections and lets what was begun be answered for 30 s. A second
// signal ends it at once, with 1. REQUIRES: one thread.
int run_standalone_gateway(StandaloneGateway gateway);

}  // namespace nines::app
