#include "app/prober.h"

#include <algorithm>
#include <utility>

#include "app/listeners.h"
#include "http/client.h"
#include "net/address.h"

namespace nines::app {
namespace {

// The gateway lets a request wait for a replica; who waits longer than this is not served.
constexpr Duration kPatience = 5s;

}  // namespace

Duration Prober::interval(const config::Config& config) {
  return std::clamp<Duration>(config.replicas.health.interval, 1s, 5s);
}

Prober::Prober(net::EpollLoop& loop, const plane::Table& table, const config::Config& config)
    : loop_(loop), table_(table), config_(config), interval_(interval(config)) {}

Task<void> Prober::run() {
  do {
    const bool good = co_await probe();
    if ((co_await current_scope())->cancelled()) co_return;
    last_ = good;
    ended_ = loop_.now();
    ++(good ? counts_.good : counts_.bad);
  } while (co_await loop_.sleep(interval_));
}

std::optional<bool> Prober::last() const {
  if (!last_ || loop_.now() - ended_ > interval_ + kPatience + 1s) return std::nullopt;
  return last_;
}

Prober::Counts Prober::take_counts() { return std::exchange(counts_, Counts{}); }

Task<bool> Prober::probe() {
  const auto address = net::Address::parse(reachable(config_.listen.front()).text());
  if (!address) co_return false;
  const config::Health& health = config_.replicas.health;
  if (!health.path) {
    const auto stream = co_await loop_.connect(*address, std::max<Duration>(health.timeout, 1s));
    co_return stream&& anybody_fit();
  }
  const auto answer = co_await http::fetch(loop_, {.to = *address,
                                                   .target = *health.path,
                                                   .fields = {{"X-Nines-Probe", plane::probe_key(table_)}},
                                                   .timeout = kPatience});
  co_return answer && answer->head.status() >= 200 && answer->head.status() < 400;
}

bool Prober::anybody_fit() const {
  for (std::size_t slot = 0; slot < plane::kReplicasMax; ++slot) {
    const auto route = table_.routes[slot].load();
    const auto verdict = table_.observed[slot].verdict.load();
    if (route && verdict && route->wanted == plane::Wanted::kServe && verdict->incarnation == route->incarnation &&
        verdict->health == plane::Health::kUp)
      return true;
  }
  return false;
}

}  // namespace nines::app
