// Processes that an earlier run of a service left behind, found by the tag in their environment.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "app/paths.h"
#include "base/task.h"
#include "net/epoll_loop.h"

namespace nines::app {

// What every process of a service carries as NINES_TAG: "SERVICE-ID/PART/INCARNATION". The id is of the state folder,
// so that two services never take each other's processes for their own.
std::string tag_prefix(const Paths& paths);
std::string tag(const Paths& paths, const std::string& part, std::uint64_t incarnation);

struct Stray {
  pid_t pid;
  std::string tag;
};
// Every live process whose tag begins with the prefix, but for this one. Reads /proc; blocks for some milliseconds.
std::vector<Stray> find_strays(const Paths& paths);

// Ends them: SIGTERM, and SIGKILL after `patience`. Returns when the last has gone; how many there were.
Task<std::size_t> end_strays(net::EpollLoop& loop, const Paths& paths, Duration patience = 2s);

}  // namespace nines::app
