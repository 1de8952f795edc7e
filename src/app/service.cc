#include "app/service.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>

#include "app/control.h"
#include "app/process_contract.h"
#include "app/supervisor.h"

namespace nines::app {
namespace {

Outcome failed(const Error& error) { return {.exit_status = 1, .message = error.text()}; }

Result<std::unique_ptr<net::Listener>> open_control_socket(Supervisor& supervisor) {
  const std::string path = supervisor.service().paths.control_socket();
  const auto address = net::Address::unix_path(path);
  if (!address) return failure(address.error());
  auto socket = supervisor.loop().listen(*address);
  if (socket) ::chmod(path.c_str(), 0600);
  return socket;
}

// A logout removes /run/user/UID, with the run folder of a service that goes on: then it is made anew, as soon as that
// can be done.
Task<void> keep_socket(Supervisor& supervisor, http::Server& control, bool serving) {
  const Paths& paths = supervisor.service().paths;
  while (co_await supervisor.loop().sleep(1s)) {
    if (!serving || ::access(paths.control_socket().c_str(), F_OK) != 0) {
      if (!make_folders(paths)) continue;
      auto socket = open_control_socket(supervisor);
      if (!socket) continue;
      control.serve(std::move(*socket));
      serving = true;
      supervisor.run_folder_is_new();
    }
    supervisor.replace_lost_sockets();
  }
}

Task<Outcome> run_with_control(Supervisor& supervisor, std::unique_ptr<net::Listener> socket) {
  http::Server control(supervisor.loop(), control_handler(supervisor),
                       {.body_bytes = 2 * config::bounds::kFileBytes, .connections = 64, .keep_alive = 5s});
  TaskGroup watching;
  watching.start(supervisor.beat());
  co_await supervisor.inherit();  // before anybody can wish something
  watching.start(keep_socket(supervisor, control, socket != nullptr));
  if (socket) control.serve(std::move(socket));
  Outcome outcome = co_await supervisor.run();
  watching.cancel();
  co_await watching.join();
  co_await control.drain(1s);
  co_return outcome;
}

Outcome supervise(const Service& service, plane::Plane table, const Listener& listener) {
  // A service that was up goes on without a control socket, until there can be one again.
  const bool was_up = table->header.announced != 0;
  const auto made = make_folders(service.paths);
  if (!made && !was_up) return failed(made.error());
  Supervisor supervisor(service, listener, std::move(table));
  auto socket = made ? open_control_socket(supervisor) : failure(made.error());
  if (!socket && !was_up) return failed(socket.error());
  if (!socket) listener.warning("nobody can reach the supervisor: " + socket.error().text() + "; trying again");
  return supervisor.loop().run(
      run_with_control(supervisor, socket ? std::move(*socket) : std::unique_ptr<net::Listener>()));
}

}  // namespace

std::vector<std::string> replica_names(const config::Config& config) {
  std::vector<std::string> names;
  for (int i = 1; i <= config.replicas.count; ++i) names.push_back(*config.service + "-" + std::to_string(i));
  return names;
}

std::vector<std::string> slot_names(const config::Config& config) {
  std::vector<std::string> names = replica_names(config);
  const int spares = config.replicas.endpoints.empty() ? config.replicas.deploy.surge : 0;
  for (int i = 1; i <= spares; ++i) names.push_back(*config.service + "-spare-" + std::to_string(i));
  return names;
}
static_assert(config::bounds::kCount.max + config::bounds::kSurge.max <= plane::kReplicasMax);

Outcome run_supervisor(const Service& service, const Listener& listener) {
  INVARIANT(service.config.service);
  std::signal(SIGPIPE, SIG_IGN);
  ::prctl(PR_SET_NAME, "nines-super");
  auto table = plane::Plane::attach(Fd(::fcntl(kPlane, F_DUPFD_CLOEXEC, kFirstListener)));
  if (!table) return failed(table.error());
  plane::Plane memory = std::move(*table);
  // Ours to read until the very end, when the supervisor is gone already.
  auto header = plane::Plane::attach(Fd(::fcntl(kPlane, F_DUPFD_CLOEXEC, kFirstListener)));
  if (!header) return failed(header.error());
  Outcome outcome = supervise(service, std::move(memory), listener);
  if (outcome.goes_on) return outcome;
  remove_run_folder(service.paths);
  (*header)->header.exit_status = static_cast<std::uint32_t>(outcome.exit_status);
  (*header)->header.leave = plane::Header::Leave::kEnded;
  return outcome;
}

}  // namespace nines::app
