#include "app/replica_unit.h"

#include <fcntl.h>
#include <unistd.h>

#include <csignal>

#include "app/environment.h"
#include "app/tagged.h"
#include "supervise/listening.h"
#include "supervise/log_file.h"
#include "supervise/ports.h"

namespace nines::app {

using plane::EventKind;
using plane::Wanted;
using supervise::Order;
using supervise::State;

namespace {

supervise::ReplicaLimits limits_of(const config::Replicas& replicas) {
  supervise::ReplicaLimits limits;
  limits.startup = replicas.health.startup;
  limits.drain_wait = replicas.stop.drain;
  limits.stop_grace = replicas.stop.grace;
  return limits;
}

std::string filled_in(std::string argument, std::string_view mark, const std::string& text) {
  for (std::size_t at = 0; (at = argument.find(mark, at)) != std::string::npos; at += text.size()) {
    argument.replace(at, mark.size(), text);
  }
  return argument;
}

// Of a process, from /proc/PID/stat.
Instant began_at(std::uint64_t start_time) {
  const auto ticks = static_cast<std::uint64_t>(std::max(1L, ::sysconf(_SC_CLK_TCK)));
  return Instant{Duration(static_cast<std::int64_t>(start_time * 1'000'000'000 / ticks))};
}

}  // namespace

ReplicaUnit::ReplicaUnit(net::EpollLoop& loop, plane::Table& table, Owner& owner, Options options)
    : loop_(loop),
      table_(table),
      owner_(owner),
      options_(std::move(options)),
      machine_(limits_of(options_.config.replicas), loop.now()),
      since_(loop.now()) {
  if (Containers* const containers = owner_.containers(); containers != nullptr) {
    container_ = std::make_unique<ReplicaContainer>(
        *containers, tasks_,
        ReplicaContainer::Options{.name = options_.name, .config = options_.config, .paths = options_.paths});
  }
}

// The order matters: a supervisor that is killed at any point here leaves a book from which the next one goes on.
Result<> ReplicaUnit::begin(Inheritance inheritance) {
  const plane::Route& before = inheritance.route;
  wish_ = std::move(inheritance.wish);
  incarnation_ = before.incarnation;
  routes_version_ = table_.header.routes_version;
  const bool has_process = inheritance.process || inheritance.exit_due;
  // Of a process that the book does not know, it knows nothing: not since when it runs, not whether it listens.
  const bool other = inheritance.process && inheritance.process->incarnation != before.incarnation;
  const Instant now = loop_.now();
  spawned_ = other ? began_at(inheritance.process->start_time) : Instant{Duration(before.spawned_ns)};
  since_ = other ? spawned_ : Instant{Duration(before.since_ns)};
  if (before.incarnation != 0 || before.held != 0 || has_process) {
    machine_.resume({.state = other ? State::kStarting : static_cast<State>(before.state),
                     .wanted = before.held == 0,
                     .ordered = !other && before.ordered != 0,
                     .listening = !other && before.listening != 0,
                     .crashes_in_row = static_cast<int>(before.crashes_in_row),
                     .restarts = before.restarts,
                     .spawned = spawned_,
                     .since = since_},
                    has_process, now);
    published_ = machine_.state();
  }
  const std::string fifo = options_.paths.replica_fifo(options_.name);
  const auto made = supervise::open_log_fifo(fifo);
  // The one that the process writes to: another than RUN's, if RUN was removed and made anew since.
  auto writer = inheritance.process ? supervise::open_log_fifo_writer_of(inheritance.process->pid, fifo)
                                    : failure(Code::kNotFound, "");
  if (!writer) writer = made ? supervise::open_log_fifo_writer(fifo) : failure(made.error());
  if (!writer) {
    // A service that runs is not ended for want of a log.
    if (!has_process && before.incarnation == 0) return failure(std::move(writer.error()));
    owner_.warn(options_.name + " writes no log: " + writer.error().text());
    writer = Fd(::open("/dev/null", O_RDWR | O_CLOEXEC));
  }
  log_ = std::move(*writer);
  if (inheritance.process) {
    adopt(*inheritance.process, before);
  } else if (inheritance.exit_due) {
    died_unseen(before);
  }
  step();
  return {};
}

void ReplicaUnit::died_unseen(const plane::Route& before) {
  incarnation_ = before.incarnation;
  gone_pid_ = static_cast<pid_t>(before.pid);
  gone_start_ = before.start_time;
  port_ = before.port;
  socket_ = before.socket;
  if (port_ != 0) owner_.claim_port(port_);
  tasks_.start(find_exit(before));
}

void ReplicaUnit::adopt(const supervise::Found& found, const plane::Route& before) {
  const bool same = before.incarnation == found.incarnation;
  auto process = supervise::Process::adopt(found.pid, found.start_time);
  if (!process) {  // it ended since we looked
    plane::Route dead = same ? before : plane::Route{};
    dead.pid = static_cast<std::uint32_t>(found.pid);
    dead.start_time = found.start_time;
    dead.incarnation = found.incarnation;
    dead.port = found.port;
    if (!same && options_.config.replicas.by_socket())
      plane::set_field(dead.socket, options_.paths.replica_socket(options_.slot + 1, found.incarnation));
    died_unseen(dead);
    return;
  }
  incarnation_ = found.incarnation;
  port_ = found.port;
  if (port_ != 0) owner_.claim_port(port_);
  // RUN may have been another folder when it was started; who knows only its tag knows only what is usual.
  socket_ = same                                   ? before.socket
            : options_.config.replicas.by_socket() ? options_.paths.replica_socket(options_.slot + 1, incarnation_)
                                                   : std::string();
  ipv6_ = same && before.ipv6 != 0;
  listening_ = same && before.listening != 0;
  process_.emplace(std::move(*process));
  if (container_) container_->adopt(incarnation_, log_.get());
  note(EventKind::kAdopted, pid());
  tasks_.start(await_exit());
  if (machine_.state() == State::kDraining) tasks_.start(await_drained());
  if (!listening_) tasks_.start(await_listening(incarnation_));
}

// It ended while there was no supervisor.
Task<void> ReplicaUnit::find_exit(plane::Route before) {
  const bool recorded = owner_.is_recorded(static_cast<std::uint16_t>(options_.slot), before.incarnation);
  supervise::Exit exit;
  if (!recorded && container_) exit = co_await container_->exit_of(before.incarnation);
  if (!recorded && !container_) exit = co_await owner_.obituary(gone_pid_, Instant{Duration(before.spawned_ns)});
  if ((co_await current_scope())->cancelled()) co_return;  // for the next supervisor to find
  ended(exit, recorded);
}

void ReplicaUnit::step() {
  for (Order order = machine_.next(loop_.now()); order != Order::kNone; order = machine_.next(loop_.now())) obey(order);
  loop_.timers().arm(*this, machine_.wake_at().value_or(Instant::never()));
  publish();
}

void ReplicaUnit::obey(Order order) {
  switch (order) {
    case Order::kNone: break;
    case Order::kSpawn: spawn(); break;
    case Order::kDrain:
      publish();
      note(EventKind::kDraining, pid());
      tasks_.start(await_drained());
      break;
    case Order::kTerminate: terminate(SIGTERM, EventKind::kTerminated, ""); break;
    case Order::kKill: {
      const bool late = machine_.incarnation() > 0 && published_ == State::kStarting;
      const std::string limit = late ? format_duration(options_.config.replicas.health.startup)
                                     : format_duration(options_.config.replicas.stop.grace);
      terminate(SIGKILL, EventKind::kKilled,
                late ? "not ready within " + limit : "still there " + limit + " after SIGTERM");
      if (late) owner_.never_ready_in_time(listening_);
      break;
    }
  }
}

Result<std::vector<std::string>> ReplicaUnit::prepare_command() {
  const config::Replicas& replicas = options_.config.replicas;
  if (replicas.by_socket()) {
    socket_ = options_.paths.replica_socket(options_.slot + 1, incarnation_);
    constexpr std::size_t kMax = sizeof(plane::Route::socket) - 1;
    if (socket_.size() > kMax)
      return failure(Code::kInvalid, "the path of its socket has " + std::to_string(socket_.size()) +
                                         " bytes, more than " + std::to_string(kMax) + ": " + socket_);
    ::unlink(socket_.c_str());  // left by a service whose numbers began anew
  } else {
    const auto port = owner_.take_port();
    if (!port) return failure(Code::kLimit, "no free port between 20000 and 29999");
    port_ = *port;
  }
  std::vector<std::string> argv;
  for (const std::string& argument : replicas.command)
    argv.push_back(filled_in(filled_in(argument, "{port}", std::to_string(port_)), "{socket}", socket_));
  return argv;
}

void ReplicaUnit::give_back_place() {
  if (port_ != 0) owner_.give_back_port(port_);
  port_ = 0;
  if (!socket_.empty()) ::unlink(socket_.c_str());
  socket_.clear();
}

std::string ReplicaUnit::place_in_words() const {
  return socket_.empty() ? "port " + std::to_string(port_) : "the socket " + socket_;
}

bool ReplicaUnit::lost_its_socket() const {
  return listening_ && pid() != 0 && !machine_.ordered() && !socket_.empty() && ::access(socket_.c_str(), F_OK) != 0 &&
         errno == ENOENT;
}

void ReplicaUnit::spawn() {
  auto environment = environment_of(options_.config.replicas, options_.paths.folder);
  // Before the fork: whoever comes after us finds the process by this, even if we die in the next instant.
  incarnation_ = table_.header.next_incarnation.fetch_add(1);
  port_ = 0;
  socket_.clear();
  port_taken_by_other_ = false;
  ipv6_ = false;
  listening_ = false;
  auto argv = prepare_command();
  if (container_ && argv && environment) return tasks_.start(spawn_container(std::move(*environment)));
  supervise::Command command;
  if (argv) command.argv = std::move(*argv);
  if (environment) command.environment = std::move(*environment);
  command.directory = options_.paths.folder;
  command.log = log_.get();
  command.oom_score_adj = supervise::kReplicaOomScore;
  command.tag = tag(options_.paths, options_.name, incarnation_, port_);

  spawned(!argv          ? failure(std::move(argv.error()))
          : !environment ? failure(std::move(environment.error()))
                         : supervise::spawn(command));
}

// The machine waits for the answer as it does for a fork's, and an order that comes meanwhile is carried out then.
Task<void> ReplicaUnit::spawn_container(ReplicaContainer::Environment environment) {
  auto started = co_await container_->start(incarnation_, port_, std::move(environment), log_.get());
  if (started && !*started) {  // it has ended already
    const supervise::Exit exit = co_await container_->exit();
    if ((co_await current_scope())->cancelled()) co_return;
    spawned_ = loop_.now();
    machine_.on_spawned(loop_.now());
    note(EventKind::kSpawned, 0);
    co_return ended(exit, false);
  }
  if ((co_await current_scope())->cancelled()) co_return;  // for the next supervisor to find
  spawned(started ? Result<supervise::Process>(std::move(**started)) : failure(std::move(started.error())));
  step();
}

void ReplicaUnit::spawned(Result<supervise::Process> process) {
  if (!process) {
    give_back_place();
    const std::string why = process.error().text();
    machine_.on_spawn_failed(loop_.now(), owner_.jitter());
    note(EventKind::kSpawnFailed, 0, why);
    owner_.spawn_failed(process.error());
    return;
  }
  process_.emplace(std::move(*process));
  spawned_ = loop_.now();
  machine_.on_spawned(loop_.now());
  publish();
  note(EventKind::kSpawned, pid());
  tasks_.start(await_exit());
  tasks_.start(await_listening(incarnation_));
}

void ReplicaUnit::terminate(int signal, EventKind kind, std::string_view why) {
  publish();  // nobody is routed to what is about to end
  note(kind, pid(), why);
  if (!process_) return;
  if (auto sent = send(signal); !sent) owner_.warn(options_.name + ": " + sent.error().text());
}

Result<> ReplicaUnit::send(int signal) {
  if (!container_) return process_->signal(signal);
  container_->signal(signal, *process_);
  return {};
}

Task<void> ReplicaUnit::await_exit() {
  std::optional<supervise::Exit> exit;
  {
    // Gone before ended() closes the pidfd: the next process may get the same number, and this would then take that one
    // out of the loop.
    net::FdEvent gone(loop_, process_->pidfd());
    while (!(exit = process_->look())) {
      if (!co_await gone.readable()) co_return;
    }
  }
  gone_pid_ = process_->pid();
  gone_start_ = process_->start_time();
  publish();  // un-routed before anything else is done
  if (container_)
    exit = co_await container_->exit();
  else if (!process_->is_child())
    exit = co_await owner_.obituary(gone_pid_, spawned_);
  // Also what has a session of its own: it may hold the memory, or the device, that the next one needs.
  co_await owner_.end_followers(options_.name, incarnation_);
  if ((co_await current_scope())->cancelled()) co_return;  // for the next supervisor to find
  ended(*exit, false);
}

// Dead in the middle, the supervisor leaves the next one enough to record this exit once: the pid stays in the book
// until the log has it, and a child of ours stays a zombie, which the anchor would then reap.
void ReplicaUnit::ended(const supervise::Exit& exit, bool in_the_log) {
  const bool own_port = container_ && !container_->shares_ports();  // the engine may not have closed it yet
  const bool foreign = port_taken_by_other_ || (port_ != 0 && !own_port && machine_.state() == State::kStarting &&
                                                !machine_.wants_route() && !supervise::port_is_free(port_));
  const auto cause = foreign ? supervise::ExitCause::kPortInUse : supervise::ExitCause::kItself;
  const supervise::Ended how = machine_.on_exit(loop_.now(), owner_.jitter(), cause);
  std::string words = supervise::text(exit) + (container_ ? container_->remark() : "");
  if (how.ending == supervise::Ending::kPortInUse) words += "; somebody else has " + place_in_words();
  const int crashed = how.ending == supervise::Ending::kCrash ? 1 : 0;
  if (!in_the_log) note(EventKind::kExited, gone_pid_, words, exit.value, crashed);
  gone_pid_ = 0;
  publish();
  if (process_) process_->reap();
  process_.reset();
  if (container_) container_->forget();
  give_back_place();
  owner_.exited(how);
  step();
}

// Asks until the replica listens where it was told to: 25 ms apart, so that readiness costs no more than that.
Task<void> ReplicaUnit::await_listening(std::uint64_t incarnation) {
  constexpr Duration kPause = 25ms;
  Duration pause = 2ms;  // a small server is there almost at once
  while (co_await loop_.sleep(pause)) {
    pause = std::min(pause * 2, kPause);
    if (incarnation != incarnation_ || !process_ || machine_.state() == State::kStopping) co_return;
    const auto found = container_        ? container_->find_listener(process_->pid(), port_)
                       : socket_.empty() ? supervise::find_listener(process_->pid(), port_)
                                         : supervise::find_listener(process_->pid(), socket_);
    if (const std::string warning = container_ ? container_->take_warning() : ""; !warning.empty())
      owner_.warn(warning);
    if (!found) {
      if (!std::exchange(warned_, true))
        owner_.warn(options_.name + ": cannot see who listens on " + place_in_words() + ": " + found.error().text());
      continue;
    }
    if (!*found) continue;
    if ((*found)->foreign) {
      // Its own bind will fail, if it has not yet; a server that ignores that would never be reached.
      port_taken_by_other_ = true;
      terminate(SIGKILL, EventKind::kKilled, "somebody else listens on " + place_in_words());
      co_return;
    }
    if (!(*found)->proven()) continue;
    if (!(*found)->loopback_only && !std::exchange(warned_, true)) {
      owner_.warn(options_.name +
                  " listens on every address, so others can reach it past the gateway; let it listen on 127.0.0.1");
    }
    listening_ = true;
    machine_.on_listening(loop_.now());
    ipv6_ = (*found)->family == supervise::Listening::Family::kIpv6;
    note(EventKind::kListening, pid(), socket_, port_);
    step();
    co_return;
  }
}

// The gateway rings when it has stopped sending, not for every request that ends: so look.
Task<void> ReplicaUnit::await_drained() {
  while (co_await loop_.sleep(10ms)) {
    if (machine_.state() != State::kDraining) co_return;
    look();
  }
}

void ReplicaUnit::look() {
  if (process_) {
    const auto verdict = table_.observed[options_.slot].verdict.load();
    if (verdict && verdict->incarnation == incarnation_) {
      const State before = machine_.state();
      if (verdict->health == plane::Health::kUp) machine_.on_healthy(loop_.now());
      if (verdict->health == plane::Health::kDown) machine_.on_unhealthy(loop_.now());
      const State after = machine_.state();
      if (before != after && after == State::kReady)
        note(EventKind::kReady, pid(), "", (loop_.now() - spawned_).count(), port_);
      if (before != after && after == State::kUnready) note(EventKind::kUnready, pid(), verdict->reason);
    }
  }
  if (machine_.state() == State::kDraining && nothing_in_flight()) machine_.on_drained(loop_.now());
  step();
}

// The gateway acts on our wish to drain, and neither it nor one that is leaving has anything of it left.
bool ReplicaUnit::nothing_in_flight() const {
  const bool known = table_.header.gateway_serving == 0 || table_.header.routes_seen >= routes_version_;
  return known && plane::total(table_.observed[options_.slot].in_flight) == 0;
}

Result<> ReplicaUnit::stop(const std::string& who) {
  wish_.stopped_by = who;
  auto kept = owner_.changed(true);
  note(EventKind::kStopWished, pid(), who);
  machine_.stop(loop_.now());
  step();
  return kept;
}
Result<> ReplicaUnit::start(const std::string& who) {
  auto kept = release(EventKind::kStartWished, who);
  machine_.start(loop_.now());
  step();
  return kept;
}
Result<> ReplicaUnit::restart(const std::string& who) {
  auto kept = release(EventKind::kRestartWished, who);
  machine_.restart(loop_.now());
  step();
  return kept;
}
Result<> ReplicaUnit::release(plane::EventKind wish, const std::string& who) {
  const bool held = !wish_.stopped_by.empty();
  wish_.stopped_by.clear();
  note(wish, pid(), who);
  return held ? owner_.changed(true) : Result<>();
}
void ReplicaUnit::share(Wish wish) {
  wish_.drained_by = std::move(wish.drained_by);
  wish_.weight = wish.weight;
  publish();
}
void ReplicaUnit::do_not_start() {
  machine_.stop(loop_.now());
  step();
}
void ReplicaUnit::stop_without_drain() {
  machine_.stop(loop_.now());
  const Order order = machine_.next(loop_.now());
  if (order != Order::kDrain) obey(order);
  machine_.on_drained(loop_.now());
  step();
}
void ReplicaUnit::kill_at_once() {
  machine_.stop(loop_.now());  // its end is wished: no crash, and no successor
  if (process_) (void)send(SIGKILL);
}

plane::Route ReplicaUnit::route() const {
  const State state = machine_.state();
  plane::Route route{.incarnation = incarnation_,
                     .since_ns = since_.since_boot.count(),
                     .spawned_ns = spawned_.since_boot.count(),
                     .restarts = machine_.restarts(),
                     .start_time = process_ ? process_->start_time() : gone_start_,
                     .pid = static_cast<std::uint32_t>(gone_pid_ != 0 ? gone_pid_ : pid()),
                     .port = port_,
                     .wanted = gone_pid_ != 0 || pid() == 0 ? Wanted::kAbsent
                               : machine_.wants_route()     ? Wanted::kServe
                                                            : Wanted::kDrain,
                     .state = static_cast<std::uint8_t>(state),
                     .ipv6 = static_cast<std::uint8_t>(ipv6_ ? 1 : 0),
                     .listening = static_cast<std::uint8_t>(listening_ ? 1 : 0),
                     .ordered = static_cast<std::uint8_t>(machine_.ordered() ? 1 : 0),
                     .held = static_cast<std::uint8_t>(wish_.stopped_by.empty() ? 0 : 1),
                     .crashes_in_row = static_cast<std::uint32_t>(machine_.crashes_in_row()),
                     .weight = static_cast<std::uint16_t>(wish_.percent(kPlainWeight))};
  plane::set_field(route.name, options_.name);
  plane::set_field(route.socket, socket_);
  return route;
}

// Writes our record when it has changed, and lets the gateway know.
void ReplicaUnit::publish() {
  const State state = machine_.state();
  if (state != published_) since_ = loop_.now();
  const plane::Route route = this->route();
  const auto before = table_.routes[options_.slot].load();
  if (before && std::memcmp(&*before, &route, sizeof route) == 0) return;
  published_ = state;
  table_.routes[options_.slot].store(route);
  routes_version_ = table_.header.routes_version.fetch_add(1) + 1;
  owner_.routes_changed();
  (void)owner_.changed(false);
}

void ReplicaUnit::note(EventKind kind, pid_t pid, std::string_view text, std::int64_t a, std::int64_t b) {
  plane::Event event{.at_ns = loop_.now().since_boot.count(),
                     .kind = kind,
                     .replica = static_cast<std::uint16_t>(options_.slot),
                     .pid = static_cast<std::uint32_t>(pid),
                     .incarnation = incarnation_,
                     .a = a,
                     .b = b};
  event.set_text(text);
  owner_.note(event);
}

}  // namespace nines::app
