// The gateway as a process of `nines up`: the data path (gateway_lanes.h) under a supervisor.
//
// What it inherits and which signals it hears: process_contract.h. Arguments: its epoch, the number of listening
// sockets, the service's folder, the access log. How one gateway takes over from another:
// docs/internals/gateway.md.
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "app/gateway_lanes.h"
#include "app/gateway_settings.h"
#include "app/process_contract.h"
#include "app/service.h"
#include "app/snapshot.h"
#include "base/text.h"
#include "gateway/tenure.h"
#include "net/epoll_loop.h"
#include "plane/plane.h"

namespace nines::app {
namespace {

// The supervisor decides how long draining may take: it ends us when it has waited enough.
constexpr Duration kPatience = 1h;
// Making room for a successor: so long an idle connection stays for one more request. Clients that ask again and again
// do so within it; a pool that holds connections for longer has to expect them closed at any time.
constexpr Duration kLinger = 5s;
// A bell that was missed must not leave two gateways writing verdicts for longer.
constexpr Duration kLook = 250ms;

//   serving --SIGUSR1, or a higher epoch in the table--> making room: lingers, then drains
//      |                                                      | SIGTERM
//      +-------------------SIGTERM--------------------------> draining --the last connection is gone--> ended
class GatewayProcess {
 public:
  GatewayProcess(plane::Plane table, GatewayLanes::Options options)
      : table_(std::move(table)), lanes_(*table_, with_bell(std::move(options))) {}

  int run() {
    lanes_.run(serve());
    return 0;
  }

 private:
  static GatewayLanes::Options with_bell(GatewayLanes::Options options) {
    options.verdict_changed = [] { net::Doorbell::ring(kBellToSupervisor); };
    return options;
  }
  static std::uint32_t own_pid() { return static_cast<std::uint32_t>(::getpid()); }
  bool superseded() { return gateway::superseded(*table_, lanes_.settings().epoch); }

  Task<void> serve() {
    net::Signals signals(lanes_.loop(), {SIGTERM, SIGINT, SIGUSR1});
    TaskGroup background;
    background.start(hear());
    background.start(look());
    if (!superseded()) table_->header.gateway_serving = own_pid();
    net::Doorbell::ring(kBellToSupervisor);
    int told = 0;
    while (told != SIGTERM && told != SIGUSR1) {
      // SIGINT is for the supervisor alone, though a terminal sends it to all of us.
      told = (co_await signals.next()).value_or(SIGTERM);
    }
    // In this order: once the table says that we do not serve, a successor may begin, and then neither a verdict nor an
    // event nor an accepted connection may come from here.
    background.cancel();
    co_await background.join();
    co_await lanes_.stop_accepting();
    std::uint32_t serving = own_pid();
    table_->header.gateway_serving.compare_exchange_strong(serving, 0);
    net::Doorbell::ring(kBellToSupervisor);
    net::Doorbell::ring(kBellToGateway);  // we may have taken a ring that was the successor's

    TaskGroup hurry;
    hurry.start(hear_hurry(signals));
    http::Connections::Patience patience{.begun = kPatience};
    if (told == SIGUSR1) patience.idle = kLinger;
    co_await lanes_.drain(patience);
    hurry.cancel();
    co_await hurry.join();
  }

  // While we make room the service goes down: nobody is there any more for whom idle connections should be kept.
  Task<void> hear_hurry(net::Signals& signals) {
    while (const auto signal = co_await signals.next()) {
      if (*signal == SIGTERM) co_await lanes_.close_idle();
    }
  }

  // The supervisor has changed the table.
  Task<void> hear() {
    net::Doorbell bell(lanes_.loop(), Fd(::dup(kBellToGateway)));
    do {
      if (leave_if_superseded()) co_return;
      const std::uint64_t version = table_->header.routes_version;
      co_await lanes_.refresh();
      if (superseded()) continue;
      table_->header.routes_seen = version;
      net::Doorbell::ring(kBellToSupervisor);
    } while (co_await bell.rung());
  }

  Task<void> look() {
    while (co_await lanes_.loop().sleep(kLook)) leave_if_superseded();
  }

  // Another gateway was started and nobody told us: it writes the table now, finish what is here.
  bool leave_if_superseded() {
    if (!superseded()) return false;
    ::kill(::getpid(), SIGUSR1);
    return true;
  }

  plane::Plane table_;
  GatewayLanes lanes_;
};

int give_up(const std::string& why) {
  std::fprintf(stderr, "nines gateway: %s\n", why.c_str());
  return 1;
}

}  // namespace

int gateway_main(const std::vector<std::string>& arguments) {
  // At once, so that none is lost; and before any thread exists, so that only the main loop hears them.
  sigset_t blocked;
  sigemptyset(&blocked);
  for (const int number : {SIGTERM, SIGINT, SIGUSR1}) sigaddset(&blocked, number);
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  // Clients, replicas, the terminal and the supervisor may all be gone: no write and no hang-up ends us.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGHUP, SIG_IGN);
  const bool ours = arguments.size() == 4;
  const auto epoch = ours ? parse_unsigned(arguments[0]) : std::nullopt;
  const auto listeners = ours ? parse_unsigned(arguments[1]) : std::nullopt;
  if (!epoch || !listeners) return give_up("this is a part of `nines up`, not a command of its own");
  auto table = plane::Plane::attach(Fd(kPlane));
  if (!table) return give_up(table.error().text());
  const auto config = config_of_snapshot(kSnapshot);
  if (!config) return give_up(config.error().text());

  gateway::clear_gauges(**table, *epoch);
  GatewayLanes::Options options = lanes_of(*config, {.folder = arguments[2], .access_log = arguments[3]});
  options.settings.epoch = *epoch;
  options.settings.probe_key = plane::probe_key(**table);
  for (std::size_t i = 0; i < *listeners; ++i) options.listeners.push_back(kFirstListener + static_cast<int>(i));
  return GatewayProcess(std::move(*table), std::move(options)).run();
}

}  // namespace nines::app
