// What is different about a replica that runs in a container: how it is started, signalled, seen to listen, and what is
// known of its end. Everything else, ReplicaUnit does as for any process: on the host, a container's first process is
// one, with a pid, a start time and a pidfd that tells of its end at once.
//
//   start()   leftovers of the replica are removed; create, start; its log is followed into the replica's pipe
//   exit()    once the process is gone: the engine's account of it, and the rest of its log
//   forget()  the container is removed
//
// A supervisor that is killed anywhere leaves a container with its label, which the next one adopts or removes, and in
// RUN/NAME.log.position up to where its log is in the pipe: killed between a write there and the note of it, at most
// what it was writing is there twice.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/containers.h"
#include "app/launch.h"
#include "base/fd.h"
#include "base/task.h"
#include "config/config.h"
#include "supervise/listening.h"
#include "supervise/process.h"

namespace nines::app {

class ReplicaContainer {
 public:
  struct Options {
    std::string name;
    const config::Config& config;
    const Paths& paths;
  };
  // What goes on in the background is of `tasks`, which must be cancelled and joined first.
  ReplicaContainer(Containers& containers, TaskGroup& tasks, Options options);

  // nullopt: it ran, and has ended already; exit() says how. REQUIRES that the one before has ended. `log`: the
  // replica's end of its pipe, which outlives this.
  // kInvalid without a container: the service's replicas were processes when it was started, or are to be.
  Task<Result<std::optional<supervise::Process>>> start(std::optional<config::Container> container,
                                                        std::uint64_t incarnation, std::uint16_t port,
                                                        Environment environment, int log);
  // Goes on with one that runs.
  void adopt(std::optional<config::Container> container, std::uint64_t incarnation, int log);

  // In the background. SIGTERM is what the image has in its place, if it has. SIGKILL goes straight to its first
  // process when the engine does not answer.
  void signal(int number, const supervise::Process& process);
  // As supervise::find_listener: also where it is behind a port that the engine publishes.
  Result<std::optional<supervise::Listening>> find_listener(pid_t pid, std::uint16_t port);
  // Its port is this machine's own: a stranger may have taken it.
  bool shares_ports() const { return container_.network == config::Container::Network::kHost; }

  // How it ended, of what start() or adopt() began; or of an incarnation that ended while nobody looked. kUnknown when
  // the engine does not say within half a minute, or somebody has removed it.
  Task<supervise::Exit> exit();
  Task<supervise::Exit> exit_of(std::optional<config::Container> container, std::uint64_t incarnation);
  // What there is to say about the last exit besides its status: "; oom: …". Empty: nothing.
  const std::string& remark() const { return remark_; }
  bool out_of_memory() const { return out_of_memory_; }
  // Removes it, in the background.
  void forget();
  // What a person should know of the present one, once; empty: nothing.
  std::string take_warning() { return std::exchange(warning_, {}); }

 private:
  supervise::ContainerSpec spec(std::uint64_t incarnation, std::uint16_t port, Environment environment) const;
  Task<Result<>> remove_leftovers(supervise::ContainerEngine& engine);
  Task<Result<std::string>> create(supervise::ContainerEngine& engine, supervise::ContainerSpec& spec);
  Task<Result<std::optional<supervise::Process>>> begin(supervise::ContainerEngine& engine, std::string id,
                                                        supervise::ContainerSpec spec);
  Task<Result<supervise::ContainerState>> state_after_end(supervise::ContainerEngine& engine, std::string id,
                                                          Duration patience);
  Task<void> find_and_follow(std::uint64_t incarnation, int log);
  Task<void> follow(std::string id, int log);
  Task<Result<>> write_out(const Fd& pipe, const std::string& id, std::string_view text, std::int64_t last);
  Task<void> send(int number, pid_t pid, std::uint64_t start_time);
  Task<void> remove(std::string id);
  Task<void> await_log();
  std::int64_t position_of(const std::string& id) const;
  void note_position(const std::string& id, std::int64_t last) const;
  std::string position_file() const;

  Containers& containers_;
  TaskGroup& tasks_;
  Options options_;
  std::string id_;           // empty: none, or of an adopted one that is not found yet
  std::string stop_signal_;  // the image's
  std::uint64_t incarnation_ = 0;
  int following_ = 0;
  config::Container container_;  // of the present one
  std::string remark_;
  bool out_of_memory_ = false;
  std::string warning_;
  bool warned_ = false;
  Instant look_again_{};
};

}  // namespace nines::app
