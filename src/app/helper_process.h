// The gateway or the keeper: this same program, started with other arguments, and started again whenever it ends.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/task.h"
#include "net/epoll_loop.h"
#include "supervise/process.h"

namespace nines::app {

class HelperProcess {
 public:
  struct Hooks {
    std::function<supervise::Command()> command;  // what to start, asked anew every time
    std::function<void(pid_t)> started;
    std::function<void(const supervise::Exit&, pid_t)> exited;  // also when it was wished
    std::function<void(const Error&)> failed;                   // it could not be started; tried again
  };

  HelperProcess(net::EpollLoop& loop, Hooks hooks) : loop_(loop), hooks_(std::move(hooks)) {}

  // Starts it and keeps it running, until stop().
  Task<void> run();
  // Wishes it away: SIGTERM; run() returns once it has gone. SIGKILL after `patience`.
  void stop(Duration patience);
  void kill();

  pid_t pid() const { return process_ ? process_->pid() : 0; }

 private:
  Task<void> escalate(Duration patience);

  net::EpollLoop& loop_;
  Hooks hooks_;
  std::optional<supervise::Process> process_;
  bool stopping_ = false;
  CancelScope pause_;  // the wait before a new start
  TaskGroup escalation_;
};

}  // namespace nines::app
