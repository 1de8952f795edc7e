#include "app/service.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <csignal>

#include "app/control.h"
#include "app/process_contract.h"
#include "app/supervisor.h"

namespace nines::app {
namespace {

Outcome failed(const Error& error) { return {.exit_status = 1, .message = error.text()}; }

Task<Outcome> run_with_control(Supervisor& supervisor, std::unique_ptr<net::Listener> socket) {
  http::Server control(supervisor.loop(), control_handler(supervisor),
                       {.body_bytes = 64 * 1024, .connections = 64, .keep_alive = 5s});
  control.serve(std::move(socket));
  Outcome outcome = co_await supervisor.run();
  co_await control.drain(1s);
  co_return outcome;
}

Outcome supervise(const Service& service, plane::Plane table, std::size_t listeners, const Listener& listener) {
  const auto address = net::Address::unix_path(service.paths.control_socket());
  if (!address) return failed(address.error());
  if (auto made = make_folders(service.paths); !made) return failed(made.error());
  Supervisor supervisor(service, listener, std::move(table), listeners);
  auto socket = supervisor.loop().listen(*address);
  if (!socket) return failed(socket.error());
  ::chmod(service.paths.control_socket().c_str(), 0600);
  return supervisor.loop().run(run_with_control(supervisor, std::move(*socket)));
}

}  // namespace

std::vector<std::string> replica_names(const config::Config& config) {
  std::vector<std::string> names;
  for (int i = 1; i <= config.replicas.count; ++i) names.push_back(*config.service + "-" + std::to_string(i));
  return names;
}

Outcome run_supervisor(const Service& service, std::size_t listeners, const Listener& listener) {
  INVARIANT(service.config.service);
  std::signal(SIGPIPE, SIG_IGN);
  ::prctl(PR_SET_NAME, "nines-super");
  auto table = plane::Plane::attach(Fd(::fcntl(kPlane, F_DUPFD_CLOEXEC, kFirstListener)));
  if (!table) return failed(table.error());
  plane::Plane memory = std::move(*table);
  // Ours to read until the very end, when the supervisor is gone already.
  auto header = plane::Plane::attach(Fd(::fcntl(kPlane, F_DUPFD_CLOEXEC, kFirstListener)));
  if (!header) return failed(header.error());
  Outcome outcome = supervise(service, std::move(memory), listeners, listener);
  if (outcome.goes_on) return outcome;
  remove_run_folder(service.paths);
  (*header)->header.exit_status = static_cast<std::uint32_t>(outcome.exit_status);
  (*header)->header.leave = plane::Header::Leave::kEnded;
  return outcome;
}

}  // namespace nines::app
