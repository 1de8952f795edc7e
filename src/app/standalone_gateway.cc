#include "app/standalone_gateway.h"

#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "app/dashboard.h"
#include "app/endpoint.h"
#include "app/event_log.h"
#include "app/gateway_settings.h"
#include "supervise/procfs.h"

namespace nines::app {
namespace {

constexpr Duration kPatience = 30s;
// Ejections and what else the gateway notes by itself: soon enough for a person who watches.
constexpr Duration kLook = 200ms;

class Process {
 public:
  Process(plane::Plane table, StandaloneGateway options, GatewayLanes::Options lanes)
      : options_(std::move(options)),
        table_(std::move(table)),
        lanes_(*table_, with_hook(std::move(lanes))),
        log_(*table_, [this](const plane::Event& event) {
          const bool of_endpoint = event.replica < endpoints_.size();
          options_.event(event, of_endpoint ? endpoints_[event.replica].name() : std::string());
        }) {}

  int run() {
    lanes_.run(serve());
    return 0;
  }

 private:
  GatewayLanes::Options with_hook(GatewayLanes::Options lanes) {
    lanes.verdict_changed = [this] { look(); };
    return lanes;
  }

  void begin() {
    endpoints_.reserve(options_.service.config.replicas.endpoints.size());
    const auto self = supervise::read_process_stat(::getpid());
    table_->gateway.store({.pid = static_cast<std::uint32_t>(::getpid()),
                           .starts = 1,
                           .start_time = self ? self->start_time : 0,
                           .since_ns = lanes_.loop().now().since_boot.count()});
    const auto names = replica_names(options_.service.config);
    const auto& configured = options_.service.config.replicas.endpoints;
    for (std::size_t slot = 0; slot < configured.size(); ++slot)
      endpoints_.emplace_back(*table_, slot, names[slot], configured[slot])
          .begin(std::nullopt, {}, lanes_.loop().now());
  }

  void look() {
    log_.collect();
    for (Endpoint& endpoint : endpoints_)
      if (const auto event = endpoint.look(lanes_.loop().now())) log_.note(*event);
  }

  Task<void> look_now_and_then() {
    while (co_await lanes_.loop().sleep(kLook)) look();
  }

  Task<void> serve() {
    net::Signals signals(lanes_.loop(), {SIGTERM, SIGINT});
    begin();
    co_await lanes_.refresh();
    table_->header.gateway_serving = static_cast<std::uint32_t>(::getpid());
    TaskGroup background;
    background.start(look_now_and_then());
    // Without a wish for it there is none: this machine may have a service whose dashboard has the default port.
    Dashboard dashboard(lanes_.loop(), *table_, options_.service, {.alone = true});
    if (options_.service.config.dashboard) background.start(dashboard.run());
    (void)co_await signals.next();
    table_->header.gateway_serving = 0;
    co_await lanes_.stop_accepting();
    options_.listeners.clear();  // who connects from now on is refused, and can go elsewhere
    TaskGroup hurry;
    hurry.start(end_at_second(signals));
    co_await lanes_.drain({.begun = kPatience});
    for (TaskGroup* group : {&hurry, &background}) {
      group->cancel();
      co_await group->join();
    }
    look();
  }

  static Task<void> end_at_second(net::Signals& signals) {
    if (co_await signals.next()) std::_Exit(1);
  }

  StandaloneGateway options_;
  plane::Plane table_;
  std::vector<Endpoint> endpoints_;
  GatewayLanes lanes_;
  EventLog log_;
};

// Empty: without it the gateway runs all the same.
std::string access_log_of(const StandaloneGateway& gateway) {
  const std::string logs = gateway.service.paths.logs();
  if (gateway.service.config.gateway.access_log == config::AccessLog::kNone) return "";
  std::error_code error;
  std::filesystem::create_directories(logs, error);
  if (!error) return gateway.service.paths.access_log();
  gateway.warning("there is no access log, since " + logs + " cannot be made: " + error.message());
  return "";
}

}  // namespace

int run_standalone_gateway(StandaloneGateway gateway) {
  // Before any thread exists, so that only the main loop hears them.
  sigset_t blocked;
  sigemptyset(&blocked);
  for (const int number : {SIGTERM, SIGINT}) sigaddset(&blocked, number);
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGHUP, SIG_IGN);
  auto table = plane::Plane::create();
  if (!table) {
    gateway.warning(table.error().text());
    return 1;
  }
  if (!gateway.service.config.backups.empty())
    gateway.warning("a gateway alone takes no backups; `nines up` does, and so does `nines backup now`");
  (*table)->header.gateway_epoch = 1;
  auto lanes =
      lanes_of(gateway.service.config, {.folder = gateway.service.paths.folder, .access_log = access_log_of(gateway)});
  lanes.settings.epoch = 1;
  for (const Fd& listener : gateway.listeners) lanes.listeners.push_back(listener.get());
  return Process(std::move(*table), std::move(gateway), std::move(lanes)).run();
}

}  // namespace nines::app
