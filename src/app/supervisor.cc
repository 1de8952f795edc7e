#include "app/supervisor.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include "app/listeners.h"
#include "app/process_contract.h"
#include "app/tagged.h"
#include "app/vigil.h"
#include "http/client.h"
#include "supervise/log_file.h"

namespace nines::app {

using plane::EventKind;
using supervise::State;

namespace {

// The helpers are this very program, also when its file was replaced meanwhile.
constexpr const char* kThisProgram = "/proc/self/exe";

Task<Result<>> wait_for(net::Condition& condition, Instant until) { co_return co_await condition.wait(until); }

// When the log begins, the service does.
Instant beginning_of(const plane::Table& table, Instant now) {
  for (const plane::Event& event : table.log.read(1).events) {
    if (event.kind == EventKind::kServiceStarted) return event.at();
  }
  return now;
}

}  // namespace

std::string_view name_of(Phase phase) {
  switch (phase) {
    case Phase::kStarting: return "starting";
    case Phase::kLeaving:
    case Phase::kRunning: return "running";
    case Phase::kStopping: return "stopping";
  }
  return "unknown";
}

Supervisor::Supervisor(const Service& service, const Listener& listener, plane::Plane table)
    : service_(service),
      listener_(listener),
      begun_(beginning_of(*table, loop_.now())),
      table_(std::move(table)),
      random_(static_cast<std::uint64_t>(loop_.now().since_boot.count()) ^
              (static_cast<std::uint64_t>(::getpid()) << 40)),
      ports_(random_.next()),
      fleet_(service.config.replicas.count),
      events_(*table_,
              [this](const plane::Event& event) {
                listener_.event(event, name_of_slot(event.replica));
                net::Doorbell::ring(kBellToKeeper);
              }),
      deployment_(loop_, service_, *table_, replicas_,
                  {.note = [this](plane::Event event) { note(event); },
                   .warn = [this](const std::string& text) { warn(text); }}),
      gateway_(loop_, table_->gateway, gateway_hooks()),
      keeper_(loop_, table_->keeper, keeper_hooks()),
      handover_(loop_, handover_hooks()),
      manager_(std::getenv("NOTIFY_SOCKET")),
      changed_(loop_),
      configuration_(digest_of(service_.config)) {
  for (const config::Address& at : service_.config.listen) {
    listeners_.push_back(kFirstListener + static_cast<int>(listeners_.size()));
    ports_.exclude(at.port);
  }
  if (const auto& container = service_.config.replicas.container)
    containers_ = std::make_unique<Containers>(loop_, service_.paths, Containers::find_socket(*container));
  const auto& endpoints = service_.config.replicas.endpoints;
  for (std::string& name : slot_names(service_.config)) {
    if (!endpoints.empty()) {
      const std::size_t slot = endpoints_.size();
      endpoints_.emplace_back(*table_, slot, std::move(name), endpoints[slot]);
      continue;
    }
    replicas_.push_back(std::make_unique<ReplicaUnit>(
        loop_, *table_, static_cast<ReplicaUnit::Owner&>(*this),
        ReplicaUnit::Options{.slot = replicas_.size(),
                             .name = std::move(name),
                             .config = service_.config,
                             .paths = service_.paths,
                             .spare = replicas_.size() >= static_cast<std::size_t>(service_.config.replicas.count)}));
  }
}

Supervisor::~Supervisor() = default;

HelperProcess::Hooks Supervisor::gateway_hooks() {
  return {
      .command =
          [this] {
            const std::uint64_t epoch = table_->header.gateway_epoch.fetch_add(1) + 1;
            supervise::Command command{
                .argv = {kThisProgram, "internal-gateway", std::to_string(epoch), std::to_string(listeners_.size()),
                         service_.paths.folder, service_.paths.access_log()},
                .log = STDERR_FILENO,
                .inherit = {{kPlane, kPlane},
                            {kBellToGateway, kBellToGateway},
                            {kBellToSupervisor, kBellToSupervisor},
                            {kSnapshot, kSnapshot}},
                .tag = tag(service_.paths, "gateway", epoch)};
            for (const int listener : listeners_) command.inherit.push_back({listener, listener});
            return command;
          },
      .started =
          [this](pid_t pid) {
            gateway_epochs_[pid] = table_->header.gateway_epoch;
            note({.kind = EventKind::kGatewayStarted, .pid = static_cast<std::uint32_t>(pid)});
          },
      .exited =
          [this](const supervise::Exit& exit, pid_t pid, bool asked) {
            auto serving = static_cast<std::uint32_t>(pid);
            table_->header.gateway_serving.compare_exchange_strong(serving, 0);
            clear_gauges_of(pid);
            helper_exited(EventKind::kGatewayExited, exit, pid, asked);
          },
      .failed = [this](const Error& error) { warn("the gateway cannot be started: " + error.text()); },
      .obituary = [this](pid_t pid, Instant since) { return obituary(pid, since); },
  };
}

HelperProcess::Hooks Supervisor::keeper_hooks() {
  return {
      .command =
          [this] {
            const Paths& paths = service_.paths;
            supervise::Command command{
                .argv = {kThisProgram, "internal-keeper", paths.config_file, paths.folder, paths.state, paths.run},
                .log = STDERR_FILENO,
                .inherit = {{kPlane, kPlane},
                            {kBellToSupervisor, kBellToSupervisor},
                            {kSnapshot, kSnapshot},
                            {kBellToKeeper, kBellToKeeper}},
                .tag = tag(paths, "keeper", ++keeper_starts_)};
            for (std::size_t i = 0; i < replicas_.size(); ++i)
              command.inherit.push_back({replicas_[i]->log_pipe(), kFirstLogPipe + static_cast<int>(i)});
            return command;
          },
      .started =
          [this](pid_t pid) { note({.kind = EventKind::kKeeperStarted, .pid = static_cast<std::uint32_t>(pid)}); },
      .exited =
          [this](const supervise::Exit& exit, pid_t pid, bool asked) {
            table_->header.dashboard_port = 0;
            helper_exited(EventKind::kKeeperExited, exit, pid, asked);
          },
      .failed = [this](const Error& error) { warn("the keeper cannot be started: " + error.text()); },
      .obituary = [this](pid_t pid, Instant since) { return obituary(pid, since); },
  };
}

void Supervisor::helper_exited(EventKind kind, const supervise::Exit& exit, pid_t pid, bool asked) {
  plane::Event event{.kind = kind, .pid = static_cast<std::uint32_t>(pid), .a = exit.value, .b = asked ? 0 : 1};
  event.set_text(supervise::text(exit));
  note(event);
  changed_.notify_all();
}

Task<Outcome> Supervisor::run() {
  TaskGroup helpers;
  tasks_.start(hear_signals());
  tasks_.start(hear_anchor());
  tasks_.start(hear_gateway());
  tasks_.start(await_endpoints());
  tasks_.start(await_needs());
  tasks_.start(watch_liveness());
  tasks_.start(deployment_.run());
  helpers.start(gateway_.run());
  helpers.start(keeper_.run());  // after the FIFOs exist
  renew_helpers();
  tasks_.start(announce_up());
  tasks_.start(carry_counters());
  if (auto opened = handover_.open(service_.paths.handover_socket()); !opened) warn(opened.error().text());
  while (phase_ != Phase::kStopping && phase_ != Phase::kLeaving) (void)co_await wait_for(changed_, Instant::never());
  phase_ == Phase::kStopping ? co_await shut_down() : co_await leave();
  co_await helpers.join();
  // What left its replica's session, and so escaped the end of its group.
  if (phase_ == Phase::kStopping) (void)co_await end_leftovers(loop_, service_.paths);
  co_await handover_.close();
  tasks_.cancel();
  co_await tasks_.join();
  for (const auto& replica : replicas_) {
    replica->tasks().cancel();
    co_await replica->tasks().join();
  }
  events_.collect();
  co_return outcome();
}

std::vector<std::string> Supervisor::problems() const {
  std::vector<std::string> all;
  if (anchor_gone_) all.emplace_back("the anchor is gone, so nobody restarts the supervisor: `nines upgrade` mends it");
  if (gateway_.pid() == 0) all.emplace_back("the gateway is being started again");
  if (keeper_.pid() == 0) all.emplace_back("the keeper is being started again");
  if (!state_problem_.empty()) all.push_back(state_problem_);
  if (!deployment_.problem().empty()) all.push_back(deployment_.problem());
  if (!unmet_.empty()) all.push_back("waits for " + unmet_);
  constexpr Duration kPasses = 10s;  // somebody may hold the file for a while
  const auto record = table_->record_problem.load();
  if (record && record->since_ns != 0 && loop_.now() - Instant{Duration(record->since_ns)} >= kPasses)
    all.push_back("what is measured cannot be recorded: " + std::string(record->text));
  for (const auto& replica : replicas_) {
    if (!replica->machine().crash_loops(loop_.now())) continue;
    all.push_back(replica->name() + " ends again and again, " + std::to_string(replica->machine().crashes_in_row()) +
                  " times in a row" + (replica->last_end().empty() ? "" : ", last: " + replica->last_end()) +
                  "; it is tried on, and `nines logs " + replica->name() + "` may tell why");
  }
  return all;
}

void Supervisor::run_folder_is_new() {
  warn("the run folder was removed; made it anew");
  if (auto opened = handover_.open(service_.paths.handover_socket()); !opened) warn(opened.error().text());
}

void Supervisor::replace_lost_sockets() {
  for (const auto& replica : replicas_)
    if (replica->lost_its_socket()) (void)replica->restart("nines, since its socket was removed");
}

// From now on the service is not given up any more.
void Supervisor::remember_ready() {
  if (fleet_.ever_ready()) return;
  fleet_.on_ready();
  table_->header.ever_ready = 1;
}

Task<void> Supervisor::hear_gateway() {
  net::Doorbell bell(loop_, Fd(::fcntl(kBellToSupervisor, F_DUPFD_CLOEXEC, 3)));
  while (co_await bell.rung()) {
    for (const auto& replica : replicas_) replica->look();
    look_at_endpoints();
    deployment_.step();
    if (serving_count() > 0) remember_ready();
    events_.collect();
    changed_.notify_all();
  }
}

void Supervisor::begin_endpoints(bool first) {
  const auto wishes = load_wishes(service_.paths.wishes_file());
  for (std::size_t slot = 0; slot < endpoints_.size(); ++slot) {
    Endpoint& endpoint = endpoints_[slot];
    const auto before = table_->routes[slot].load();
    const Wish wish = wishes ? wish_in(*wishes, endpoint.address())
                             : wish_found_in(before.value_or(plane::Route{}), endpoint.configured_weight());
    endpoint.begin(before, wish, loop_.now());
    if (first) remind_of(endpoint.name(), wish);
  }
  if (!endpoints_.empty()) routes_changed();
}

void Supervisor::look_at_endpoints() {
  for (Endpoint& endpoint : endpoints_)
    if (const auto event = endpoint.look(loop_.now())) note(*event);
}

// Before the first replica is started: asks until everything that is needed answers. What ran once is not kept waiting,
// since who lost its database for a moment must not lose its service.
Task<void> Supervisor::await_needs() {
  const auto& needs = service_.config.replicas.needs;
  const Instant began = loop_.now();
  const bool runs = std::ranges::any_of(replicas_, [](const auto& replica) { return replica->pid() != 0; });
  bool waited = false;
  Duration pause = 100ms;
  for (std::size_t met = runs || fleet_.ever_ready() ? needs.size() : 0; met < needs.size();) {
    const auto answer = co_await answers(needs[met]);
    if (answer) {
      ++met;
      continue;
    }
    if (answer.error().code() == Code::kCancelled) co_return;
    const std::string unmet = needs[met].text() + ": " + answer.error().text();
    if (std::exchange(unmet_, unmet) != unmet) {
      plane::Event event{.kind = EventKind::kWaitsFor};
      event.set_text(unmet);
      note(event);
    }
    waited = true;
    if (!co_await loop_.sleep(pause)) co_return;
    pause = std::min<Duration>(pause * 2, 1s);
  }
  unmet_.clear();
  needs_met_ = true;
  if (waited) note({.kind = EventKind::kNeedsMet, .a = (loop_.now() - began).count()});
  for (const auto& replica : replicas_) replica->wake();
}

Task<Result<>> Supervisor::answers(const config::Need& need) {
  const auto address = net::Address::parse(need.at.text());
  if (!address) co_return failure(address.error());
  if (!need.path) {
    auto stream = co_await loop_.connect(*address, 2s);
    if (!stream) co_return failure(stream.error());
    co_return Result<>{};
  }
  const auto answer = co_await http::fetch(loop_, {.to = *address, .target = *need.path, .timeout = 5s});
  if (!answer) co_return failure(answer.error());
  const int status = answer->head.status();
  if (status < 200 || status > 399) co_return failure(Code::kUnavailable, "it answered " + std::to_string(status));
  co_return Result<>{};
}

// Verdicts of a gateway that is gone, or has just begun, are no evidence.
bool Supervisor::gateway_is_watching() const {
  const auto part = table_->gateway.load();
  return gateway_.pid() != 0 && table_->header.gateway_serving == static_cast<std::uint32_t>(gateway_.pid()) && part &&
         loop_.now().since_boot.count() - part->since_ns >= Duration(1s).count();
}

Task<void> Supervisor::watch_liveness() {
  const config::Replicas& config = service_.config.replicas;
  while (co_await loop_.sleep(500ms)) {
    for (const auto& replica : replicas_) replica->look_at_memory();
    if (!config.health.restart_after || config.restart == config::Restart::kNever) continue;
    if (phase_ == Phase::kStopping || phase_ == Phase::kLeaving || !gateway_is_watching()) continue;
    std::vector<supervise::Patient> patients;
    for (const auto& replica : replicas_) patients.push_back(replica->patient());
    const auto whom =
        supervise::whom_to_restart(patients, *config.health.restart_after, fleet_.enough_ready(), loop_.now());
    if (!whom) continue;
    const auto verdict = table_->observed[*whom].verdict.load();
    replicas_[*whom]->give_up("not ready for " + format_duration(*config.health.restart_after) + " and more" +
                              (verdict && verdict->reason[0] != '\0' ? ": " + std::string(verdict->reason) : ""));
  }
}

// None of them was ever there: as with replicas that do not get ready in time.
Task<void> Supervisor::await_endpoints() {
  if (endpoints_.empty() || !co_await loop_.sleep(service_.config.replicas.health.startup)) co_return;
  if (fleet_.ever_ready()) co_return;
  for (std::size_t i = 0; i < endpoints_.size(); ++i) never_ready_in_time(true);
}

std::string Supervisor::name_of_slot(std::size_t slot) const {
  if (slot < replicas_.size()) return replicas_[slot]->name();
  return slot < endpoints_.size() ? endpoints_[slot].name() : std::string();
}

Task<void> Supervisor::hear_signals() {
  net::Signals signals(loop_, {SIGINT, SIGTERM, SIGHUP});
  while (const auto signal = co_await signals.next()) {
    if (*signal == SIGHUP) continue;  // a closed terminal ends nothing
    // systemd sends its SIGTERM to us and, through the anchor, once more: only a person's second one hurries.
    const bool counts = anchor_gone_ || signals.sender() == anchor_;
    if (counts && std::exchange(signalled_, true) && phase_ == Phase::kStopping) hurry();
    wish_down(*signal == SIGINT ? "Ctrl-C" : "SIGTERM");
  }
}

Task<void> Supervisor::beat() {
  do {
    table_->header.heartbeat_ns = loop_.now().since_boot.count();
    if (inherited_) tell_manager();
  } while (co_await loop_.sleep(Vigil::kBeat));
}

// What has changed for systemd. What did not get there is told again with the next beat.
void Supervisor::tell_manager() {
  if (!manager_.is_there()) return;
  const char* const turn = phase_ == Phase::kStarting ? "" : phase_ == Phase::kStopping ? "STOPPING=1\n" : "READY=1\n";
  std::string words = turn + status_line(state_in_words());
  if (words != told_ && manager_.tell(words)) told_ = std::move(words);
}

std::string Supervisor::state_in_words() const {
  if (phase_ == Phase::kStopping) return "going down: " + stopped_by_;
  const std::size_t all =
      endpoints_.empty() ? static_cast<std::size_t>(service_.config.replicas.count) : endpoints_.size();
  std::string text = phase_ == Phase::kStarting ? "starting: " : "";
  text += std::to_string(ready_count()) + " of " + std::to_string(all) +
          (endpoints_.empty() ? " replica" : " endpoint") + (all == 1 ? "" : "s") + " ready";
  return text + ", listening on " + service_.config.listen.front().text();
}

// Says once that the service is up: enough replicas are ready, and the listeners answer.
Task<void> Supervisor::announce_up() {
  while (phase_ == Phase::kStarting) {
    bool up = serving_count() >= enough_ready() && table_->header.gateway_serving != 0;
    const bool asked = enough_ready() > 0 && table_->header.announced == 0;
    for (std::size_t i = 0; up && asked && i < service_.config.listen.size(); ++i) {
      up = (co_await answers(service_.config.listen[i])).has_value();
      if (!up && !co_await loop_.sleep(20ms)) co_return;
    }
    if (phase_ != Phase::kStarting) co_return;
    if (up) {
      phase_ = Phase::kRunning;
      remember_ready();  // what was said to be up is not given up, also when nobody is wanted just now
      const bool again = table_->header.announced.exchange(1) != 0;
      listener_.up(addresses(), static_cast<std::size_t>(ready_count()), again);
      tell_manager();
      co_return;
    }
    if (!co_await wait_for(changed_, loop_.now() + 1s)) {
      if ((co_await current_scope())->cancelled()) co_return;
    }
  }
}

// A request through the gateway reaches a replica; for a service without a health path, the gateway accepts.
Task<Result<>> Supervisor::answers(const config::Address& at) {
  const auto address = net::Address::parse(reachable(at).text());
  if (!address) co_return failure(address.error());
  const auto& path = service_.config.replicas.health.path;
  if (!path) {
    auto stream = co_await loop_.connect(*address, 1s);
    if (!stream) co_return failure(stream.error());
    co_return Result<>{};
  }
  const auto answer = co_await http::fetch(
      loop_,
      {.to = *address, .target = *path, .fields = {{"X-Nines-Probe", plane::probe_key(*table_)}}, .timeout = 2s});
  if (!answer) co_return failure(answer.error());
  if (answer->head.status() >= 500)
    co_return failure(Code::kUnavailable, "it answered " + std::to_string(answer->head.status()));
  co_return Result<>{};
}

void Supervisor::wish_down(const std::string& who) {
  if (phase_ == Phase::kStopping || phase_ == Phase::kLeaving) return;
  phase_ = Phase::kStopping;
  deployment_.suspend();
  table_->header.stopping = 1;
  stopped_by_ = who;
  fleet_.stop();
  for (const auto& replica : replicas_) {
    if (replica->pid() == 0) replica->do_not_start();
  }
  plane::Event event{.kind = EventKind::kServiceStopping};
  event.set_text(who);
  note(event);
  tell_manager();
  changed_.notify_all();
}

Task<void> Supervisor::shut_down() {
  const Duration patience = service_.config.replicas.stop.drain + 5s;
  // Refused from now on, rather than left waiting: also at the gateway, which holds the same sockets.
  for (const int socket : listeners_) ::shutdown(socket, SHUT_RDWR);
  gateway_.stop(patience);
  while (gateway_.pid() != 0 || gateway_.leaving()) (void)co_await wait_for(changed_, Instant::never());
  for (const auto& replica : replicas_) replica->stop_without_drain();
  const auto all_stopped = [&] {
    return std::all_of(replicas_.begin(), replicas_.end(), [](const auto& r) { return r->stopped(); });
  };
  while (!all_stopped()) (void)co_await wait_for(changed_, Instant::never());
  keeper_.stop(5s);
}

void Supervisor::hurry() {
  gateway_.kill();
  for (const auto& replica : replicas_) replica->kill_at_once();
}

std::optional<std::uint16_t> Supervisor::take_port() {
  // A port that a stranger holds stays taken in our book for a rest, too.
  for (int tries = 0; tries < 200; ++tries) {
    const auto port = ports_.take(loop_.now());
    if (!port || supervise::port_is_free(*port)) return port;
    ports_.give_back(*port, loop_.now());
  }
  return std::nullopt;
}

void Supervisor::give_back_port(std::uint16_t port) { ports_.give_back(port, loop_.now()); }

void Supervisor::routes_changed() {
  net::Doorbell::ring(kBellToGateway);
  changed_.notify_all();
}

void Supervisor::note(plane::Event event) {
  if (event.at_ns == 0) event.at_ns = loop_.now().since_boot.count();
  events_.note(event);
}

void Supervisor::exited(const supervise::Ended& ended) {
  fleet_.on_exit(ended);
  judge();
}

void Supervisor::spawn_failed(const Error& error) {
  last_error_ = error.text();
  fleet_.on_spawn_failed(error.code());
  judge();
}

void Supervisor::never_ready_in_time(bool listened) {
  listened_ = listened_ || listened;
  fleet_.on_too_late();
  judge();
}

// Whether the start has failed for good.
void Supervisor::judge() {
  if (phase_ == Phase::kStopping || phase_ == Phase::kLeaving) return;
  const auto goes_on = std::ranges::count_if(
      replicas_, [](const auto& r) { return !r->spare() && (!r->stopped() || !r->held_by().empty()); });
  const auto verdict = fleet_.verdict(static_cast<int>(goes_on) + static_cast<int>(endpoints_.size()));
  if (verdict.outcome != supervise::Outcome::kGaveUp) return;
  verdict_ = verdict;
  wish_down("nines, since it cannot be started");
}

int Supervisor::ready_count() const {
  return static_cast<int>(std::count_if(replicas_.begin(), replicas_.end(),
                                        [](const auto& r) { return r->machine().state() == State::kReady; }) +
                          std::ranges::count_if(endpoints_, &Endpoint::ready));
}

int Supervisor::serving_count() const {
  return static_cast<int>(
      std::ranges::count_if(
          replicas_, [](const auto& r) { return r->machine().state() == State::kReady && r->route().weight > 0; }) +
      std::ranges::count_if(endpoints_, [](const Endpoint& e) { return e.ready() && e.route().weight > 0; }));
}

// A person may have stopped all of them, or drained them: then there is nobody to wait for.
int Supervisor::wanted_count() const {
  return static_cast<int>(
      std::ranges::count_if(replicas_, [](const auto& r) { return r->held_by().empty() && r->route().weight > 0; }) +
      std::ranges::count_if(endpoints_, [](const Endpoint& e) { return e.route().weight > 0; }));
}

int Supervisor::enough_ready() const {
  const int enough = endpoints_.empty() ? fleet_.enough_ready() : 1;  // nobody here can bring the others up
  const int wanted = wanted_count();
  // The one that may be missing is one of those that are wanted.
  return wanted == 0 ? 0 : std::min(enough, std::max(wanted - 1, 1));
}

std::string Supervisor::check_in_words() const {
  const auto& path = service_.config.replicas.health.path;
  return path ? "GET " + *path : "a TCP connect";
}

Outcome Supervisor::outcome() const {
  if (phase_ == Phase::kLeaving) return {.goes_on = true, .by_the_anchor = !to_new_anchor_};
  if (verdict_.outcome != supervise::Outcome::kGaveUp) return {};
  const std::string startup = format_duration(service_.config.replicas.health.startup);
  Outcome result{.exit_status = verdict_.exit_status, .message = "", .log_tail = {}, .log_file = {}};
  if (!endpoints_.empty()) {
    result.message = "no endpoint was ready within " + startup + " (replicas.health.startup): " + check_in_words() +
                     " does not succeed at " + service_.config.replicas.endpoints.front().at.text() +
                     (endpoints_.size() > 1 ? ", nor at the others; gave up" : "; gave up");
    return result;
  }
  const config::Launch& launch = deployment_.active()->launch;
  const std::string command = launch.program();
  switch (verdict_.reason) {
    case supervise::Reason::kCannotExecute: result.message = last_error_; return result;
    case supervise::Reason::kCrashAtStart:
      result.message = "`" + command + "` ends right after it is started, again and again; gave up";
      // It may never have been started: an engine that refuses, for one.
      if (!last_error_.empty()) result.message += ". Last, it could not be started: " + last_error_;
      break;
    case supervise::Reason::kPortInUse:
      result.message = "`" + command + "` does not listen on the port it is given ({port}); gave up";
      break;
    case supervise::Reason::kNone:
    case supervise::Reason::kNeverReady:
      result.message = "no replica was ready within " + startup + " (replicas.health.startup): `" + command + "` ";
      result.message += listened_            ? "listens, but " + check_in_words() + " does not succeed; gave up"
                        : launch.by_socket() ? "does not listen on the socket that stands for {socket}; gave up"
                                             : "does not listen on the port that stands for {port}; gave up";
      break;
  }
  for (const auto& replica : replicas_) {
    result.log_tail = supervise::tail_lines(replica->log_file(), 10).value_or(std::vector<std::string>());
    result.log_file = replica->log_file();
    if (!result.log_tail.empty()) break;
  }
  return result;
}

ReplicaUnit* Supervisor::find(std::string_view name) {
  for (const auto& replica : replicas_) {
    if (!replica->spare() && replica->name() == name) return replica.get();
  }
  return nullptr;
}

std::vector<std::string> Supervisor::addresses() const {
  std::vector<std::string> urls;
  for (const config::Address& at : service_.config.listen) urls.push_back("http://" + at.text());
  return urls;
}

}  // namespace nines::app
