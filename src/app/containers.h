// The containers of a service, found by the label on each of them: it is there from the moment the engine knows the
// container, whoever created it and has died since. What tagged.h is to processes.
//
// STATE/engine names the engine's socket from before the first container is created until none is left, so that
// `nines down` finds them without a configuration, and when the environment names another engine by then.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/paths.h"
#include "app/tagged.h"
#include "base/error.h"
#include "config/config.h"
#include "net/epoll_loop.h"
#include "supervise/adoption.h"
#include "supervise/container_engine.h"

namespace nines::app {

// One thread: the loop's.
class Containers {
 public:
  // `socket`: find_socket(), whose error everything here then gives.
  Containers(net::EpollLoop& loop, const Paths& paths, Result<std::string> socket);
  static Result<std::string> find_socket(const config::Container& container);

  struct Item {
    supervise::Found found;  // a container that has ended has no pid
    std::string id;
    bool running = false;
  };
  // All that carry the service's tag. `part`: only this one's; empty: everybody's.
  Task<Result<std::vector<Item>>> list(std::string part = "");
  // What runs, as processes that may be adopted; asks for some seconds when nobody answers. An error: nobody knows.
  Task<Result<std::vector<supervise::Found>>> find_running();
  // The container of that incarnation, running or not; empty: there is none.
  Task<Result<std::string>> find(std::string part, std::uint64_t incarnation);
  // Removes those of `processes` that are containers, and runs until they are gone.
  Task<void> end(std::vector<supervise::Found> processes);
  // SIGTERM, and after `patience` the end; at once without.
  Task<void> end_one(std::string id, Duration patience);
  // kInvalid: there is no engine to ask. Writes STATE/engine.
  Result<supervise::ContainerEngine*> engine();
  std::string tag_of(const std::string& part, std::uint64_t incarnation, std::uint16_t port) const;
  net::EpollLoop& loop() { return loop_; }

 private:
  Result<> remember();

  net::EpollLoop& loop_;
  const Paths& paths_;
  Result<std::string> socket_;
  supervise::ContainerEngine engine_;
  bool remembered_ = false;
};

// All containers that are left of the service, but for what is spared; how many of them ran. Asks the engine that
// STATE/engine names: without that file there are none.
Task<std::size_t> end_containers(net::EpollLoop& loop, const Paths& paths, Spare spare, Duration patience);

}  // namespace nines::app
