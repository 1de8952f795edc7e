// The supervisor of one service: composes the pure machines of supervise/ with processes, the event loop and the shared
// table. It carries no traffic: while it is busy, or dead, requests flow.
//
// It begins like every supervisor: it looks for what runs, reads what the one before wrote, and goes on from there. For
// the first one there is nothing to find.
//
// It ends in one of three ways. Killed: the anchor starts the next. Leaving, for a new anchor, a new program or another
// configuration: everything else stays as it is. Down: the listeners are closed, the gateway finishes what it has, then
// the replicas are stopped, then the keeper (which drains their last words).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/containers.h"
#include "app/deployment.h"
#include "app/endpoint.h"
#include "app/event_log.h"
#include "app/handover.h"
#include "app/helper_process.h"
#include "app/notify.h"
#include "app/reload.h"
#include "app/replica_unit.h"
#include "app/service.h"
#include "app/state_file.h"
#include "base/random.h"
#include "http/server.h"
#include "net/condition.h"
#include "net/epoll_loop.h"
#include "plane/plane.h"
#include "supervise/adoption.h"
#include "supervise/fleet.h"
#include "supervise/ports.h"

namespace nines::app {

enum class Phase : std::uint8_t { kStarting, kRunning, kStopping, kLeaving };
std::string_view name_of(Phase phase);

class Supervisor final : private ReplicaUnit::Owner {
 public:
  // REQUIRES the descriptors of process_contract.h.
  Supervisor(const Service& service, const Listener& listener, plane::Plane table);
  ~Supervisor() override;

  // First of all: looks for what runs. Until it returns, nobody may ask for anything: a replica that is not known yet
  // would be started a second time.
  Task<void> inherit();
  // Until the service is down, or goes on without us.
  Task<Outcome> run();
  // For as long as the event loop turns, until cancelled: says so to the anchor each second. Before anything else.
  Task<void> beat();

  // What the control socket asks for.
  void wish_down(const std::string& who);
  // Goes on under another program, whose anchor and supervisor take our places. kUnavailable: no anchor to become it.
  Result<> wish_upgrade(const std::string& program);
  // Goes on with another configuration, under a supervisor of its own. `only_ask`: says what would change, or why it
  // cannot be. kRefused: it stands in the way of what runs (reload.h), or nobody would serve; kExists: a deploy or
  // another reload is under way, or an address is in use; kUnavailable: ask again. Any other error: it cannot be begun.
  Result<ReloadPlan> wish_reload(config::Config wanted, const std::string& who, bool only_ask);
  bool reloading() const { return reload_.has_value(); }
  // A reload under way stops it, since it is too many.
  bool is_surplus(const ReplicaUnit& replica) const;
  // Of the configuration it goes by (reload.h).
  const std::string& configuration() const { return configuration_; }
  // Somebody removed the run folder, and it was made again: what else was in it is needed too.
  void run_folder_is_new();
  // Starts anew who listens on a Unix socket whose file was removed: nobody can connect to it any more.
  void replace_lost_sockets();
  ReplicaUnit* find(std::string_view name);  // no spare: those are not a person's
  // Changes what share of the requests a replica or an endpoint gets, and notes `event` of it. kNotFound: there is none
  // of that name. Any other error: done, but it would not outlive this supervisor.
  Result<> wish_share(std::string_view name, const std::function<void(Wish&)>& change, plane::Event event);
  bool inherited() const { return inherited_; }
  void note(plane::Event event) override;

  const Service& service() const { return service_; }
  plane::Table& table() { return *table_; }
  net::EpollLoop& loop() { return loop_; }
  const std::vector<std::unique_ptr<ReplicaUnit>>& replicas() const { return replicas_; }
  // Instead of replicas: servers that nobody here starts or stops.
  const std::vector<Endpoint>& endpoints() const { return endpoints_; }
  std::string name_of_slot(std::size_t slot) const;  // empty: there is none
  Phase phase() const { return phase_; }
  Instant begun() const { return begun_; }
  pid_t gateway_pid() const { return gateway_.pid(); }
  pid_t keeper_pid() const { return keeper_.pid(); }
  pid_t anchor_pid() const { return anchor_gone_ ? 0 : anchor_; }
  // What a person should mend, in sentences; empty: nothing is degraded.
  std::vector<std::string> problems() const;
  Deployment& deployment() { return deployment_; }
  // Gateway or keeper are not of this program yet, or not at work yet.
  bool renewing() const;
  std::vector<std::string> addresses() const;

 private:
  // ReplicaUnit::Owner
  std::optional<std::uint16_t> take_port() override;
  void claim_port(std::uint16_t port) override { ports_.claim(port); }
  void give_back_port(std::uint16_t port) override;
  void routes_changed() override;
  void warn(const std::string& text) override { listener_.warning(text); }
  void exited(const supervise::Ended& ended) override;
  void spawn_failed(const Error& error) override;
  void never_ready_in_time(bool listened) override;
  double jitter() override { return random_.unit(); }
  bool is_active(ReleaseNumber release) override { return release == deployment_.releases().active; }
  bool may_start() override { return needs_met_; }
  supervise::Cgroups& cgroups() override { return cgroups_; }
  Result<> changed(bool wished) override;
  bool is_recorded(std::uint16_t replica, std::uint64_t incarnation) override;
  Task<supervise::Exit> obituary(pid_t pid, Instant since) override;
  Task<void> end_followers(const std::string& part, std::uint64_t incarnation) override;
  Containers* containers() override { return containers_.get(); }

  std::vector<ReplicaUnit::Inheritance> read_book();
  Task<void> carry_counters();
  void begin_endpoints(bool first);
  void empty_slots();
  bool begin_anew(std::vector<ReplicaUnit::Inheritance>& book);
  std::string fingerprint() const;
  void remind_of(const std::string& name, const Wish& wish);
  bool found_wishes_lost();
  void remember_ready();
  Task<void> await_needs();
  Task<Result<>> answers(const config::Need& need);
  Task<void> watch_liveness();
  bool gateway_is_watching() const;
  void mend_releases();
  Task<void> await_endpoints();
  void look_at_endpoints();
  Task<void> hear_gateway();
  Task<void> hear_signals();
  Task<void> hear_anchor();
  Task<void> announce_up();
  void tell_manager();
  Task<Result<>> answers(const config::Address& at);
  Task<void> shut_down();
  Task<void> leave();
  Task<void> room_by_gateway(pid_t pid);
  Task<void> gone(pid_t pid);
  bool see_off_gateway(const supervise::Found& found);
  void clear_gauges_of(pid_t gateway);
  void renew_helpers();
  struct Reload {
    std::string who;
    Fd snapshot;
    std::vector<int> sockets;                   // all of them, in the order of `listen`
    std::vector<Fd> opened;                     // those of them that are new
    std::map<std::size_t, Wish> wishes_before;  // of the replicas that are too many, by slot
    std::vector<std::size_t> retired;           // those of them that ran
  };
  config::Config running_config() const;
  Result<> may_reload() const;
  Result<> anybody_serves(const config::Replicas& wanted) const;
  Result<> open_sockets(const config::Config& wanted, Reload& reload) const;
  const Wish* wish_before_reload(std::size_t slot) const;
  Task<void> reload_now();
  void give_up_reload(const std::string& why);
  void judge();
  void hurry();
  HelperProcess::Hooks gateway_hooks();
  HelperProcess::Hooks keeper_hooks();
  Handover::Hooks handover_hooks();
  void helper_exited(plane::EventKind kind, const supervise::Exit& exit, pid_t pid, bool asked);
  Outcome outcome() const;
  std::string check_in_words() const;
  std::string state_in_words() const;
  int ready_count() const;
  int serving_count() const;
  int wanted_count() const;
  int enough_ready() const;

  const Service& service_;
  const Listener& listener_;
  net::EpollLoop loop_;
  Instant begun_;  // the service, not this process
  plane::Plane table_;
  std::vector<int> listeners_;  // open until the service goes down
  Random random_;
  supervise::PortAllocator ports_;
  supervise::Fleet fleet_;
  EventLog events_;
  supervise::Cgroups cgroups_;
  std::unique_ptr<Containers> containers_;              // null: replicas are processes
  std::vector<std::unique_ptr<ReplicaUnit>> replicas_;  // by slot; the spares come last
  Deployment deployment_;
  std::vector<Endpoint> endpoints_;
  HelperProcess gateway_;
  HelperProcess keeper_;
  Handover handover_;
  ServiceManager manager_;
  std::string told_;        // what it was told last
  net::Condition changed_;  // anything that shut_down() or announce_up() may be waiting for
  Phase phase_ = Phase::kStarting;
  supervise::Verdict verdict_;
  std::string stopped_by_;
  std::uint64_t keeper_starts_ = 0;
  std::map<pid_t, std::uint64_t> gateway_epochs_;  // of those that run
  pid_t anchor_ = 0;
  bool anchor_gone_ = false;
  bool inherited_ = false;     // what the supervisor before knew has been taken over
  bool signalled_ = false;     // a person has asked us to end
  std::string state_problem_;  // why the state file cannot be written
  bool listened_ = false;      // some replica that was not ready in time did listen
  bool needs_met_ = false;
  std::optional<Reload> reload_;  // under way
  bool to_new_anchor_ = false;    // leaving, since there is one
  std::string configuration_;
  std::string unmet_;       // what is waited for, and what it said
  std::string last_error_;  // of a spawn, for the message when nothing can be started
  TaskGroup tasks_;
};

}  // namespace nines::app
