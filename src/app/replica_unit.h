// One replica in the supervisor's care: performs the orders of its state machine, and feeds it what happens.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/paths.h"
#include "config/config.h"
#include "net/epoll_loop.h"
#include "plane/plane.h"
#include "supervise/process.h"
#include "supervise/replica.h"

namespace nines::app {

class ReplicaUnit final : private net::Timer {
 public:
  // What it needs of the supervisor.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual std::optional<std::uint16_t> take_port() = 0;  // one that is free just now
    virtual void give_back_port(std::uint16_t port) = 0;
    virtual void routes_changed() = 0;  // the Route record of a replica was written
    virtual void note(plane::Event event) = 0;
    virtual void warn(const std::string& text) = 0;
    virtual void exited(const supervise::Ended& ended) = 0;
    virtual void spawn_failed(const Error& error) = 0;
    virtual void never_ready_in_time(bool listened) = 0;  // killed at the startup deadline
    virtual double jitter() = 0;                          // uniform in [0, 1)
  };

  struct Options {
    std::size_t slot;
    std::string name;
    const config::Config& config;
    const Paths& paths;
  };
  ReplicaUnit(net::EpollLoop& loop, plane::Table& table, Owner& owner, Options options);
  // REQUIRES: joined.
  ~ReplicaUnit() = default;

  // Takes the first step; needs the FIFO of its log, which it makes.
  Result<> begin();
  // The gateway's verdict on it, or how much is in flight on it, may have changed.
  void look();

  void stop();
  void start();
  void restart();
  // Nobody routes to it any more: no need to wait for the gateway.
  void stop_without_drain();
  void kill_at_once();

  const std::string& name() const { return options_.name; }
  const supervise::Replica& machine() const { return machine_; }
  pid_t pid() const { return process_ ? process_->pid() : 0; }
  std::uint16_t port() const { return port_; }
  Instant since() const { return since_; }
  Instant spawned() const { return spawned_; }
  std::string log_file() const { return options_.paths.replica_log(options_.name); }
  bool stopped() const { return machine_.state() == supervise::State::kStopped; }

  TaskGroup& tasks() { return tasks_; }

 private:
  void on_timer() override { step(); }
  void step();
  void obey(supervise::Order order);
  void spawn();
  void terminate(int signal, plane::EventKind kind, std::string_view why);
  Task<void> await_exit();
  Task<void> await_drained();
  Task<void> await_listening(std::uint64_t incarnation);
  void ended(const supervise::Exit& exit);
  void publish();
  void note(plane::EventKind kind, pid_t pid, std::string_view text = "", std::int64_t a = 0, std::int64_t b = 0);
  bool nothing_in_flight() const;

  net::EpollLoop& loop_;
  plane::Table& table_;
  Owner& owner_;
  Options options_;
  supervise::Replica machine_;
  Fd log_;  // our end of the FIFO: kept open, so that nothing is lost while no keeper reads
  std::optional<supervise::Process> process_;
  std::uint16_t port_ = 0;
  bool port_taken_by_other_ = false;
  bool ipv6_ = false;
  bool listening_ = false;
  bool warned_ = false;
  std::uint64_t incarnation_ = 0;     // as in the shared table
  std::uint64_t routes_version_ = 0;  // of the table when we last wrote our record
  supervise::State published_ = supervise::State::kWaiting;
  Instant since_{};
  Instant spawned_{};
  TaskGroup tasks_;
};

}  // namespace nines::app
