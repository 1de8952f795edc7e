#include "app/service.h"

#include <sys/stat.h>

#include <csignal>

#include "app/control.h"
#include "app/strays.h"
#include "app/supervisor.h"

namespace nines::app {
namespace {

Result<std::vector<Fd>> open_listeners(const config::Config& config) {
  std::vector<Fd> listeners;
  for (const config::Address& at : config.listen) {
    const auto address = net::Address::parse(at.text());
    if (!address) return failure(address.error());
    auto listener = net::open_listener(*address);
    if (!listener && listener.error().code() == Code::kExists) {
      return failure(Code::kExists,
                     at.text() + " is in use by another program; stop it, or choose another address (`listen:`)");
    }
    if (!listener) return failure(std::move(listener.error()));
    listeners.push_back(std::move(*listener));
  }
  return listeners;
}

Outcome failed(const Error& error) {
  return {.exit_status = 1, .message = error.text(), .log_tail = {}, .log_file = {}};
}

Task<Outcome> run_with_control(Supervisor& supervisor, std::unique_ptr<net::Listener> socket) {
  http::Server control(supervisor.loop(), control_handler(supervisor),
                       {.body_bytes = 64 * 1024, .connections = 64, .keep_alive = 5s});
  control.serve(std::move(socket));
  Outcome outcome = co_await supervisor.run();
  co_await control.drain(1s);
  co_return outcome;
}

Outcome serve(const Service& service, const Listener& listener) {
  auto listeners = open_listeners(service.config);
  if (!listeners) return failed(listeners.error());
  auto table = plane::Plane::create();
  if (!table) return failed(table.error());
  const auto address = net::Address::unix_path(service.paths.control_socket());
  if (!address) return failed(address.error());
  Supervisor supervisor(service, listener, std::move(*table), std::move(*listeners));
  auto socket = supervisor.loop().listen(*address);
  if (!socket) return failed(socket.error());
  ::chmod(service.paths.control_socket().c_str(), 0600);
  return supervisor.loop().run(run_with_control(supervisor, std::move(*socket)));
}

// Before anything is opened: what an earlier run left behind may hold the listening sockets.
void end_leftovers(const Service& service, const Listener& listener) {
  net::EpollLoop loop;
  const std::size_t ended = loop.run(end_strays(loop, service.paths));
  if (ended == 0) return;
  listener.warning("ended " + std::to_string(ended) + (ended == 1 ? " process" : " processes") +
                   " that an earlier run of this service left behind");
}

}  // namespace

Outcome run_service(const Service& service, const Listener& listener) {
  INVARIANT(service.config.service);
  std::signal(SIGPIPE, SIG_IGN);
  // Before any thread or child exists, so that none is lost while the supervisor is being set up.
  sigset_t blocked;
  sigemptyset(&blocked);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&blocked, number);
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  end_leftovers(service, listener);
  Outcome outcome = serve(service, listener);
  remove_run_folder(service.paths);
  return outcome;
}

}  // namespace nines::app
