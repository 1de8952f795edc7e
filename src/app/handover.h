// How a service gets a new anchor when the old one has died: the supervisor, which goes on, hands its descriptors to
// whoever is to become the anchor, over RUN/handover.sock.
//
//   `nines upgrade` or `nines up`            the supervisor
//        connect ──────────────────────────►  the anchor lives? closes
//        ◄────────────────── descriptors, pid
//   becomes the anchor: "here I am" ───────►
//   ◄──────────────────────────────── "yes"   leaves its replicas as they are, and exits
//   end of file ◄───────────────────────────
//   starts the next supervisor, which adopts what runs
//
// Whoever dies before "here I am" has changed nothing.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "app/estate.h"
#include "base/task.h"
#include "net/epoll_loop.h"

namespace nines::app {

// Asks for the estate. Blocks, for as long as `patience`. kRefused: the anchor lives; kUnavailable: nobody is there.
Result<Estate> take_over(const Paths& paths, Duration patience);

class Handover {
 public:
  struct Hooks {
    std::function<bool()> wanted;                   // our anchor is dead
    std::function<std::vector<int>()> descriptors;  // in order
    std::function<void()> taken;                    // there is a new anchor: leave
  };
  Handover(net::EpollLoop& loop, Hooks hooks) : loop_(loop), hooks_(std::move(hooks)) {}

  // Listens; again when somebody removed the socket's folder.
  Result<> open(const std::string& path);
  Task<void> close();

 private:
  Task<void> serve(Fd socket);
  Task<void> converse(Fd connection);

  net::EpollLoop& loop_;
  Hooks hooks_;
  bool busy_ = false;
  Fd successor_;  // stays open until this process has ended: its end is what the new anchor waits for
  TaskGroup tasks_;
};

}  // namespace nines::app
