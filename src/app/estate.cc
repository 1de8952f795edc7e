#include "app/estate.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "app/listeners.h"
#include "app/process_contract.h"
#include "app/state_file.h"
#include "app/tagged.h"
#include "base/text.h"
#include "net/epoll_loop.h"
#include "plane/plane.h"
#include "supervise/process.h"

namespace nines::app {
namespace {

// The replicas, with all they have started, if they are still what the configuration asks for: the supervisor goes on
// with them.
Spare worth_keeping(const Service& service) {
  const auto saved = load_state(service.paths.state_file());
  const std::string fingerprint = fingerprint_of(service.paths.folder, service.config.replicas);
  if (!saved || !saved->is_of_this_boot() || saved->fingerprint != fingerprint) return {};
  return [names = slot_names(service.config)](const supervise::Found& found) {
    return std::ranges::find(names, found.part) != names.end();
  };
}

constexpr const char* kNothing = "/dev/null";

// Every descriptor at its number, open for who is executed next.
Result<> put_in_place(const Estate& estate) {
  struct Place {
    int fd, number;
  };
  std::vector<Place> places = {{estate.plane.get(), kPlane},
                               {estate.bell_to_gateway.get(), kBellToGateway},
                               {estate.bell_to_supervisor.get(), kBellToSupervisor},
                               {estate.snapshot.get(), kSnapshot},
                               {estate.bell_to_keeper.get(), kBellToKeeper},
                               {estate.lock.get(), kLock},
                               {estate.verdict.get(), kVerdict},
                               {-1, kOldPlane},
                               {estate.handover.get(), kSuccession}};
  for (std::size_t i = 0; i < estate.listeners.size(); ++i)
    places.push_back({estate.listeners[i].get(), kFirstListener + static_cast<int>(i)});
  // First above them all, so that none overwrites another.
  const int above = kFirstListener + static_cast<int>(estate.listeners.size());
  Fd nothing(::open(kNothing, O_RDWR | O_CLOEXEC));
  for (Place& place : places) {
    place.fd = ::fcntl(place.fd >= 0 ? place.fd : nothing.get(), F_DUPFD_CLOEXEC, above);
    if (place.fd < 0) return failure(os_error(errno, "hand descriptors to the anchor"));
  }
  nothing.reset();  // its number may be one of ours
  for (const Place& place : places) {
    if (::dup2(place.fd, place.number) < 0) return failure(os_error(errno, "hand descriptors to the anchor"));
  }
  return {};
}

}  // namespace

Result<Fd> snapshot_of(const config::Config& config) {
  const std::string text = config::to_yaml(config);
  Fd fd(::memfd_create("nines-config", MFD_CLOEXEC));
  if (!fd || ::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return failure(os_error(errno, "write the configuration's snapshot"));
  return fd;
}

Result<Estate> found_estate(const Service& service, StateLock lock,
                            const std::function<void(const std::string&)>& warn) {
  {
    net::EpollLoop loop;
    // The gateway holds the listening sockets; it may take as long as its requests do.
    const auto ended =
        loop.run(end_leftovers(loop, service.paths, worth_keeping(service), service.config.replicas.stop.drain + 2s));
    if (ended > 0) {
      warn("ended " + std::to_string(ended) + (ended == 1 ? " process" : " processes") +
           " that an earlier run of this service left behind");
    }
  }
  Estate estate;
  auto listeners = open_listeners(service.config);
  if (!listeners) return failure(std::move(listeners.error()));
  estate.listeners = std::move(*listeners);
  auto table = plane::Plane::create();
  if (!table) return failure(std::move(table.error()));
  estate.plane = Fd(::fcntl(table->fd(), F_DUPFD_CLOEXEC, 3));
  auto snapshot = snapshot_of(service.config);
  if (!snapshot) return failure(std::move(snapshot.error()));
  estate.snapshot = std::move(*snapshot);
  estate.bell_to_gateway = net::Doorbell::make();
  estate.bell_to_supervisor = net::Doorbell::make();
  estate.bell_to_keeper = net::Doorbell::make();
  estate.lock = std::move(lock).release();
  if (!estate.plane || !estate.bell_to_gateway || !estate.bell_to_supervisor || !estate.bell_to_keeper)
    return failure(os_error(errno, "make the descriptors of the service"));
  return estate;
}

Error become_anchor(Estate estate, const Paths& paths) {
  if (auto placed = put_in_place(estate); !placed) return placed.error();
  std::vector<std::string> words = {
      "nines", "internal-anchor", tag(paths, "supervisor", 1), paths.config_file, paths.folder, paths.state, paths.run};
  std::vector<std::string> variables = std::move(estate.environment);
  if (variables.empty()) {
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) variables.emplace_back(*entry);
  }
  // That of a supervisor, when the environment is one's; of another service, when nines runs under nines.
  std::erase_if(variables, [](const std::string& variable) { return variable.starts_with("NINES_TAG="); });
  // systemd means whom it started: us, not the anchor before.
  for (const std::string_view name : supervise::kOwnVariables) {
    std::erase_if(variables,
                  [&](const std::string& variable) { return variable.starts_with(std::string(name) + "="); });
    if (const char* const value = std::getenv(std::string(name).c_str()))
      variables.push_back(std::string(name) + "=" + value);
  }
  variables.push_back("NINES_TAG=" + tag(paths, std::string(kAnchorPart), 1));
  std::vector<char*> argv, envp;
  for (std::string& word : words) argv.push_back(word.data());
  for (std::string& variable : variables) envp.push_back(variable.data());
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  sign_lock(kLock);  // for whoever asks who runs it
  std::fflush(nullptr);
  ::execve("/proc/self/exe", argv.data(), envp.data());
  return os_error(errno, "execute this program again");
}

std::vector<int> in_order(const Estate& estate) {
  std::vector<int> descriptors = {estate.plane.get(),    estate.bell_to_gateway.get(), estate.bell_to_supervisor.get(),
                                  estate.snapshot.get(), estate.bell_to_keeper.get(),  estate.lock.get()};
  for (const Fd& listener : estate.listeners) descriptors.push_back(listener.get());
  return descriptors;
}

Result<Estate> from_order(std::vector<Fd> descriptors) {
  constexpr std::size_t kFixed = 6;
  if (descriptors.size() <= kFixed) return failure(Code::kProtocol, "too few descriptors were handed over");
  Estate estate;
  Fd* const fixed[kFixed] = {&estate.plane,    &estate.bell_to_gateway, &estate.bell_to_supervisor,
                             &estate.snapshot, &estate.bell_to_keeper,  &estate.lock};
  for (std::size_t i = 0; i < kFixed; ++i) *fixed[i] = std::move(descriptors[i]);
  for (std::size_t i = kFixed; i < descriptors.size(); ++i) estate.listeners.push_back(std::move(descriptors[i]));
  return estate;
}

Result<Paths> read_anchor_arguments(const std::vector<std::string>& arguments) {
  // An anchor that was upgraded from an older program hands on one more.
  if (arguments.size() < 5) return failure(Code::kInvalid, "this is a part of `nines up`, not a command of its own");
  return Paths{.config_file = arguments[1], .folder = arguments[2], .state = arguments[3], .run = arguments[4]};
}

}  // namespace nines::app
