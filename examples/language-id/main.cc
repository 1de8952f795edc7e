// language-id: an AI server to keep up. It has what a real one has: a model that is loaded and checked, a start that
// takes time, requests that take time, and a database. See README.md.
#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "api.h"
#include "background.h"
#include "history.h"
#include "http/server.h"
#include "model.h"
#include "net/epoll_loop.h"
#include "options.h"

namespace nines::language_id {
namespace {

constexpr Duration kDrainPatience = 30s;

// From any thread.
void log(const std::string& message) {
  const std::string line =
      fmt::format("{} language-id[{}] {}\n", format_rfc3339(net::wall_time()), ::getpid(), message);
  std::fputs(line.c_str(), stderr);
}

// The parts of the running server, in the order in which they depend on each other.
struct Service {
  Service(net::EpollLoop& l, net::Signals& s, const Options& o)
      : loop(l),
        signals(s),
        options(o),
        history({.path = o.database, .log = log}),
        background(l),
        api(l, background, history, {.startup_delay = o.startup_delay, .delay = o.delay}),
        server(l, [this](http::Request& request) { return api.answer(request); }) {}

  net::EpollLoop& loop;
  net::Signals& signals;
  const Options& options;
  History history;
  Background background;
  Api api;
  http::Server server;
  CancelScope serving;
  int status = 0;

  Task<int> run();
  Task<void> load_model();
  Task<void> end_at_second_signal();
};

// Without a model there is nothing to serve: that ends the program.
Task<void> Service::load_model() {
  auto model = co_await background.run([path = options.model] { return Model::load(path); });
  if (model) {
    api.use(std::move(*model));
  } else if (model.error().code() != Code::kCancelled) {
    log(model.error().text());
    status = 1;
    serving.cancel();
  }
}

Task<void> Service::end_at_second_signal() {
  if (const auto signal = co_await signals.next()) std::_Exit(128 + *signal);
}

Task<int> Service::run() {
  TaskGroup tasks;
  tasks.start(load_model());
  const auto signal = co_await signals.next().under(serving);
  if (signal) {
    tasks.start(end_at_second_signal());
    co_await server.drain(kDrainPatience);
  } else {
    co_await server.drain(0s);
  }
  // Not in the destructor: there it would block the loop, and a second signal with it.
  auto closed = co_await background.run([&h = history]() -> Result<> {
    h.close();
    return {};
  });
  tasks.cancel();
  co_await tasks.join();
  const auto counts = history.counts();
  log(fmt::format("stopped; history: {} rows written, {} dropped", counts.written, counts.dropped));
  co_return closed ? status : 1;
}

Result<std::unique_ptr<net::Listener>> listen(net::EpollLoop& loop, const Options& options) {
  if (!options.socket.empty()) {
    const auto path = net::Address::unix_path(options.socket);
    auto listener = path ? loop.listen(*path) : failure(path.error());
    if (!listener) return failure(std::move(listener.error()).in("--socket " + options.socket));
    return listener;
  }
  const bool v6 = options.host.find(':') != std::string::npos;
  auto address =
      net::Address::parse(fmt::format("{}{}{}:{}", v6 ? "[" : "", options.host, v6 ? "]" : "", options.port));
  if (!address) return failure(std::move(address.error()).in("--host " + options.host));
  auto listener = loop.listen(*address);
  if (!listener && listener.error().code() == Code::kExists) {
    return failure(Error(Code::kExists,
                         "the port is in use: stop who has it (`ss -ltnp`), or choose another with --port",
                         std::move(listener.error())));
  }
  return listener;
}

int run(const Options& options) {
  // A log nobody reads any more is no reason to end.
  std::signal(SIGPIPE, SIG_IGN);
  net::EpollLoop loop;
  net::Signals signals(loop, {SIGTERM, SIGINT});
  auto listener = listen(loop, options);
  if (!listener) {
    log(listener.error().text());
    return 1;
  }
  Service service(loop, signals, options);
  log(fmt::format("listening on {}, model {}, database {}", (*listener)->address().text(), options.model,
                  options.database));
  service.server.serve(std::move(*listener));
  return loop.run(service.run());
}

}  // namespace
}  // namespace nines::language_id

int main(int argc, char** argv) {
  const auto options = nines::language_id::parse_options(argc, argv);
  if (const int* status = std::get_if<int>(&options)) return *status;
  return nines::language_id::run(std::get<nines::language_id::Options>(options));
}
