// From a prepared service to one that runs. All three return an exit status, or not at all: in the foreground this very
// process becomes the anchor.
#pragma once

#include <string>
#include <vector>

#include "cli/service_setup.h"

namespace nines::cli {

// First of all, in the foreground. The kernel drops a signal for the first process of a container that neither handles
// nor blocks it: a `docker stop` right after the start would be lost. Blocked, it waits for the anchor.
void keep_signals_for_anchor();

struct StartOptions {
  bool detach = false;  // return once it is up, or is known not to come up; what happens later goes to Paths::own_log()
  std::string hint;     // a line for the person who started it
};
// REQUIRES: this process has one thread.
int start_service(Prepared prepared, const StartOptions& options);

// Puts an anchor in the place of one that died, and lets what runs run on. kNo when the anchor lives.
int take_over_service(const app::Paths& paths, const StartOptions& options);

// The supervisor's process, as the anchor starts it.
int supervisor_main(const std::vector<std::string>& arguments);

}  // namespace nines::cli
