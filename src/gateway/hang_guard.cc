#include "gateway/hang_guard.h"

#include <algorithm>

#include "gateway/probe.h"

namespace nines::gateway {
namespace {

Instant instant(const std::atomic<std::int64_t>& ns) { return Instant{Duration(ns.load(std::memory_order_relaxed))}; }

void raise(std::atomic<std::int64_t>& ns, Instant to) {
  const std::int64_t later = to.since_boot.count();
  std::int64_t known = ns.load(std::memory_order_relaxed);
  while (known < later && !ns.compare_exchange_weak(known, later, std::memory_order_relaxed)) {
  }
}

}  // namespace

void note_passed(plane::Observed& observed, Instant now) { raise(observed.passed_ns, now); }

HangGuard::HangGuard(net::Loop& loop, plane::Table& table, const Settings& settings)
    : loop_(loop), table_(table), settings_(settings), replicas_(plane::kReplicasMax) {}

HangGuard::~HangGuard() = default;

Task<void> HangGuard::stop() {
  tick_.disarm();
  probes_.cancel();
  co_await probes_.join();
}

void HangGuard::begin(std::size_t slot, Waiter& waiter, bool movable) {
  waiter.sent_at_ = loop_.now();
  waiter.movable_ = movable;
  replicas_[slot].waiting.push_back(waiter);
  if (!tick_.armed()) loop_.timers().arm(tick_, loop_.now() + settings_.hang.tick);
}

void HangGuard::on_route(std::size_t slot, const Known& known) {
  Replica& replica = replicas_[slot];
  if (known.incarnation != replica.incarnation) {
    // Those of the one before learn from their streams that it is gone.
    while (!replica.waiting.empty()) replica.waiting.pop_front();
    replica.watch = HangWatch();
    replica.probing = replica.probe_failed = false;
    replica.incarnation = known.incarnation;
  }
  replica.address = known.address;
  replica.routable = known.routable;
  replica.verdict = known.hung;
}

void HangGuard::tick() {
  bool any = false;
  for (std::size_t slot = 0; slot < replicas_.size(); ++slot) {
    if (replicas_[slot].waiting.empty()) continue;
    any = true;
    look(slot);
  }
  if (any) loop_.timers().arm(tick_, loop_.now() + settings_.hang.tick);
}

void HangGuard::look(std::size_t slot) {
  Replica& replica = replicas_[slot];
  if (hangs(table_.observed[slot])) {
    const bool found_here = !replica.why.empty();
    return take_away(slot, found_here ? replica.why : "hung: no byte came, and its health check did not answer");
  }
  if (!replica.verdict.empty()) return take_away(slot, replica.verdict);
  // Without a health path there is nothing to ask: the kernel accepts connections also for a process that is stopped.
  if (!settings_.health_path || replica.probing || !replica.address.is_set()) return;
  const Duration patience = hang_patience(settings_.hang, p99_of(slot));
  const auto what = replica.watch.look(loop_.now(), replica.waiting.front().sent_at_,
                                       instant(table_.observed[slot].progress_ns), patience);
  if (what != HangWatch::What::kProbe) return;
  replica.probing = true;
  probes_.start(probe(slot, replica.incarnation));
}

Task<void> HangGuard::probe(std::size_t slot, std::uint64_t incarnation) {
  const auto answer = co_await ask_health(loop_, replicas_[slot].address, settings_, settings_.hang.probe);
  Replica& replica = replicas_[slot];
  if (replica.incarnation != incarnation) co_return;
  replica.probing = false;
  if (!answer && answer.error().code() == Code::kCancelled) co_return;
  plane::Observed& observed = table_.observed[slot];
  if (answer) note_passed(observed, loop_.now());
  // Whatever it has answered, it does not hang. Whether it is well is the health checker's to judge.
  const bool answered = answer || answer.error().code() == Code::kUnavailable;
  replica.probe_failed = !answered;
  if (!replica.watch.on_probe(loop_.now(), answered, instant(observed.progress_ns), another_lives_than(slot)))
    co_return;
  const Duration silent = loop_.now() - replica.watch.silent_since();
  replica.why = "hung: no byte for " + format_duration(silent) + " and its health check " +
                (answer.error().code() == Code::kTimedOut ? "did not answer in " + format_duration(settings_.hang.probe)
                                                          : "failed: " + answer.error().text());
  // Another worker may have found it out as well: one hang is counted once.
  if (!hangs(observed)) observed.hangs.fetch_add(1, std::memory_order_relaxed);
  raise(observed.hung_ns, loop_.now());
  take_away(slot, replica.why);
}

bool HangGuard::another_lives_than(std::size_t slot) const {
  std::vector<Neighbour> others;
  for (std::size_t i = 0; i < replicas_.size(); ++i) {
    const Replica& other = replicas_[i];
    const plane::Observed& observed = table_.observed[i];
    if (i == slot || !other.routable) continue;
    others.push_back({.routable = !hangs(observed),
                      .suspected = other.probing || other.probe_failed,
                      .progress = instant(observed.progress_ns),
                      .passed = instant(observed.passed_ns)});
  }
  return another_lives(settings_.hang, others, loop_.now());
}

// Takes the movable requests of a replica away from it, as long as another one lives. `why` completes "it …".
// Cancelling completes operations but runs nobody, so the list does not change under us.
void HangGuard::take_away(std::size_t slot, const std::string& why) {
  if (!another_lives_than(slot)) return;
  IntrusiveList<Waiter> keep;
  Replica& replica = replicas_[slot];
  while (!replica.waiting.empty()) {
    Waiter& waiter = replica.waiting.pop_front();
    if (!waiter.movable_) {
      keep.push_back(waiter);
      continue;
    }
    waiter.taken_ = "it " + why;
    waiter.attempt_.cancel();
  }
  replica.waiting.take_all(keep);
}

// Of the last one to two minutes; of all its time when there was too little in them.
std::optional<Duration> HangGuard::p99_of(std::size_t slot) {
  constexpr Duration kFresh = 1s, kBase = 60s;
  constexpr std::uint64_t kEnough = 20;
  Replica& replica = replicas_[slot];
  const Instant now = loop_.now();
  if (replica.p99_at != Instant{} && now - replica.p99_at < kFresh) return replica.p99;
  replica.p99_at = now;
  const plane::LatencyCounts all = table_.observed[slot].latency.snapshot();
  if (now - replica.based >= kBase) {
    // After a longer pause both bases are old: then the last minutes are what has come since.
    replica.base = now - replica.based >= 2 * kBase ? all : replica.next_base;
    replica.next_base = all;
    replica.based = now;
  }
  plane::LatencyCounts lately{};
  std::uint64_t count = 0, count_all = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    lately[i] = all[i] - std::min(all[i], replica.base[i]);
    count += lately[i];
    count_all += all[i];
  }
  replica.p99 = count >= kEnough       ? plane::quantile(lately, 0.99)
                : count_all >= kEnough ? plane::quantile(all, 0.99)
                                       : std::nullopt;
  return replica.p99;
}

}  // namespace nines::gateway
