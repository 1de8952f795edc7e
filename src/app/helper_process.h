// The gateway or the keeper: this same program, started with other arguments, and started again whenever it ends.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/task.h"
#include "net/epoll_loop.h"
#include "plane/plane.h"
#include "supervise/adoption.h"
#include "supervise/process.h"

namespace nines::app {

class HelperProcess {
 public:
  struct Hooks {
    std::function<supervise::Command()> command;  // what to start, asked anew every time
    std::function<void(pid_t)> started;
    std::function<void(const supervise::Exit&, pid_t, bool asked)> exited;
    std::function<void(const Error&)> failed;                             // it could not be started; tried again
    std::function<Task<supervise::Exit>(pid_t, Instant since)> obituary;  // of one that is no child of ours
  };

  // `part`: its record in the shared table, written here.
  HelperProcess(net::EpollLoop& loop, plane::Seqlock<plane::Part>& part, Hooks hooks)
      : loop_(loop), part_(part), hooks_(std::move(hooks)) {}

  // What the supervisor before had started, if it still runs; if it does not, its exit is recorded. Before run().
  void inherit(const supervise::Adoption& adoption);

  // Starts it and keeps it running, until stop().
  Task<void> run();
  // Wishes it away: SIGTERM; run() returns once it has gone. SIGKILL after `patience`.
  void stop(Duration patience);
  void kill();
  // Another one is started, and this one is asked to leave: `signal` tells it to make room, and `room` returns once it
  // has. It may take until `patience` to finish what it has.
  struct Replacement {
    int signal;
    Duration patience;
    std::function<Task<void>(pid_t)> room;
  };
  void replace(Replacement replacement);
  // One that was asked to leave already, by a supervisor before us.
  void see_off(supervise::Process process, Duration patience);
  // run() returns, and the process goes on for another supervisor to find.
  void let_go();

  // It runs, and is the one that should.
  bool settled() const { return process_ && !replacement_; }
  // Whether some that were replaced still finish what they have.
  bool leaving() const { return leaving_.running() > 0; }
  pid_t pid() const { return process_ ? process_->pid() : 0; }
  std::uint64_t start_time() const { return process_ ? process_->start_time() : 0; }

 private:
  Task<void> escalate(Duration patience);
  Task<void> begin();
  Task<std::optional<supervise::Exit>> end_of(supervise::Process& process);
  Task<void> leave(supervise::Process process, Duration patience);
  void write_part(std::uint32_t starts);

  net::EpollLoop& loop_;
  plane::Seqlock<plane::Part>& part_;
  Hooks hooks_;
  std::optional<supervise::Process> process_;
  std::optional<pid_t> lost_;  // the exit of this one is to be recorded
  Instant begun_{};
  bool stopping_ = false;
  std::optional<Replacement> replacement_;
  CancelScope pause_;                   // the wait before a new start
  std::optional<CancelScope> present_;  // the wait for the end of the present process
  TaskGroup escalation_;
  TaskGroup leaving_;
  std::vector<supervise::Process*> left_;  // what leaving_ waits for
  bool let_go_ = false;
};

}  // namespace nines::app
