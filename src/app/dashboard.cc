#include "app/dashboard.h"

#include <cstdio>

#include "base/version.h"
#include "net/address.h"
#include "supervise/procfs.h"
#include "web/answer.h"

namespace nines::app {
namespace {

constexpr std::uint16_t kDefaultPort = 9900;
constexpr std::uint16_t kPortsTried = 20;
constexpr Duration kTryAgain = 5s;

bool is_alive(std::uint32_t pid, std::uint64_t start_time) {
  const auto stat = supervise::read_process_stat(static_cast<pid_t>(pid));
  return stat && !stat->dead() && (start_time == 0 || stat->start_time == start_time);
}

}  // namespace

Dashboard::Dashboard(net::EpollLoop& loop, plane::Table& table, const Service& service,
                     std::function<web::LedgerFacts()> ledger)
    : loop_(loop), table_(table), service_(service), ledger_(std::move(ledger)) {}

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
  bool said = false;
  while (true) {
    for (std::uint16_t i = 0; i < kPortsTried; ++i) {
      const auto port = static_cast<std::uint16_t>(kDefaultPort + i);
      auto socket = loop_.listen(net::Address::loopback(port));
      if (!socket) continue;
      table_.header.dashboard_port = port;
      co_return std::move(*socket);
    }
    if (!std::exchange(said, true))
      std::fprintf(stderr, "nines keeper: no free port for the dashboard from %d on\n", kDefaultPort);
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
                   .enough = static_cast<std::size_t>(std::max(config.replicas.count - 1, 1)),
                   .alive = is_alive,
                   .backups = {},
                   .ledger = ledger_(),
                   .hosts = {}};
  for (const config::Address& at : config.listen) facts.listen.push_back("http://" + at.text());
  return facts;
}

}  // namespace nines::app
