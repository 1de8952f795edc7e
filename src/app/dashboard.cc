#include "app/dashboard.h"

#include <cstdio>

#include "base/version.h"
#include "net/address.h"
#include "supervise/procfs.h"
#include "web/answer.h"

namespace nines::app {
namespace {

constexpr std::uint16_t kPortsTried = 20;
constexpr Duration kTryAgain = 5s;

bool is_alive(std::uint32_t pid, std::uint64_t start_time) {
  const auto stat = supervise::read_process_stat(static_cast<pid_t>(pid));
  return stat && !stat->dead() && (start_time == 0 || stat->start_time == start_time);
}

}  // namespace

Dashboard::Dashboard(net::EpollLoop& loop, plane::Table& table, const Service& service, Sources sources)
    : loop_(loop), table_(table), service_(service), sources_(sources) {}

Task<void> Dashboard::run() {
  auto socket = co_await listener();
  if (!socket) co_return;
  http::Server server(loop_, [this](http::Request& request) { return answer(request); },
                      {.body_bytes = 4096, .connections = 64, .keep_alive = 30s});
  server.serve(std::move(socket));
  co_await loop_.sleep(Duration::max() / 4);
  table_.header.dashboard_port = 0;
  co_await server.drain(100ms);
}

// Nothing when cancelled.
Task<std::unique_ptr<net::Listener>> Dashboard::listener() {
  const auto& configured = service_.config.dashboard;
  if (configured && !configured->at) co_return nullptr;
  config::Address at =
      configured ? *configured->at : config::Address{std::string(config::kDashboardIp), config::kDashboardPort};
  const std::uint16_t tried = configured ? 1 : kPortsTried;
  const std::uint16_t first = at.port;
  bool said = false;
  while (true) {
    for (std::uint16_t i = 0; i < tried; ++i) {
      at.port = static_cast<std::uint16_t>(first + i);
      const auto address = net::Address::parse(at.text());
      auto socket = address ? loop_.listen(*address) : failure(address.error());
      if (!socket) continue;
      table_.header.dashboard_port = at.port;
      co_return std::move(*socket);
    }
    if (!std::exchange(said, true)) {
      const std::string upto = tried > 1 ? " to " + std::to_string(first + tried - 1) : std::string();
      std::fprintf(stderr, "nines: the dashboard's address %s:%d%s is taken; trying again\n", at.ip.c_str(), first,
                   upto.c_str());
    }
    if (!co_await loop_.sleep(kTryAgain)) co_return nullptr;
  }
}

Task<http::Response> Dashboard::answer(http::Request& request) {
  co_return web::answer(request, web::view_of(table_, facts(), loop_.now(), loop_.wall_now()));
}

web::Facts Dashboard::facts() const {
  const config::Config& config = service_.config;
  web::Facts facts{.service = *config.service,
                   .version = std::string(kVersion),
                   .listen = {},
                   .objective = config.objective,
                   .folder = service_.paths.state,
                   .alone = sources_.alone,
                   .alive = is_alive,
                   .keeps_backups = sources_.backups != nullptr && !config.backups.empty(),
                   .hosts = {}};
  if (sources_.backups != nullptr) facts.backups = sources_.backups->archives();
  if (sources_.recorder != nullptr) facts.ledger = sources_.recorder->facts();
  for (const config::Address& at : config.listen) facts.listen.push_back("http://" + at.text());
  return facts;
}

}  // namespace nines::app
