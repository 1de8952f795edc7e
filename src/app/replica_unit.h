// One replica in the supervisor's care: performs the orders of its state machine, and feeds it what happens.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/launch.h"
#include "app/paths.h"
#include "app/releases.h"
#include "app/replica_container.h"
#include "app/state_file.h"
#include "config/config.h"
#include "net/epoll_loop.h"
#include "plane/plane.h"
#include "supervise/adoption.h"
#include "supervise/cgroup.h"
#include "supervise/liveness.h"
#include "supervise/process.h"
#include "supervise/replica.h"
#include "supervise/rollout.h"

namespace nines::app {

class ReplicaUnit final : private net::Timer {
 public:
  // What it needs of the supervisor.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual std::optional<std::uint16_t> take_port() = 0;  // one that is free just now
    virtual void claim_port(std::uint16_t port) = 0;       // one that an adopted process has
    virtual void give_back_port(std::uint16_t port) = 0;
    virtual void routes_changed() = 0;  // the Route record of a replica was written
    virtual void note(plane::Event event) = 0;
    virtual void warn(const std::string& text) = 0;
    virtual void exited(const supervise::Ended& ended) = 0;
    virtual void spawn_failed(const Error& error) = 0;
    virtual void never_ready_in_time(bool listened) = 0;  // killed at the startup deadline
    virtual double jitter() = 0;                          // uniform in [0, 1)
    virtual bool is_active(ReleaseNumber release) = 0;    // none that is only tried out
    virtual bool may_start() = 0;                         // what the service needs is there
    virtual supervise::Cgroups& cgroups() = 0;
    // What a successor must know. `wished`: a person's wish, on the disk on return; an error: it is not.
    virtual Result<> changed(bool wished) = 0;
    virtual bool is_recorded(std::uint16_t replica, std::uint64_t incarnation) = 0;  // its exit is in the log
    // How a process ended that is no child of ours: from the anchor, or unknown when nobody can say.
    virtual Task<supervise::Exit> obituary(pid_t pid, Instant since) = 0;
    // Ends what carries this incarnation's tag still.
    virtual Task<void> end_followers(const std::string& part, std::uint64_t incarnation) = 0;
    virtual Containers* containers() = 0;  // null: replicas are processes
  };

  // What the supervisor before knew of it, and what is found of it now.
  struct Inheritance {
    plane::Route route;  // the last good record; incarnation 0: none
    Wish wish;
    std::optional<supervise::Found> process;
    bool exit_due = false;
    SharedRelease release;  // of the process; without one, of the next. Never null
  };

  struct Options {
    std::size_t slot;
    std::string name;
    const config::Config& config;
    const Paths& paths;
    bool spare = false;  // only there during a deploy
  };
  ReplicaUnit(net::EpollLoop& loop, plane::Table& table, Owner& owner, Options options);
  // REQUIRES: joined.
  ~ReplicaUnit() = default;

  // Takes the first step; needs the FIFO of its log, which it makes.
  Result<> begin(Inheritance inheritance);
  // The gateway's verdict on it, or how much is in flight on it, may have changed.
  void look();

  // A person's wishes; an error: they hold, but would not outlive this supervisor.
  Result<> stop(const std::string& who);
  Result<> start(const std::string& who);
  Result<> restart(const std::string& who);
  // What share of the requests it gets; what it has goes on.
  void share(Wish wish);
  // It does not answer any more, as far as `why` says: it is ended, and started again.
  void give_up(const std::string& why);
  // It may be started now.
  void wake() { step(); }

  // A deploy's. Its next process is of this release; that comes now, unless a person keeps it stopped. A spare is
  // started if it does not run.
  void replace(SharedRelease release, const std::string& who);
  void renew(const Releases& releases);  // what it has of them may have been changed
  void retire(const std::string& who);   // of a spare: drained and stopped
  // It gets so many percent of the requests that it would get.
  void share_of_deploy(int percent);
  supervise::Member member(supervise::Evidence seen) const;

  // The service goes down: what waits for its next start is not started.
  void do_not_start();
  // Nobody routes to it any more: no need to wait for the gateway.
  void stop_without_drain();
  void kill_at_once();

  const std::string& name() const { return options_.name; }
  bool spare() const { return options_.spare; }
  // Of its process; without one, of the next. 0 before begin().
  ReleaseNumber release() const {
    const SharedRelease& release = pid() != 0 ? running_ : next_;
    return release ? release->number : 0;
  }
  // Its process may have read between these moments, or has the file of this inode mapped.
  bool has_loaded(const std::string& path, Instant from, Instant until, std::uint64_t inode) const;
  supervise::Patient patient() const;
  // Notes when the kernel killed one of its processes for its memory limit, and not the first one.
  void look_at_memory();
  const supervise::Replica& machine() const { return machine_; }
  pid_t pid() const { return process_ && gone_pid_ == 0 ? process_->pid() : 0; }
  std::uint16_t port() const { return port_; }
  const std::string& socket() const { return socket_; }  // instead of a port; empty: none
  // It should run on, and the file of its socket is gone: nobody can connect to it any more.
  bool lost_its_socket() const;
  Instant since() const { return since_; }
  Instant spawned() const { return spawned_; }
  const std::string& last_end() const { return last_end_; }  // how its last process ended, in words; empty: not known
  std::string log_file() const { return options_.paths.replica_log(options_.name); }
  int log_pipe() const { return log_.get(); }
  const Wish& wish() const { return wish_; }
  const std::string& held_by() const { return wish_.stopped_by; }
  plane::Route route() const;
  bool stopped() const { return machine_.state() == supervise::State::kStopped; }

  TaskGroup& tasks() { return tasks_; }

 private:
  void on_timer() override { step(); }
  void step();
  void obey(supervise::Order order);
  void spawn();
  Task<void> spawn_container(std::optional<config::Container> container, Environment environment);
  void spawned(Result<supervise::Process> process);
  void spawned(Result<supervise::Process> process, const SharedRelease& release);
  void began(const SharedRelease& release);
  // Where the next process is to listen, and what is executed.
  Result<supervise::Command> prepare_command();
  void limit(supervise::Command& command);
  void give_back_place();
  std::string place_in_words() const;
  void terminate(int signal, plane::EventKind kind, std::string_view why);
  Result<> send(int signal);
  Task<void> await_exit();
  Task<void> await_drained();
  Task<void> await_listening(std::uint64_t incarnation);
  void died_unseen(const plane::Route& before);
  Task<void> find_exit(plane::Route before);
  void ended(const supervise::Exit& exit, bool in_the_log);
  Result<> release(plane::EventKind wish, const std::string& who);
  void adopt(const supervise::Found& found, const plane::Route& before);
  void publish();
  void note(plane::EventKind kind, pid_t pid, std::string_view text = "", std::int64_t a = 0, std::int64_t b = 0);
  bool nothing_in_flight() const;
  bool counts() const;  // for whether the service can be started at all
  std::string memory_limit_in_words() const;
  int weight() const;

  net::EpollLoop& loop_;
  plane::Table& table_;
  Owner& owner_;
  Options options_;
  supervise::Replica machine_;
  SharedRelease next_, running_;
  int deploy_percent_ = 100;
  std::uint64_t ready_incarnation_ = 0;  // the last one that was ready
  Instant first_ready_{};                // when that one was so first
  std::uint64_t first_of_release_ = 0;   // the first incarnation of the release it runs
  std::string last_end_;                 // how its last process ended, in words
  std::string given_up_;                 // why its present process is, if it is
  supervise::Cgroup group_;              // of the present process
  std::uint64_t oom_seen_ = 0;
  Instant oom_at_{};  // when oom_seen_ grew
  Fd log_;            // our end of the FIFO: kept open, so that nothing is lost while no keeper reads
  std::optional<supervise::Process> process_;  // with a container_: the first one in it
  std::unique_ptr<ReplicaContainer> container_;
  std::uint16_t port_ = 0;  // with a {socket} in the command: 0, and socket_ is set
  std::string socket_;
  bool port_taken_by_other_ = false;
  bool ipv6_ = false;
  bool listening_ = false;
  bool warned_ = false;
  bool limits_warned_ = false;
  Wish wish_;
  // Of a process that has ended, as long as that is not in the log; nobody routes to it.
  pid_t gone_pid_ = 0;
  std::uint64_t gone_start_ = 0;
  std::uint64_t incarnation_ = 0;     // as in the shared table
  std::uint64_t routes_version_ = 0;  // of the table when we last wrote our record
  supervise::State published_ = supervise::State::kWaiting;
  Instant since_{};
  Instant spawned_{};
  TaskGroup tasks_;
};

}  // namespace nines::app
