#include "gateway/health_checker.h"

#include "gateway/tenure.h"
#include "gateway/upstreams.h"
#include "http/client.h"
#include "net/stream.h"

namespace nines::gateway {

using plane::Health;
using plane::Wanted;

namespace {

// What the gateway before this one has found out about the same process.
Standing standing_of(const std::optional<plane::Verdict>& verdict, std::uint64_t incarnation) {
  if (!verdict || verdict->incarnation != incarnation) return Standing::kUnknown;
  switch (verdict->health) {
    case Health::kUp: return Standing::kUp;
    case Health::kDown: return Standing::kDown;
    default: return Standing::kUnknown;
  }
}

}  // namespace

HealthChecker::HealthChecker(net::Loop& loop, plane::Table& table, const Settings& settings, std::uint64_t seed,
                             std::function<void()> changed)
    : loop_(loop),
      table_(table),
      settings_(settings),
      random_(seed),
      changed_(std::move(changed)),
      slots_(plane::kReplicasMax) {}

HealthChecker::~HealthChecker() = default;

Task<void> HealthChecker::stop() {
  checks_.cancel();
  co_await checks_.join();
}

void HealthChecker::refresh() {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    const auto route = table_.routes[i].load();
    if (!route) continue;  // its writer died in the middle: the last good copy holds
    const plane::Route before = std::exchange(slot.route, *route);
    const bool same = before.incarnation == route->incarnation && before.wanted == route->wanted;
    if (same) continue;
    if (before.wanted == Wanted::kServe) note_unrouted(i, before, route->wanted);
    if (slot.checking) slot.checking->cancel();
    slot.checking.reset();
    if (route->wanted != Wanted::kServe) continue;
    slot.checking = std::make_shared<CancelScope>(&checks_.scope());
    struct Check {
      static Task<void> run(Task<void> task, std::shared_ptr<CancelScope> scope) {
        co_await std::move(task).under(*scope);
      }
    };
    checks_.start(Check::run(check(i, *route), slot.checking));
  }
}

Task<void> HealthChecker::check(std::size_t slot, plane::Route route) {
  const net::Address address = address_of(route);
  HealthCheck check(settings_.health, loop_.now(),
                    standing_of(table_.observed[slot].verdict.load(), route.incarnation));
  while (co_await loop_.sleep_until(check.next_check())) {
    const auto answer = co_await ask(address);
    if (!answer && answer.error().code() == Code::kCancelled) co_return;
    const double jitter = 2 * random_.unit() - 1;
    const bool changed = answer ? check.on_pass(loop_.now(), jitter) : check.on_fail(loop_.now(), jitter);
    if (changed) publish(slot, route, answer ? Health::kUp : Health::kDown, answer ? "" : answer.error().text());
  }
}

Task<Result<>> HealthChecker::ask(const net::Address& address) {
  if (!settings_.health_path) {
    auto stream = co_await loop_.connect(address, settings_.health_timeout);
    if (!stream) co_return failure(std::move(stream.error()));
    co_return Result<>{};
  }
  const auto answer = co_await http::fetch(loop_, {.to = address,
                                                   .target = *settings_.health_path,
                                                   .fields = {{"User-Agent", "nines-health"}},
                                                   .timeout = settings_.health_timeout,
                                                   .body_limit = 1024 * 1024});
  if (!answer) co_return failure(answer.error());
  const int status = answer->head.status();
  if (status < 200 || status > 299) {
    co_return failure(Code::kUnavailable, "GET " + *settings_.health_path + " answered " + std::to_string(status));
  }
  co_return Result<>{};
}

void HealthChecker::publish(std::size_t slot, const plane::Route& route, Health health, std::string_view reason) {
  if (superseded(table_, settings_.epoch)) return;
  plane::Verdict verdict{
      .incarnation = route.incarnation, .since_ns = loop_.now().since_boot.count(), .health = health};
  plane::set_field(verdict.reason, reason);
  table_.observed[slot].verdict.store(verdict);
  changed_();
}

void HealthChecker::note_unrouted(std::size_t slot, const plane::Route& before, Wanted now) {
  if (superseded(table_, settings_.epoch)) return;
  // Of a dead replica the count says nothing: its requests have seen their connections break and gone elsewhere
  // already.
  const std::uint64_t unfinished = now == Wanted::kDrain ? plane::total(table_.observed[slot].in_flight) : 0;
  table_.gateway_events.push({.at_ns = loop_.now().since_boot.count(),
                              .kind = plane::EventKind::kUnrouted,
                              .replica = static_cast<std::uint16_t>(slot),
                              .pid = before.pid,
                              .incarnation = before.incarnation,
                              .a = static_cast<std::int64_t>(unfinished)});
}

}  // namespace nines::gateway
