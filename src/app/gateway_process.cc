// The gateway as a process: one event loop per thread over the same listening sockets, the health checker on the first.
//
// What it inherits and which signals it hears: process_contract.h. Arguments: its epoch, the number of listening
// sockets. How one gateway takes over from another: docs/internals/gateway.md.
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <memory>
#include <thread>

#include "app/process_contract.h"
#include "app/service.h"
#include "base/text.h"
#include "gateway/health_checker.h"
#include "gateway/tenure.h"
#include "gateway/worker.h"
#include "net/condition.h"
#include "net/epoll_loop.h"
#include "plane/plane.h"

namespace nines::app {
namespace {

gateway::Settings settings_of(const config::Config& config) {
  gateway::Settings settings;
  std::vector<gateway::RouteRule> rules;
  for (const config::Route& route : config.routes) {
    rules.push_back({.path = route.path, .replay_safe = route.replay == config::Replay::kSafe});
  }
  settings.routes = gateway::RouteTable(std::move(rules));
  const config::Health& health = config.replicas.health;
  settings.health_path = health.path;
  settings.health_timeout = health.timeout;
  settings.health.interval = health.interval;
  settings.health.down = std::min(settings.health.down, health.interval);
  settings.health.transition = std::min(settings.health.transition, health.interval);
  settings.health.rise = health.rise;
  settings.health.fall = health.fall;
  return settings;
}

// A proxied request needs two descriptors. Takes what the hard limit allows, and keeps the connections below it.
void fit_descriptors(gateway::Settings& settings, std::size_t threads) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  constexpr rlim_t kOwn = 256;
  const rlim_t usable = limit.rlim_cur > 2 * kOwn ? limit.rlim_cur - kOwn : limit.rlim_cur / 2;
  settings.connections = std::min<std::size_t>(settings.connections, usable / 2 / threads);
}

// The supervisor decides how long draining may take: it ends us when it has waited enough.
constexpr Duration kPatience = 1h;
// Making room for a successor: so long an idle connection stays for one more request. Clients that ask again and again
// do so within it; a pool that holds connections for longer has to expect them closed at any time.
constexpr Duration kLinger = 5s;
// A bell that was missed must not leave two gateways writing verdicts for longer.
constexpr Duration kLook = 250ms;

// Request ids are drawn from it: a gateway must never give the ids of another one again, in this service's life or the
// next.
std::uint64_t seed() {
  std::uint64_t number = 0;
  INVARIANT(::getrandom(&number, sizeof number, 0) == sizeof number);
  return number;
}

struct Lane {
  net::EpollLoop loop;
  std::unique_ptr<gateway::Worker> worker;
  std::thread thread;  // none for the first lane, which runs on the main thread
};

//   serving --SIGUSR1, or a higher epoch in the table--> making room: lingers, then drains
//      |                                                      | SIGTERM
//      +-------------------SIGTERM--------------------------> draining --the last connection is gone--> ended
class GatewayProcess {
 public:
  GatewayProcess(plane::Plane table, gateway::Settings settings, const std::vector<int>& listeners, std::size_t threads)
      : table_(std::move(table)), settings_(std::move(settings)) {
    for (std::size_t i = 0; i < threads; ++i) {
      lanes_.push_back(std::make_unique<Lane>());
      Lane& lane = *lanes_.back();
      lane.worker = std::make_unique<gateway::Worker>(lane.loop, *table_, settings_, seed());
      for (const int fd : listeners) lane.worker->serve(lane.loop.adopt_listener(fd));
    }
    checker_ = std::make_unique<gateway::HealthChecker>(first().loop, *table_, settings_, seed(),
                                                        [this] { verdict_changed(); });
    for (const auto& lane : lanes_) {
      lane->worker->on_suspicion([this] { first().loop.post([this] { checker_->judge(); }); });
    }
  }

  int run() {
    for (std::size_t i = 1; i < lanes_.size(); ++i) {
      Lane& lane = *lanes_[i];
      lane.thread = std::thread([&lane] { lane.loop.run(); });
    }
    first().loop.run(serve());
    for (std::size_t i = 1; i < lanes_.size(); ++i) lanes_[i]->thread.join();
    return 0;
  }

 private:
  Lane& first() { return *lanes_.front(); }
  static std::uint32_t own_pid() { return static_cast<std::uint32_t>(::getpid()); }

  Task<void> serve() {
    net::Signals signals(first().loop, {SIGTERM, SIGINT, SIGUSR1});
    TaskGroup background;
    background.start(hear());
    background.start(look());
    if (!gateway::superseded(*table_, settings_.epoch)) table_->header.gateway_serving = own_pid();
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
    co_await checker_->stop();
    co_await on_every_lane([](Lane& lane) -> Task<void> { co_await lane.worker->stop_accepting(); });
    std::uint32_t serving = own_pid();
    table_->header.gateway_serving.compare_exchange_strong(serving, 0);
    net::Doorbell::ring(kBellToSupervisor);
    net::Doorbell::ring(kBellToGateway);  // we may have taken a ring that was the successor's

    TaskGroup hurry;
    hurry.start(hear_hurry(signals));
    co_await on_every_lane(told == SIGUSR1 ? make_room : go_down);
    hurry.cancel();
    co_await hurry.join();
    for (std::size_t i = 1; i < lanes_.size(); ++i) lanes_[i]->loop.post([&lane = *lanes_[i]] { lane.loop.stop(); });
  }

  static Task<void> make_room(Lane& lane) { co_await lane.worker->drain({.begun = kPatience, .idle = kLinger}); }
  static Task<void> go_down(Lane& lane) { co_await lane.worker->drain(kPatience); }

  // While we make room the service goes down: nobody is there any more for whom idle connections should be kept.
  Task<void> hear_hurry(net::Signals& signals) {
    while (const auto signal = co_await signals.next()) {
      if (*signal != SIGTERM) continue;
      co_await on_every_lane([](Lane& lane) -> Task<void> {
        lane.worker->close_idle();
        co_return;
      });
    }
  }

  // The supervisor has changed the table.
  Task<void> hear() {
    net::Doorbell bell(first().loop, Fd(::dup(kBellToGateway)));
    do {
      if (leave_if_superseded()) co_return;
      const std::uint64_t version = table_->header.routes_version;
      checker_->refresh();
      co_await on_every_lane([](Lane& lane) -> Task<void> {
        lane.worker->refresh();
        co_return;
      });
      if (gateway::superseded(*table_, settings_.epoch)) continue;
      table_->header.routes_seen = version;
      net::Doorbell::ring(kBellToSupervisor);
    } while (co_await bell.rung());
  }

  Task<void> look() {
    while (co_await first().loop.sleep(kLook)) leave_if_superseded();
  }

  // Another gateway was started and nobody told us: it writes the table now, finish what is here.
  bool leave_if_superseded() {
    const bool superseded = gateway::superseded(*table_, settings_.epoch);
    if (superseded) ::kill(::getpid(), SIGUSR1);
    return superseded;
  }

  void verdict_changed() {
    for (const auto& lane : lanes_) {
      if (lane == lanes_.front()) {
        lane->worker->refresh();
      } else {
        lane->loop.post([worker = lane->worker.get()] { worker->refresh(); });
      }
    }
    net::Doorbell::ring(kBellToSupervisor);
  }

  // Runs a task on every lane, each on its own thread, and returns when the last has ended. Not cancellable: it ends
  // when the tasks do. On the first lane.
  Task<void> on_every_lane(Task<void> (*task)(Lane&)) {
    struct Gather {
      net::Loop& loop;
      net::Condition one_ended;
      std::size_t left;
    };
    struct There {
      static Task<void> run(Lane& lane, Task<void> (*task)(Lane&), Gather& gather, net::EpollLoop& home) {
        co_await task(lane);
        home.post([&gather] {
          --gather.left;
          gather.one_ended.notify_all();
        });
      }
      static Task<void> wait(Gather& gather) {
        while (gather.left > 0) (void)co_await gather.one_ended.wait();
      }
    };
    Gather gather{first().loop, net::Condition(first().loop), lanes_.size() - 1};
    for (std::size_t i = 1; i < lanes_.size(); ++i) {
      lanes_[i]->loop.post(
          [this, &lane = *lanes_[i], task, &gather] { lane.loop.start(There::run(lane, task, gather, first().loop)); });
    }
    CancelScope shield;
    co_await task(first()).under(shield);
    co_await There::wait(gather).under(shield);
  }

  plane::Plane table_;
  gateway::Settings settings_;
  std::vector<std::unique_ptr<Lane>> lanes_;
  std::unique_ptr<gateway::HealthChecker> checker_;
};

Result<std::string> read_snapshot(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return failure(os_error(errno, "read the configuration's snapshot"));
  std::string text(static_cast<std::size_t>(status.st_size), '\0');
  if (::pread(fd, text.data(), text.size(), 0) != status.st_size)
    return failure(os_error(errno, "read the configuration's snapshot"));
  return text;
}

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
  const auto epoch = arguments.size() == 2 ? parse_unsigned(arguments[0]) : std::nullopt;
  const auto listeners = arguments.size() == 2 ? parse_unsigned(arguments[1]) : std::nullopt;
  if (!epoch || !listeners) return give_up("this is a part of `nines up`, not a command of its own");
  auto table = plane::Plane::attach(Fd(kPlane));
  if (!table) return give_up(table.error().text());
  const auto text = read_snapshot(kSnapshot);
  if (!text) return give_up(text.error().text());
  const auto config = config::parse(*text);
  if (!config)
    return give_up("the configuration's snapshot cannot be read: " +
                   config::format(config.error().front(), "snapshot"));

  gateway::clear_gauges(**table, *epoch);
  const auto threads = static_cast<std::size_t>(
      config->gateway.threads.value_or(static_cast<int>(std::max(1U, std::thread::hardware_concurrency()))));
  gateway::Settings settings = settings_of(*config);
  settings.epoch = *epoch;
  settings.workers = threads;
  fit_descriptors(settings, threads);
  std::vector<int> fds;
  for (std::size_t i = 0; i < *listeners; ++i) fds.push_back(kFirstListener + static_cast<int>(i));
  return GatewayProcess(std::move(*table), std::move(settings), fds, threads).run();
}

}  // namespace nines::app
