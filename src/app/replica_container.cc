#include "app/replica_container.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <utility>

#include "config/values.h"
#include "net/timeout.h"
#include "supervise/container_port.h"
#include "supervise/log_file.h"
#include "supervise/procfs.h"

namespace nines::app {
namespace {

constexpr Duration kAccountWait = 30s;  // for the engine to say how a container ended
constexpr Duration kRestOfLog = 2s;     // its last lines, after that
constexpr Duration kNotice = 5s;        // for the engine to see that a process has ended
constexpr Duration kBetweenTries = 200ms;
constexpr Duration kPause = 10ms;
constexpr Duration kBetweenLooks = 200ms;  // into the container's network: see container_port.h

std::string with_port(std::string text, std::uint16_t port) {
  constexpr std::string_view kMark = "{port}";
  const std::string number = std::to_string(port);
  for (std::size_t at = 0; (at = text.find(kMark, at)) != std::string::npos; at += number.size())
    text.replace(at, kMark.size(), number);
  return text;
}

std::string absolute(const std::string& volume, const std::string& folder) {
  return volume.starts_with('.') ? folder + "/" + volume : volume;
}

}  // namespace

ReplicaContainer::ReplicaContainer(Containers& containers, TaskGroup& tasks, Options options)
    : containers_(containers), tasks_(tasks), options_(std::move(options)) {}

supervise::ContainerSpec ReplicaContainer::spec(std::uint64_t incarnation, std::uint16_t port,
                                                Environment environment) const {
  const config::Container& wanted = container_;
  const bool host = wanted.network == config::Container::Network::kHost;
  const std::uint16_t inside = host ? port : wanted.port;
  supervise::ContainerSpec spec{.name = "nines-" + options_.config.service.value_or("service") + "-" + options_.name +
                                        "-" + std::to_string(incarnation),
                                .image = wanted.image,
                                .tag = containers_.tag_of(options_.name, incarnation, port),
                                .host_network = host,
                                .image_port = inside,
                                .host_port = port,
                                .memory = wanted.memory,
                                .cpu_percent = wanted.cpu_percent};
  for (const std::string& word : wanted.command) spec.command.push_back(with_port(word, inside));
  for (auto& [name, value] : environment) spec.environment.emplace_back(name, with_port(std::move(value), inside));
  for (const std::string& volume : wanted.volumes) spec.binds.push_back(absolute(volume, options_.paths.folder));
  return spec;
}

// Of a supervisor that was killed, or of a time when the engine did not answer: two incarnations never run at once.
Task<Result<>> ReplicaContainer::remove_leftovers(supervise::ContainerEngine& engine) {
  const auto left = co_await containers_.list(options_.name);
  if (!left) co_return failure(left.error());
  for (const Containers::Item& item : *left) {
    if (auto removed = co_await engine.remove(item.id); !removed && item.running) co_return removed;
  }
  co_return Result<>{};
}

Task<Result<std::string>> ReplicaContainer::create(supervise::ContainerEngine& engine, supervise::ContainerSpec& spec) {
  auto id = co_await engine.create(spec);
  if (id || id.error().code() != Code::kExists) co_return id;
  // A service of the same name in another folder counts its incarnations, too.
  const std::string tag = spec.tag.substr(0, spec.tag.find('/'));
  spec.name += tag.substr(std::min(tag.size(), tag.rfind('-')));
  co_return co_await engine.create(spec);
}

Task<Result<std::optional<supervise::Process>>> ReplicaContainer::start(std::optional<config::Container> container,
                                                                        std::uint64_t incarnation, std::uint16_t port,
                                                                        Environment environment, int log) {
  if (!container)
    co_return failure(Code::kInvalid,
                      "replicas run in containers or as processes: `nines down`, then `nines up`, changes that");
  container_ = *std::move(container);
  out_of_memory_ = false;
  id_.clear();
  remark_.clear();
  warning_.clear();
  warned_ = false;
  incarnation_ = incarnation;
  const auto engine = containers_.engine();
  if (!engine) co_return failure(engine.error());
  if (auto clean = co_await remove_leftovers(**engine); !clean) co_return failure(std::move(clean.error()));
  supervise::ContainerSpec wanted = spec(incarnation, port, std::move(environment));
  auto id = co_await create(**engine, wanted);
  if (!id) co_return failure(std::move(id.error()));
  auto begun = co_await begin(**engine, *id, std::move(wanted));
  if (!begun) {
    (void)co_await (*engine)->remove(*id);
    co_return begun;
  }
  id_ = *id;
  tasks_.start(follow(*id, log));
  co_return begun;
}

Task<Result<std::optional<supervise::Process>>> ReplicaContainer::begin(supervise::ContainerEngine& engine,
                                                                        std::string id, supervise::ContainerSpec spec) {
  if (auto started = co_await engine.start(id, spec); !started) co_return failure(std::move(started.error()));
  auto state = co_await engine.inspect(id);
  if (!state) co_return failure(std::move(state.error()));
  stop_signal_ = state->stop_signal;
  if (!state->running) co_return std::optional<supervise::Process>();
  if (!spec.host_network && std::ranges::find(state->published, spec.host_port) == state->published.end()) {
    co_return failure(Code::kInvalid, "the container engine does not publish port " + std::to_string(spec.image_port) +
                                          " of " + spec.image +
                                          ": has it a bridge network? Else write network: host below container:");
  }
  const auto stat = supervise::read_process_stat(state->pid);
  auto process = stat ? supervise::Process::adopt(state->pid, stat->start_time)
                      : Result<supervise::Process>(failure(Code::kNotFound, ""));
  if (process) co_return std::move(*process);
  state = co_await state_after_end(engine, id, kNotice);
  if (state && !state->running) co_return std::optional<supervise::Process>();
  co_return failure(Code::kInvalid,
                    "the container runs, but its process cannot be seen from here: nines has to run on the machine of "
                    "its container engine, and outside of containers");
}

void ReplicaContainer::adopt(std::optional<config::Container> container, std::uint64_t incarnation, int log) {
  container_ = std::move(container).value_or(config::Container{});
  id_.clear();
  incarnation_ = incarnation;
  tasks_.start(find_and_follow(incarnation, log));
}

Task<void> ReplicaContainer::find_and_follow(std::uint64_t incarnation, int log) {
  while (incarnation == incarnation_ && id_.empty()) {
    auto id = co_await containers_.find(options_.name, incarnation);
    if (id && id->empty()) co_return;  // removed
    if (id && incarnation == incarnation_) id_ = std::move(*id);
    if (id_.empty() && !co_await containers_.loop().sleep(kBetweenTries)) co_return;
  }
  if (incarnation != incarnation_) co_return;
  if (const auto engine = containers_.engine()) {
    if (const auto state = co_await (*engine)->inspect(id_)) stop_signal_ = state->stop_signal;
  }
  co_await follow(id_, log);
}

void ReplicaContainer::signal(int number, const supervise::Process& process) {
  tasks_.start(send(number, process.pid(), process.start_time()));
}

Task<void> ReplicaContainer::send(int number, pid_t pid, std::uint64_t start_time) {
  const std::uint64_t incarnation = incarnation_;
  const auto engine = containers_.engine();
  if (!engine) co_return;
  std::string id = id_;
  if (id.empty()) id = (co_await containers_.find(options_.name, incarnation)).value_or("");
  if (id.empty() || incarnation != incarnation_) co_return;
  const std::string name = number != SIGTERM ? std::to_string(number) : stop_signal_.empty() ? "SIGTERM" : stop_signal_;
  const auto sent = co_await (*engine)->kill(id, name);
  if (sent || sent.error().code() == Code::kNotFound || number != SIGKILL) co_return;
  if (auto process = supervise::Process::adopt(pid, start_time)) (void)process->signal(SIGKILL);
}

Result<std::optional<supervise::Listening>> ReplicaContainer::find_listener(pid_t pid, std::uint16_t port) {
  if (shares_ports()) {
    auto found = supervise::find_listener(pid, port);
    // Not root, we may not see whose sockets they are. The port was free before the container was started, and it runs.
    if (found || found.error().code() != Code::kRefused) return found;
  }
  const Instant now = containers_.loop().now();
  if (now < look_again_) return std::nullopt;
  look_again_ = now + kBetweenLooks;
  const auto inside = supervise::look_inside(pid, shares_ports() ? port : container_.port);
  if (!inside) return failure(inside.error());
  const bool loopback = *inside == supervise::InsidePort::kLoopbackOnly;
  if (*inside == supervise::InsidePort::kClosed) return std::nullopt;
  if (shares_ports()) return supervise::Listening{.owner_pid = pid, .loopback_only = loopback};
  if (loopback) {
    if (!std::exchange(warned_, true))
      warning_ = options_.name +
                 " listens on the loopback address of its container, where no port leads; let it listen on 0.0.0.0";
    return std::nullopt;
  }
  // Who listens on the host is the engine, at the address and port it was told.
  return supervise::Listening{.owner_pid = pid};
}

Task<supervise::Exit> ReplicaContainer::exit_of(std::optional<config::Container> container, std::uint64_t incarnation) {
  container_ = std::move(container).value_or(config::Container{});
  incarnation_ = incarnation;
  remark_.clear();
  const auto id = co_await containers_.find(options_.name, incarnation);
  id_ = id.value_or("");
  co_return co_await exit();
}

// Its process has ended, or so it seems: what the engine says once it has noticed, or when `patience` is over.
Task<Result<supervise::ContainerState>> ReplicaContainer::state_after_end(supervise::ContainerEngine& engine,
                                                                          std::string id, Duration patience) {
  net::EpollLoop& loop = containers_.loop();
  const Instant until = loop.now() + patience;
  while (true) {
    auto state = co_await engine.inspect(id);
    const bool gone = !state && state.error().code() == Code::kNotFound;
    if ((state && !state->running) || gone || loop.now() >= until) co_return state;
    // Podman may know the end from looking, and yet not tell who waits.
    const auto ended = co_await net::within(loop, kBetweenTries, engine.wait(id));
    if (ended) continue;
    if (auto slept = co_await loop.sleep(kPause); !slept) co_return failure(std::move(slept.error()));
  }
}

Task<supervise::Exit> ReplicaContainer::exit() {
  const auto engine = containers_.engine();
  if (id_.empty()) id_ = (co_await containers_.find(options_.name, incarnation_)).value_or("");
  remark_ = "; the container engine does not know how";
  out_of_memory_ = false;
  if (!engine || id_.empty()) co_return supervise::Exit{};
  const auto state = co_await state_after_end(**engine, id_, kAccountWait);
  if (!state || state->running) co_return supervise::Exit{};
  co_await await_log();
  remark_ = state->error.empty() ? "" : "; " + state->error;
  out_of_memory_ = state->oom;
  if (state->oom) {
    remark_ = "; oom: out of memory";
    if (container_.memory > 0)
      remark_ += ", its limit is " + config::write_size(container_.memory) + " (replicas.container.memory)";
  }
  co_return state->exit();
}

void ReplicaContainer::forget() {
  if (!id_.empty()) tasks_.start(remove(std::exchange(id_, {})));
}

Task<void> ReplicaContainer::remove(std::string id) {
  if (const auto engine = containers_.engine()) (void)co_await (*engine)->remove(std::move(id));
}

// --- its log ---

std::string ReplicaContainer::position_file() const {
  return options_.paths.run + "/" + options_.name + ".log.position";
}

std::int64_t ReplicaContainer::position_of(const std::string& id) const {
  std::ifstream file(position_file());
  std::string of;
  std::int64_t last = 0;
  return (file >> of >> last) && of == id && last >= 0 && last < INT64_MAX ? last + 1 : 0;
}

// In one write, so that whoever is killed leaves the old or the new.
void ReplicaContainer::note_position(const std::string& id, std::int64_t last) const {
  std::string number = std::to_string(last);
  constexpr std::size_t kDigits = 20;
  number.insert(0, kDigits - std::min(kDigits, number.size()), '0');
  const std::string line = id + " " + number + "\n";
  const Fd file(::open(position_file().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (!file || ::pwrite(file.get(), line.data(), line.size(), 0) < 0) return;  // costs repeated lines, if anything
}

Task<void> ReplicaContainer::follow(std::string id, int log) {
  // Another end of the pipe: the supervisor must not block where a process would.
  const auto pipe = supervise::reopen_log_fifo(log);
  const auto engine = containers_.engine();
  if (!pipe || !engine) co_return;
  ++following_;
  do {
    const auto followed = co_await (*engine)->follow(
        id, position_of(id),
        [this, &pipe, &id](std::string_view text, std::int64_t last) { return write_out(*pipe, id, text, last); });
    if (followed || followed.error().code() == Code::kNotFound) break;
    // Broken off: the engine is being started again. Goes on where it was, as long as the container is ours.
  } while (id == id_ && co_await containers_.loop().sleep(kBetweenTries));
  --following_;
}

Task<Result<>> ReplicaContainer::write_out(const Fd& pipe, const std::string& id, std::string_view text,
                                           std::int64_t last) {
  while (!text.empty()) {
    const ssize_t written = ::write(pipe.get(), text.data(), text.size());
    if (written > 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (written < 0 && errno != EAGAIN && errno != EINTR) {
      co_return failure(os_error(errno, "write to the log pipe"));
    } else if (auto slept = co_await containers_.loop().sleep(5ms); !slept) {
      co_return slept;
    }
  }
  if (last > 0) note_position(id, last);
  co_return Result<>{};
}

Task<void> ReplicaContainer::await_log() {
  net::EpollLoop& loop = containers_.loop();
  const Instant until = loop.now() + kRestOfLog;
  while (following_ > 0 && loop.now() < until && co_await loop.sleep(5ms)) {
  }
}

}  // namespace nines::app
