// The supervisor of one service: composes the pure machines of supervise/ with processes, the event loop and the shared
// table. It carries no traffic: while it is busy, or dead, requests flow.
//
// Order of going down: the listeners are closed, the gateway finishes what it has, then the replicas are stopped, then
// the keeper (which drains their last words).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/event_log.h"
#include "app/helper_process.h"
#include "app/replica_unit.h"
#include "app/service.h"
#include "base/random.h"
#include "http/server.h"
#include "net/condition.h"
#include "net/epoll_loop.h"
#include "plane/plane.h"
#include "supervise/fleet.h"
#include "supervise/ports.h"

namespace nines::app {

enum class Phase : std::uint8_t { kStarting, kRunning, kStopping };
std::string_view name_of(Phase phase);

class Supervisor final : private ReplicaUnit::Owner {
 public:
  Supervisor(const Service& service, const Listener& listener, plane::Plane table, std::vector<Fd> listeners);
  ~Supervisor() override;

  // Until the service is down.
  Task<Outcome> run();

  // What the control socket asks for.
  void wish_down(const std::string& who);
  ReplicaUnit* find(std::string_view name);

  const Service& service() const { return service_; }
  plane::Table& table() { return *table_; }
  net::EpollLoop& loop() { return loop_; }
  const std::vector<std::unique_ptr<ReplicaUnit>>& replicas() const { return replicas_; }
  Phase phase() const { return phase_; }
  Instant begun() const { return begun_; }
  pid_t gateway_pid() const { return gateway_.pid(); }
  pid_t keeper_pid() const { return keeper_.pid(); }
  const EventLog& events() { return events_.collect(), events_; }
  std::vector<std::string> addresses() const;

 private:
  // ReplicaUnit::Owner
  std::optional<std::uint16_t> take_port() override;
  void give_back_port(std::uint16_t port) override;
  void routes_changed() override;
  void note(plane::Event event) override;
  void warn(const std::string& text) override { listener_.warning(text); }
  void exited(const supervise::Ended& ended) override;
  void spawn_failed(const Error& error) override;
  void never_ready_in_time(bool listened) override;
  double jitter() override { return random_.unit(); }

  Task<void> hear_gateway();
  Task<void> hear_signals();
  Task<void> announce_up();
  Task<Result<>> answers(const config::Address& at);
  Task<void> shut_down();
  void judge();
  void hurry();
  HelperProcess::Hooks gateway_hooks();
  HelperProcess::Hooks keeper_hooks();
  void helper_exited(plane::EventKind kind, const supervise::Exit& exit, pid_t pid);
  Outcome outcome() const;
  std::string check_in_words() const;
  int ready_count() const;

  const Service& service_;
  const Listener& listener_;
  net::EpollLoop loop_;
  const Instant begun_;
  plane::Plane table_;
  std::vector<Fd> listeners_;
  Fd bell_to_gateway_;
  Fd bell_to_us_;
  Fd snapshot_;
  Random random_;
  supervise::PortAllocator ports_;
  supervise::Fleet fleet_;
  EventLog events_;
  std::vector<std::unique_ptr<ReplicaUnit>> replicas_;
  HelperProcess gateway_;
  HelperProcess keeper_;
  net::Condition changed_;  // anything that shut_down() or announce_up() may be waiting for
  Phase phase_ = Phase::kStarting;
  supervise::Verdict verdict_;
  std::string stopped_by_;
  bool listened_ = false;   // some replica that was not ready in time did listen
  std::string last_error_;  // of a spawn, for the message when nothing can be started
  TaskGroup tasks_;
};

}  // namespace nines::app
