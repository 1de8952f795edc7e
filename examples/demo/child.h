// A program that is run to its end, and what it said.
#pragma once

#include <csignal>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "net/epoll_loop.h"
#include "supervise/process.h"

namespace nines::demo {

class Child {
 public:
  // In a session of its own: Ctrl-C at our terminal is ours to hear, not the child's.
  static Result<std::unique_ptr<Child>> start(net::EpollLoop& loop, std::vector<std::string> argv,
                                              std::string directory);

  struct Ended {
    int status = 0;      // 128 + the signal that ended it
    std::string output;  // both streams. REQUIRES: the program says less than a pipe holds (64 KiB)
  };
  // kCancelled: it still runs, and can be waited for again.
  Task<Result<Ended>> ended();

  void ask_to_end() { [[maybe_unused]] const auto sent = process_.signal(SIGTERM); }

 private:
  Child(net::EpollLoop& loop, supervise::Process process, Fd output)
      : loop_(loop), process_(std::move(process)), output_(std::move(output)) {}

  net::EpollLoop& loop_;
  supervise::Process process_;
  Fd output_;
};

}  // namespace nines::demo
