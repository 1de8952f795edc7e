#include "app/prober.h"

#include <algorithm>
#include <utility>

#include "app/gateway_settings.h"
#include "app/listeners.h"
#include "gateway/probe.h"
#include "http/client.h"

namespace nines::app {
namespace {

// The gateway lets a request wait for a replica; who waits longer than this is not served.
constexpr Duration kPatience = 5s;

}  // namespace

Duration Prober::interval(const config::Config& config) {
  return std::clamp<Duration>(config.replicas.health.interval, 1s, 5s);
}

Prober::Prober(net::EpollLoop& loop, const plane::Table& table, const config::Config& config)
    : loop_(loop),
      table_(table),
      config_(config),
      interval_(interval(config)),
      address_(net::Address::parse(reachable(config.listen.front()).text()).value()),
      golden_(config.replicas.canary ? std::optional(canary_of(*config.replicas.canary)) : std::nullopt),
      // What was not well may be so for the canary alone: then it is asked at once.
      canary_(config.replicas.canary ? config.replicas.canary->every : Duration::max(),
              plane::metered_in(table).value_or(plane::Metered{}).trouble_s != 0 ? Instant{} : loop.now()) {}

Task<void> Prober::run() {
  do {
    auto answer = co_await ask_health();
    if (answer && golden_ && canary_.due(loop_.now(), progress())) answer = co_await ask_canary();
    if ((co_await current_scope())->cancelled()) co_return;
    last_ = answer.has_value();
    why_ = answer ? "" : answer.error().text();
    ended_ = loop_.now();
    ++(answer ? counts_.good : counts_.bad);
  } while (co_await loop_.sleep(interval_));
}

std::optional<bool> Prober::last() const {
  const Duration patience = kPatience + (golden_ ? golden_->timeout : 0s);
  if (!last_ || loop_.now() - ended_ > interval_ + patience + 1s) return std::nullopt;
  return last_;
}

Prober::Counts Prober::take_counts() { return std::exchange(counts_, Counts{}); }

Task<Result<>> Prober::ask_health() {
  const config::Health& health = config_.replicas.health;
  if (!health.path) {
    const auto stream = co_await loop_.connect(address_, std::max<Duration>(health.timeout, 1s));
    if (!stream) co_return failure(stream.error());
    if (!anybody_fit()) co_return failure(Code::kUnavailable, "no replica is fit to be asked");
    co_return Result<>{};
  }
  const auto answer = co_await http::fetch(loop_, {.to = address_,
                                                   .target = *health.path,
                                                   .fields = {{"X-Nines-Probe", plane::probe_key(table_)}},
                                                   .timeout = kPatience});
  if (!answer) co_return failure(answer.error());
  const int status = answer->head.status();
  if (status >= 200 && status < 400) co_return Result<>{};
  co_return failure(Code::kUnavailable, "GET " + *health.path + " was answered with " + std::to_string(status));
}

// Busy is not dead: then it is as it was.
Task<Result<>> Prober::ask_canary() {
  const Instant asked = loop_.now();
  auto answer = co_await gateway::ask_canary(loop_, address_, *golden_, {{"X-Nines-Probe", plane::probe_key(table_)}});
  using Answer = PublicCanary::Answer;
  canary_.on_answer(answer                                    ? Answer::kRight
                    : answer.error().code() == Code::kInvalid ? Answer::kWrong
                                                              : Answer::kNone,
                    asked, progress());
  if (canary_.works()) co_return Result<>{};
  co_return failure(Code::kUnavailable,
                    "the canary at the public address: " + (answer ? std::string() : answer.error().text()));
}

Instant Prober::progress() const {
  std::int64_t latest = 0;
  for (const plane::Observed& observed : table_.observed) latest = std::max(latest, observed.progress_ns.load());
  return Instant{Duration(latest)};
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
