// The gateway as a process: one event loop per thread over the same listening sockets, the health checker on the first.
//
// Inherited: 3 the shared table, 4 the doorbell the supervisor rings, 5 the one we ring, 6 the configuration's
// snapshot, 7… the listening sockets. Arguments: its epoch, the number of listening sockets.
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
#include "gateway/worker.h"
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

struct Lane {
  net::EpollLoop loop;
  std::unique_ptr<gateway::Worker> worker;
  std::thread thread;  // none for the first lane, which runs on the main thread
};

class GatewayProcess {
 public:
  GatewayProcess(plane::Plane table, gateway::Settings settings, const std::vector<int>& listeners, std::size_t threads,
                 std::uint64_t epoch)
      : table_(std::move(table)), settings_(std::move(settings)), epoch_(epoch) {
    for (std::size_t i = 0; i < threads; ++i) {
      lanes_.push_back(std::make_unique<Lane>());
      Lane& lane = *lanes_.back();
      lane.worker = std::make_unique<gateway::Worker>(lane.loop, *table_, settings_, epoch * 1000 + i);
      for (const int fd : listeners) lane.worker->serve(lane.loop.adopt_listener(fd));
    }
    checker_ =
        std::make_unique<gateway::HealthChecker>(first().loop, *table_, settings_, epoch * 1000 + threads, [this] {
          refresh_workers();
          net::Doorbell::ring(kBellToSupervisor);
        });
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

  Task<void> serve() {
    net::EpollLoop& loop = first().loop;
    net::Signals signals(loop, {SIGTERM, SIGINT});
    TaskGroup background;
    background.start(hear());
    table_->header.gateway_serving = static_cast<std::uint32_t>(::getpid());
    net::Doorbell::ring(kBellToSupervisor);
    // SIGINT is for the supervisor alone, though a terminal sends it to all of us.
    while (const auto signal = co_await signals.next()) {
      if (*signal == SIGTERM) break;
    }
    background.cancel();
    co_await background.join();
    co_await checker_->stop();
    co_await drain();
  }

  // The supervisor has changed the table.
  Task<void> hear() {
    net::Doorbell bell(first().loop, Fd(::dup(kBellToGateway)));
    do {
      if (table_->header.gateway_epoch > epoch_) {
        ::kill(::getpid(), SIGTERM);  // another gateway writes the table now: finish what is here
        co_return;
      }
      const std::uint64_t version = table_->header.routes_version;
      checker_->refresh();
      refresh_workers(version);
    } while (co_await bell.rung());
  }

  // Every worker reads the table again. When the last has, the supervisor is told up to which version.
  void refresh_workers(std::uint64_t version = 0) {
    auto left = std::make_shared<std::atomic<std::size_t>>(lanes_.size());
    for (const auto& lane : lanes_) {
      const auto refresh = [this, worker = lane->worker.get(), left, version] {
        worker->refresh();
        if (left->fetch_sub(1) == 1 && version != 0) {
          table_->header.routes_seen = version;
          net::Doorbell::ring(kBellToSupervisor);
        }
      };
      if (lane == lanes_.front()) {
        refresh();
      } else {
        lane->loop.post(refresh);
      }
    }
  }

  Task<void> drain() {
    for (std::size_t i = 1; i < lanes_.size(); ++i) {
      Lane& lane = *lanes_[i];
      lane.loop.post([&lane] {
        struct Drain {
          static Task<void> run(Lane& l) {
            co_await l.worker->drain(kPatience);
            l.loop.stop();
          }
        };
        lane.loop.start(Drain::run(lane));
      });
    }
    co_await first().worker->drain(kPatience);
  }

  plane::Plane table_;
  gateway::Settings settings_;
  std::uint64_t epoch_;
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

  // Requests that were in flight in the gateway before died with it.
  const std::size_t generation = *epoch % 2;
  for (plane::Observed& observed : (*table)->observed) observed.in_flight[generation] = 0;
  (*table)->service.connections[generation] = 0;

  std::signal(SIGPIPE, SIG_IGN);
  const auto threads = static_cast<std::size_t>(
      config->gateway.threads.value_or(static_cast<int>(std::max(1U, std::thread::hardware_concurrency()))));
  gateway::Settings settings = settings_of(*config);
  settings.generation = generation;
  fit_descriptors(settings, threads);
  std::vector<int> fds;
  for (std::size_t i = 0; i < *listeners; ++i) fds.push_back(kFirstListener + static_cast<int>(i));
  // Before any thread exists, so that every thread has them blocked and only the main loop hears them.
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  sigaddset(&blocked, SIGINT);
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  return GatewayProcess(std::move(*table), std::move(settings), fds, threads, *epoch).run();
}

}  // namespace nines::app
