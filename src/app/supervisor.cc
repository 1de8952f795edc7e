#include "app/supervisor.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "app/process_contract.h"
#include "app/strays.h"
#include "http/client.h"
#include "supervise/log_file.h"

namespace nines::app {

using plane::EventKind;
using supervise::State;

namespace {

// The helpers are this very program, also when its file was replaced meanwhile.
constexpr const char* kThisProgram = "/proc/self/exe";

Fd snapshot_of(const config::Config& config) {
  const std::string text = config::to_yaml(config);
  Fd fd(::memfd_create("nines-config", MFD_CLOEXEC));
  INVARIANT(fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  return fd;
}

Task<Result<>> wait_for(net::Condition& condition, Instant until) { co_return co_await condition.wait(until); }

}  // namespace

std::string_view name_of(Phase phase) {
  switch (phase) {
    case Phase::kStarting: return "starting";
    case Phase::kRunning: return "running";
    case Phase::kStopping: return "stopping";
  }
  return "unknown";
}

Supervisor::Supervisor(const Service& service, const Listener& listener, plane::Plane table, std::vector<Fd> listeners)
    : service_(service),
      listener_(listener),
      begun_(loop_.now()),
      table_(std::move(table)),
      listeners_(std::move(listeners)),
      bell_to_gateway_(net::Doorbell::make()),
      bell_to_us_(net::Doorbell::make()),
      snapshot_(snapshot_of(service.config)),
      random_(static_cast<std::uint64_t>(loop_.now().since_boot.count()) ^
              (static_cast<std::uint64_t>(::getpid()) << 40)),
      ports_(random_.next()),
      fleet_(service.config.replicas.count),
      events_(*table_,
              [this](const plane::Event& event) {
                listener_.event(event,
                                event.replica < replicas_.size() ? replicas_[event.replica]->name() : std::string());
              }),
      gateway_(loop_, gateway_hooks()),
      keeper_(loop_, keeper_hooks()),
      changed_(loop_) {
  for (const config::Address& at : service_.config.listen) ports_.exclude(at.port);
  for (int i = 0; i < service_.config.replicas.count; ++i) {
    replicas_.push_back(std::make_unique<ReplicaUnit>(
        loop_, *table_, static_cast<ReplicaUnit::Owner&>(*this),
        ReplicaUnit::Options{.slot = static_cast<std::size_t>(i),
                             .name = *service_.config.service + "-" + std::to_string(i + 1),
                             .config = service_.config,
                             .paths = service_.paths}));
  }
}

Supervisor::~Supervisor() = default;

HelperProcess::Hooks Supervisor::gateway_hooks() {
  return {
      .command =
          [this] {
            const std::uint64_t epoch = table_->header.gateway_epoch.fetch_add(1) + 1;
            supervise::Command command{
                .argv = {kThisProgram, "internal-gateway", std::to_string(epoch), std::to_string(listeners_.size())},
                .log = STDERR_FILENO,
                .inherit = {{table_.fd(), kPlane},
                            {bell_to_gateway_.get(), kBellToGateway},
                            {bell_to_us_.get(), kBellToSupervisor},
                            {snapshot_.get(), kSnapshot}},
                .tag = tag(service_.paths, "gateway", epoch)};
            for (std::size_t i = 0; i < listeners_.size(); ++i) {
              command.inherit.push_back({listeners_[i].get(), kFirstListener + static_cast<int>(i)});
            }
            return command;
          },
      .started =
          [this](pid_t pid) { note({.kind = EventKind::kGatewayStarted, .pid = static_cast<std::uint32_t>(pid)}); },
      .exited =
          [this](const supervise::Exit& exit, pid_t pid) {
            table_->header.gateway_serving = 0;
            helper_exited(EventKind::kGatewayExited, exit, pid);
          },
      .failed = [this](const Error& error) { warn("the gateway cannot be started: " + error.text()); },
  };
}

HelperProcess::Hooks Supervisor::keeper_hooks() {
  return {
      .command =
          [this] {
            supervise::Command command{.argv = {kThisProgram, "internal-keeper"},
                                       .log = STDERR_FILENO,
                                       .tag = tag(service_.paths, "keeper", 1)};
            for (const auto& replica : replicas_) {
              command.argv.push_back(service_.paths.replica_fifo(replica->name()));
              command.argv.push_back(replica->log_file());
            }
            return command;
          },
      .started =
          [this](pid_t pid) { note({.kind = EventKind::kKeeperStarted, .pid = static_cast<std::uint32_t>(pid)}); },
      .exited = [this](const supervise::Exit& exit, pid_t pid) { helper_exited(EventKind::kKeeperExited, exit, pid); },
      .failed = [this](const Error& error) { warn("the keeper cannot be started: " + error.text()); },
  };
}

void Supervisor::helper_exited(EventKind kind, const supervise::Exit& exit, pid_t pid) {
  plane::Event event{.kind = kind, .pid = static_cast<std::uint32_t>(pid), .b = phase_ == Phase::kStopping ? 0 : 1};
  event.set_text(supervise::text(exit));
  note(event);
  changed_.notify_all();
}

Task<Outcome> Supervisor::run() {
  plane::Event started{.kind = EventKind::kServiceStarted};
  started.set_text(*service_.config.service);
  note(started);

  tasks_.start(hear_signals());
  tasks_.start(hear_gateway());
  TaskGroup helpers;
  helpers.start(gateway_.run());
  for (const auto& replica : replicas_) {
    if (auto begun = replica->begin(); !begun) {
      last_error_ = begun.error().text();
      verdict_ = {supervise::Outcome::kGaveUp, supervise::Reason::kCannotExecute, 1};
      wish_down("nines");
    }
  }
  helpers.start(keeper_.run());  // after the FIFOs exist
  tasks_.start(announce_up());
  while (phase_ != Phase::kStopping) (void)co_await wait_for(changed_, Instant::never());
  co_await shut_down();
  co_await helpers.join();
  // What left its replica's session, and so escaped the end of its group.
  (void)co_await end_strays(loop_, service_.paths);
  tasks_.cancel();
  co_await tasks_.join();
  events_.collect();
  co_return outcome();
}

Task<void> Supervisor::hear_gateway() {
  net::Doorbell bell(loop_, Fd(::dup(bell_to_us_.get())));
  while (co_await bell.rung()) {
    for (const auto& replica : replicas_) replica->look();
    if (ready_count() > 0) fleet_.on_ready();
    events_.collect();
    changed_.notify_all();
  }
}

Task<void> Supervisor::hear_signals() {
  net::Signals signals(loop_, {SIGINT, SIGTERM, SIGHUP});
  while (const auto signal = co_await signals.next()) {
    if (*signal == SIGHUP) continue;  // a closed terminal ends nothing
    if (phase_ == Phase::kStopping) hurry();
    wish_down(*signal == SIGINT ? "Ctrl-C" : "SIGTERM");
  }
}

// Says once that the service is up: enough replicas are ready, and the listeners answer.
Task<void> Supervisor::announce_up() {
  while (phase_ == Phase::kStarting) {
    bool up = ready_count() >= fleet_.enough_ready() && table_->header.gateway_serving != 0;
    for (std::size_t i = 0; up && i < service_.config.listen.size(); ++i) {
      up = (co_await answers(service_.config.listen[i])).has_value();
      if (!up && !co_await loop_.sleep(20ms)) co_return;
    }
    if (phase_ != Phase::kStarting) co_return;
    if (up) {
      phase_ = Phase::kRunning;
      listener_.up(addresses());
      co_return;
    }
    if (!co_await wait_for(changed_, loop_.now() + 1s)) {
      if ((co_await current_scope())->cancelled()) co_return;
    }
  }
}

// A request through the gateway reaches a replica; for a service without a health path, the gateway accepts.
Task<Result<>> Supervisor::answers(const config::Address& at) {
  config::Address reached = at;
  if (reached.ip == "0.0.0.0") reached.ip = "127.0.0.1";
  if (reached.ip == "::") reached.ip = "::1";
  const auto address = net::Address::parse(reached.text());
  if (!address) co_return failure(address.error());
  const auto& path = service_.config.replicas.health.path;
  if (!path) {
    auto stream = co_await loop_.connect(*address, 1s);
    if (!stream) co_return failure(stream.error());
    co_return Result<>{};
  }
  const auto answer = co_await http::fetch(loop_, {.to = *address, .target = *path, .timeout = 2s});
  if (!answer) co_return failure(answer.error());
  if (answer->head.status() >= 500)
    co_return failure(Code::kUnavailable, "it answered " + std::to_string(answer->head.status()));
  co_return Result<>{};
}

void Supervisor::wish_down(const std::string& who) {
  if (phase_ == Phase::kStopping) return;
  phase_ = Phase::kStopping;
  stopped_by_ = who;
  fleet_.stop();
  for (const auto& replica : replicas_) {
    if (replica->pid() == 0) replica->stop();  // not started again meanwhile
  }
  plane::Event event{.kind = EventKind::kServiceStopping};
  event.set_text(who);
  note(event);
  changed_.notify_all();
}

Task<void> Supervisor::shut_down() {
  const Duration patience = service_.config.replicas.stop.drain + 5s;
  // Refused from now on, rather than left waiting: also at the gateway, which holds the same sockets.
  for (const Fd& socket : listeners_) ::shutdown(socket.get(), SHUT_RDWR);
  listeners_.clear();
  gateway_.stop(patience);
  while (gateway_.pid() != 0) (void)co_await wait_for(changed_, Instant::never());
  for (const auto& replica : replicas_) replica->stop_without_drain();
  const auto all_stopped = [&] {
    return std::all_of(replicas_.begin(), replicas_.end(), [](const auto& r) { return r->stopped(); });
  };
  while (!all_stopped()) (void)co_await wait_for(changed_, Instant::never());
  for (const auto& replica : replicas_) {
    replica->tasks().cancel();
    co_await replica->tasks().join();
  }
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
  net::Doorbell::ring(bell_to_gateway_.get());
  changed_.notify_all();
}

void Supervisor::note(plane::Event event) {
  if (event.at_ns == 0) event.at_ns = loop_.now().since_boot.count();
  table_->log.push(event);
  events_.collect();
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
  if (phase_ == Phase::kStopping) return;
  const auto verdict = fleet_.verdict(static_cast<int>(replicas_.size()));
  if (verdict.outcome != supervise::Outcome::kGaveUp) return;
  verdict_ = verdict;
  wish_down("nines, since it cannot be started");
}

int Supervisor::ready_count() const {
  return static_cast<int>(std::count_if(replicas_.begin(), replicas_.end(),
                                        [](const auto& r) { return r->machine().state() == State::kReady; }));
}

std::string Supervisor::check_in_words() const {
  const auto& path = service_.config.replicas.health.path;
  return path ? "GET " + *path : "a TCP connect";
}

Outcome Supervisor::outcome() const {
  if (verdict_.outcome != supervise::Outcome::kGaveUp) return {};
  const std::string command = service_.config.replicas.command.front();
  const std::string startup = format_duration(service_.config.replicas.health.startup);
  Outcome result{.exit_status = verdict_.exit_status, .message = "", .log_tail = {}, .log_file = {}};
  switch (verdict_.reason) {
    case supervise::Reason::kCannotExecute: result.message = last_error_; return result;
    case supervise::Reason::kCrashAtStart:
      result.message = "`" + command + "` ends right after it is started, again and again; gave up";
      break;
    case supervise::Reason::kPortInUse:
      result.message = "`" + command + "` does not listen on the port it is given ({port}); gave up";
      break;
    case supervise::Reason::kNone:
    case supervise::Reason::kNeverReady:
      result.message = "no replica was ready within " + startup + " (replicas.health.startup): `" + command + "` ";
      result.message += listened_ ? "listens, but " + check_in_words() + " does not succeed; gave up"
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
    if (replica->name() == name) return replica.get();
  }
  return nullptr;
}

std::vector<std::string> Supervisor::addresses() const {
  std::vector<std::string> urls;
  for (const config::Address& at : service_.config.listen) urls.push_back("http://" + at.text());
  return urls;
}

}  // namespace nines::app
