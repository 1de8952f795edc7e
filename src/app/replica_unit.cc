#include "app/replica_unit.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "app/launch.h"
#include "app/tagged.h"
#include "config/values.h"
#include "supervise/listening.h"
#include "supervise/log_file.h"
#include "supervise/ports.h"
#include "supervise/procfs.h"

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
  switch (replicas.restart) {
    case config::Restart::kUnlessStopped:  // of the two only the service's start makes a difference
    case config::Restart::kAlways: break;
    case config::Restart::kOnFailure: limits.restart = supervise::RestartPolicy::kOnFailure; break;
    case config::Restart::kNever: limits.restart = supervise::RestartPolicy::kNever; break;
  }
  return limits;
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
  next_ = running_ = std::move(inheritance.release);
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
  group_ = owner_.cgroups().find(group_name(options_.paths, options_.name, incarnation_));
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
    if (!same && running_->launch.by_socket())
      plane::set_field(dead.socket, options_.paths.replica_socket(options_.slot + 1, found.incarnation));
    died_unseen(dead);
    return;
  }
  incarnation_ = found.incarnation;
  group_ = owner_.cgroups().find(group_name(options_.paths, options_.name, incarnation_));
  oom_seen_ = group_.oom_kills().value_or(0);
  first_of_release_ = incarnation_;
  if (machine_.state() == State::kReady || machine_.state() == State::kUnready) {
    ready_incarnation_ = incarnation_;
    first_ready_ = since_;
  }
  port_ = found.port;
  if (port_ != 0) owner_.claim_port(port_);
  // RUN may have been another folder when it was started; who knows only its tag knows only what is usual.
  socket_ = same                           ? before.socket
            : running_->launch.by_socket() ? options_.paths.replica_socket(options_.slot + 1, incarnation_)
                                           : std::string();
  ipv6_ = same && before.ipv6 != 0;
  listening_ = same && before.listening != 0;
  process_.emplace(std::move(*process));
  if (container_) container_->adopt(running_->launch.container, incarnation_, log_.get());
  note(EventKind::kAdopted, pid());
  tasks_.start(await_exit());
  if (machine_.state() == State::kDraining) tasks_.start(await_drained());
  if (!listening_) tasks_.start(await_listening(incarnation_));
}

// It ended while there was no supervisor.
Task<void> ReplicaUnit::find_exit(plane::Route before) {
  const bool recorded = owner_.is_recorded(static_cast<std::uint16_t>(options_.slot), before.incarnation);
  supervise::Exit exit;
  if (!recorded && container_) exit = co_await container_->exit_of(running_->launch.container, before.incarnation);
  if (!recorded && !container_) exit = co_await owner_.obituary(gone_pid_, Instant{Duration(before.spawned_ns)});
  if ((co_await current_scope())->cancelled()) co_return;  // for the next supervisor to find
  ended(exit, recorded);
}

void ReplicaUnit::step() {
  if (!machine_.alive() && machine_.wanted() && !owner_.may_start()) return publish();
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
      if (late && counts()) owner_.never_ready_in_time(listening_);
      break;
    }
  }
}

Result<supervise::Command> ReplicaUnit::prepare_command() {
  if (next_->launch.by_socket()) {
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
  auto launch = launch_with_staged(*next_, options_.paths.folder, options_.paths.staged_files(next_->number));
  if (!launch) return failure(std::move(launch.error()));
  auto command = command_of(*launch, options_.paths.folder, {.port = port_, .socket = socket_});
  if (!command) return command;
  command->log = log_.get();
  command->oom_score_adj = supervise::kReplicaOomScore;
  command->tag = tag(options_.paths, options_.name, incarnation_, port_);
  limit(*command);
  return command;
}

// By a control group; where there is none, memory is limited for each process by itself, as well as that goes.
void ReplicaUnit::limit(supervise::Command& command) {
  const config::ProcessLimits& limits = next_->launch.limits;
  group_ = {};
  oom_seen_ = 0;
  oom_at_ = {};
  const auto make = [&](const supervise::CgroupLimits& wanted) {
    auto group = owner_.cgroups().make(group_name(options_.paths, options_.name, incarnation_), wanted);
    if (group) return group_ = *std::move(group), std::string();
    return group.error().text();
  };
  const supervise::CgroupLimits both{.memory = limits.memory, .cpu_weight = limits.cpu_weight};
  if (!both.any()) return;
  std::string missing = make(both);
  // One of the two is better than none.
  if (!missing.empty() && both.memory && both.cpu_weight) (void)make({.memory = limits.memory});
  command.doors = group_.doors();
  const bool memory_is_loose = limits.memory && !group_.limits_memory();
  if (memory_is_loose) command.limits.push_back({RLIMIT_DATA, *limits.memory});
  if (missing.empty() || std::exchange(limits_warned_, true)) return;
  owner_.warn(options_.name + ": " + missing +
              (memory_is_loose ? "; its memory is limited for each of its processes instead (RLIMIT_DATA)" : "") +
              (limits.cpu_weight ? "; its cpu_weight has no effect" : ""));
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
  // Before the fork: whoever comes after us finds the process by this, even if we die in the next instant.
  incarnation_ = table_.header.next_incarnation.fetch_add(1);
  port_ = 0;
  socket_.clear();
  port_taken_by_other_ = false;
  ipv6_ = false;
  listening_ = false;
  given_up_.clear();
  auto command = prepare_command();
  if (container_ && command)
    return tasks_.start(spawn_container(next_->launch.container, std::move(command->environment)));
  spawned(command ? supervise::spawn(*command) : failure(std::move(command.error())));
}

// The machine waits for the answer as it does for a fork's, and an order that comes meanwhile is carried out then.
Task<void> ReplicaUnit::spawn_container(std::optional<config::Container> container, Environment environment) {
  const SharedRelease release = next_;
  auto started =
      co_await container_->start(std::move(container), incarnation_, port_, std::move(environment), log_.get());
  if (started && !*started) {  // it has ended already
    const supervise::Exit exit = co_await container_->exit();
    if ((co_await current_scope())->cancelled()) co_return;
    began(release);
    co_return ended(exit, false);
  }
  if ((co_await current_scope())->cancelled()) co_return;  // for the next supervisor to find
  spawned(started ? Result<supervise::Process>(std::move(**started)) : failure(std::move(started.error())), release);
  step();
}

void ReplicaUnit::spawned(Result<supervise::Process> process) { spawned(std::move(process), next_); }

void ReplicaUnit::spawned(Result<supervise::Process> process, const SharedRelease& release) {
  if (!process) {
    give_back_place();
    group_.remove();
    const std::string why = process.error().text();
    last_end_ = why;
    machine_.on_spawn_failed(loop_.now(), owner_.jitter());
    note(EventKind::kSpawnFailed, 0, why);
    if (counts()) owner_.spawn_failed(process.error());
    return;
  }
  process_.emplace(std::move(*process));
  began(release);
  tasks_.start(await_exit());
  tasks_.start(await_listening(incarnation_));
}

void ReplicaUnit::began(const SharedRelease& release) {
  if (first_of_release_ == 0 || running_->number != release->number) first_of_release_ = incarnation_;
  running_ = release;
  spawned_ = loop_.now();
  machine_.on_spawned(loop_.now());
  publish();
  note(EventKind::kSpawned, pid());
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
  const bool success = exit == supervise::Exit{.kind = supervise::Exit::Kind::kStatus, .value = 0};
  const auto cause = foreign   ? supervise::ExitCause::kPortInUse
                     : success ? supervise::ExitCause::kSuccess
                               : supervise::ExitCause::kItself;
  const supervise::Ended how = machine_.on_exit(loop_.now(), owner_.jitter(), cause);
  const bool crashed = how.ending == supervise::Ending::kCrash;
  // The kill may have been noted by look_at_memory(), a moment before the exit was there to be seen.
  const bool just_noted = oom_at_ != Instant{} && loop_.now() - oom_at_ < 2s;
  const bool out_of_memory =
      container_ ? container_->out_of_memory() : group_.oom_kills().value_or(0) > oom_seen_ || just_noted;
  std::string words = supervise::text(exit) + (container_ ? container_->remark() : "");
  if (how.ending == supervise::Ending::kPortInUse) words += "; somebody else has " + place_in_words();
  if (crashed && out_of_memory && !container_) words += "; out of memory: " + memory_limit_in_words();
  if (crashed && !given_up_.empty()) words += "; ended since it did not answer";
  last_end_ = words;
  const auto is = !crashed             ? plane::ExitIs::kOrdered
                  : out_of_memory      ? plane::ExitIs::kOutOfMemory
                  : !given_up_.empty() ? plane::ExitIs::kGivenUp
                                       : plane::ExitIs::kCrash;
  if (!in_the_log) note(EventKind::kExited, gone_pid_, words, exit.value, static_cast<std::int64_t>(is));
  if (crashed && machine_.crashes_in_row() == supervise::kCrashLoop)
    note(EventKind::kCrashLoop, gone_pid_, words, machine_.crashes_in_row());
  gone_pid_ = 0;
  publish();
  if (process_) process_->reap();
  process_.reset();
  if (container_) container_->forget();
  group_.kill();
  group_.remove();
  give_back_place();
  if (counts()) owner_.exited(how);
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
      if (after == State::kReady && std::exchange(ready_incarnation_, incarnation_) != incarnation_)
        first_ready_ = loop_.now();
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
void ReplicaUnit::give_up(const std::string& why) {
  given_up_ = why;
  note(EventKind::kGivenUp, pid(), why);
  machine_.give_up(loop_.now());
  step();
}

void ReplicaUnit::replace(SharedRelease release, const std::string& who) {
  next_ = std::move(release);
  if (options_.spare) wish_.stopped_by.clear();
  if (!wish_.stopped_by.empty()) return publish();  // for when it is started again
  note(pid() != 0 ? EventKind::kRestartWished : EventKind::kStartWished, pid(), who);
  machine_.restart(loop_.now());
  step();
}

void ReplicaUnit::renew(const Releases& releases) {
  for (SharedRelease* const held : {&next_, &running_}) {
    if (*held == nullptr) continue;
    if (auto now = releases.find((*held)->number)) *held = std::move(now);
  }
}

// What a deploy tries out says nothing about the service.
bool ReplicaUnit::counts() const { return !options_.spare && owner_.is_active(next_->number); }

void ReplicaUnit::retire(const std::string& who) {
  wish_.stopped_by = who;
  note(EventKind::kStopWished, pid(), who);
  machine_.stop(loop_.now());
  step();
}

void ReplicaUnit::share_of_deploy(int percent) {
  if (std::exchange(deploy_percent_, percent) != percent) publish();
}

supervise::Member ReplicaUnit::member(supervise::Evidence seen) const {
  const auto verdict = table_.observed[options_.slot].verdict.load();
  const bool about_it = pid() != 0 && verdict && verdict->incarnation == incarnation_;
  const bool unwell = about_it && machine_.state() != State::kReady && verdict->reason[0] != '\0';
  return {.spare = options_.spare,
          .wanted = wish_.stopped_by.empty(),
          .release = release(),
          .next = next_->number,
          .state = machine_.state(),
          .weight = wish_.percent(kPlainWeight),
          .since = since_,
          .crashes = machine_.crashes_in_row(),
          .was_ready = ready_incarnation_ != 0 && ready_incarnation_ >= first_of_release_,
          .answers_wrong = about_it && verdict->wrong != 0,
          .trouble = unwell ? std::string(verdict->reason) : last_end_,
          .seen = seen};
}

bool ReplicaUnit::has_loaded(const std::string& path, Instant from, Instant until, std::uint64_t inode) const {
  // From its start until it was ready first, it may have been reading.
  const bool ready_before = ready_incarnation_ == incarnation_ && first_ready_ < from;
  if (spawned_ <= until && !ready_before) return true;
  if (inode == 0 || pid() == 0) return false;
  const std::string name = std::filesystem::path(path).filename().native();
  std::vector<pid_t> all = supervise::followers_of(pid());
  all.push_back(pid());
  return std::ranges::any_of(all, [&](pid_t one) {
    std::ifstream maps("/proc/" + std::to_string(one) + "/maps");
    for (std::string line; std::getline(maps, line);) {
      // "7f…-7f… r--p 00000000 08:01 INODE   PATH", with " (deleted)" behind a file that is gone.
      std::istringstream words(line);
      std::string skip;
      std::uint64_t mapped = 0;
      words >> skip >> skip >> skip >> skip >> mapped;
      if (mapped == inode && line.find("/" + name) != std::string::npos) return true;
    }
    return false;
  });
}

supervise::Patient ReplicaUnit::patient() const {
  return {.state = machine_.state(),
          .wanted = machine_.wanted(),
          .since = since_,
          .progress = Instant{Duration(table_.observed[options_.slot].progress_ns.load(std::memory_order_relaxed))}};
}

std::string ReplicaUnit::memory_limit_in_words() const {
  const auto& limit = running_->launch.limits.memory;
  return limit ? "more than its limit of " + config::write_size(*limit) : "more than its limit";
}

void ReplicaUnit::look_at_memory() {
  if (pid() == 0 || !group_.limits_memory()) return;
  const auto kills = group_.oom_kills();
  if (!kills || *kills <= oom_seen_) return;
  // The first process may be among them: then its exit, which is about to come, says so.
  if (process_->look()) return;
  oom_seen_ = *kills;
  oom_at_ = loop_.now();
  note(EventKind::kOutOfMemory, pid(), memory_limit_in_words());
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
  if (options_.spare && stopped() && gone_pid_ == 0) return {};  // it is not there at all
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
                     .weight = static_cast<std::uint16_t>(weight()),
                     .release = release()};
  plane::set_field(route.name, options_.name);
  plane::set_field(route.socket, socket_);
  return route;
}

int ReplicaUnit::weight() const {
  const int wished = wish_.percent(kPlainWeight);
  // A small share of a small one is still one.
  return deploy_percent_ == 100 || wished == 0 ? wished : std::max(1, wished * deploy_percent_ / 100);
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
