#include "gateway/health_checker.h"

#include <algorithm>

#include "gateway/hang_guard.h"
#include "gateway/probe.h"
#include "gateway/tenure.h"
#include "gateway/upstreams.h"

namespace nines::gateway {

using plane::EventKind;
using plane::Health;
using plane::Wanted;

namespace {

// How often it looks for hangs the workers have found, and for silences a canary has to explain.
constexpr Duration kLook = 250ms;
constexpr std::string_view kCanaryReason = "canary: ";

bool for_its_canary(const plane::Verdict& verdict) {
  return std::string_view(verdict.reason).starts_with(kCanaryReason);
}

Standing standing_of(const plane::Verdict& verdict) {
  switch (verdict.health) {
    case Health::kUp: return Standing::kUp;
    // One that was taken out for its canary passed its checks.
    case Health::kDown: return for_its_canary(verdict) ? Standing::kUp : Standing::kDown;
    case Health::kUnknown: break;
  }
  return Standing::kUnknown;
}

bool must_pass_its_canary(const CanarySettings& settings, const plane::Verdict& known) {
  return known.health == Health::kUnknown ? settings.before_ready : for_its_canary(known);
}

Instant instant(const std::atomic<std::int64_t>& ns) { return Instant{Duration(ns.load(std::memory_order_relaxed))}; }

}  // namespace

HealthChecker::Subject::Subject(net::Loop& loop, std::size_t s, const plane::Route& r, const Settings& settings,
                                const plane::Verdict& known, CancelScope* parent)
    : slot(s),
      route(r),
      address(address_of(r)),
      scope(parent),
      health(settings.health, loop.now(), standing_of(known)),
      check_now(loop),
      published(known),
      hung(known.hung != 0) {
  if (settings.canary) canary.emplace(*settings.canary, must_pass_its_canary(*settings.canary, known));
  if (for_its_canary(known)) {
    canary_failed = std::string_view(known.reason).substr(kCanaryReason.size());
  } else {
    unwell = known.reason;
  }
}

HealthChecker::HealthChecker(net::Loop& loop, plane::Table& table, const Settings& settings, std::uint64_t seed,
                             std::function<void()> changed)
    : loop_(loop),
      table_(table),
      settings_(settings),
      random_(seed),
      changed_(std::move(changed)),
      ejections_(loop, table, settings, changed_),
      routes_(plane::kReplicasMax),
      subjects_(plane::kReplicasMax) {
  tasks_.start(look_now_and_then());
}

HealthChecker::~HealthChecker() = default;

Task<void> HealthChecker::stop() {
  tasks_.cancel();
  co_await tasks_.join();
  co_await ejections_.stop();
}

void HealthChecker::refresh() {
  for (std::size_t slot = 0; slot < routes_.size(); ++slot) {
    const auto route = table_.routes[slot].load();
    if (!route) continue;  // its writer died in the middle: the last good copy holds
    const plane::Route before = std::exchange(routes_[slot], *route);
    if (before.incarnation == route->incarnation && before.wanted == route->wanted) continue;
    if (before.wanted == Wanted::kServe) note_unrouted(slot, before, route->wanted);
    if (subjects_[slot]) subjects_[slot]->scope.cancel();
    subjects_[slot].reset();
    if (route->wanted != Wanted::kServe) continue;
    const auto known = table_.observed[slot].verdict.load();
    const bool same = known && known->incarnation == route->incarnation;
    subjects_[slot] =
        std::make_shared<Subject>(loop_, slot, *route, settings_, same ? *known : plane::Verdict{}, &tasks_.scope());
    start(check(subjects_[slot]), subjects_[slot]);
  }
  ejections_.refresh();
}

void HealthChecker::start(Task<void> task, const Shared& subject) {
  struct Run {
    static Task<void> run(Task<void> task, Shared subject) { co_await std::move(task).under(subject->scope); }
  };
  tasks_.start(Run::run(std::move(task), subject));
}

Task<void> HealthChecker::check(Shared subject) {
  while (true) {
    do {
      const auto waited = co_await subject->check_now.wait(subject->health.next_check());
      if (!waited && waited.error().code() == Code::kCancelled) co_return;
    } while (loop_.now() < subject->health.next_check());
    const auto answer = co_await ask_health(loop_, subject->address, settings_, settings_.health_timeout);
    if (!answer && answer.error().code() == Code::kCancelled) co_return;
    const double jitter = 2 * random_.unit() - 1;
    const bool canary_down = subject->canary && subject->canary->down();
    if (answer) {
      subject->health.on_pass(loop_.now(), jitter);
      // A TCP connection proves nothing about the process behind it, nor a health path about an engine whose canary
      // fails.
      if (settings_.health_path && !canary_down) note_passed(table_.observed[subject->slot], loop_.now());
    } else {
      subject->health.on_fail(loop_.now(), jitter);
      if (!subject->hung) subject->unwell = answer.error().text();
    }
    update(*subject);
    if (answer) look(subject);  // its canary need not wait for the next look
    if (answer && !canary_down) {
      ejections_.on_proof(subject->slot, subject->route.incarnation,
                          settings_.health_path ? Proof::kHealthy : Proof::kConnects);
    }
    // Workers tell when a row has become long enough; one that the fleet could not spare then may be spared now.
    ejections_.judge();
  }
}

Task<void> HealthChecker::look_now_and_then() {
  while (co_await loop_.sleep(kLook)) {
    for (const Shared& subject : subjects_) {
      if (subject) look(subject);
    }
  }
}

void HealthChecker::look(const Shared& subject) {
  const plane::Observed& observed = table_.observed[subject->slot];
  const Instant hung_at = instant(observed.hung_ns);
  if (hangs(observed) && std::exchange(subject->hung_at, hung_at) != hung_at && subject->health.on_hung(loop_.now())) {
    subject->hung = true;
    subject->unwell =
        "hung: requests got no byte, and a fresh check no answer in " + format_duration(settings_.hang.probe);
    event(*subject, EventKind::kHung, subject->unwell);
    update(*subject);
    subject->check_now.notify_all();
  }
  // One that is not well anyway needs no canary.
  if (!subject->canary || subject->health.standing() != Standing::kUp) return;
  const bool outstanding = plane::total(observed.in_flight) > 0;
  if (subject->canary->look(loop_.now(), outstanding, instant(observed.progress_ns)))
    start(send_canary(subject), subject);
}

Task<void> HealthChecker::send_canary(Shared subject) {
  const Instant sent = loop_.now();
  const auto answer = co_await ask_canary(loop_, subject->address, *settings_.canary);
  const Instant now = loop_.now();
  if (!answer && answer.error().code() == Code::kCancelled) co_return;
  plane::Observed& observed = table_.observed[subject->slot];
  const auto outcome = answer                                    ? CanaryWatch::Outcome::kPassed
                       : answer.error().code() == Code::kInvalid ? CanaryWatch::Outcome::kWrong
                                                                 : CanaryWatch::Outcome::kFailed;
  const bool changed = subject->canary->on_result(outcome, sent, now, instant(observed.progress_ns));
  if (answer) {
    note_passed(observed, now);
    ejections_.on_proof(subject->slot, subject->route.incarnation, Proof::kWorks);
  }
  subject->canary_wrong = outcome == CanaryWatch::Outcome::kWrong;
  if (!answer) subject->canary_failed = answer.error().text();
  if (changed && subject->published.health != Health::kUnknown) {
    if (answer) {
      event(*subject, EventKind::kCanaryPassed, "", (now - sent).count());
    } else {
      event(*subject, EventKind::kCanaryFailed, subject->canary_failed);
    }
  }
  update(*subject);
}

// Makes one verdict of what the three sources say, and writes it when it is another than before.
void HealthChecker::update(Subject& subject) {
  const Standing standing = subject.health.standing();
  if (standing == Standing::kUp) subject.hung = false;
  const bool canary_down = standing == Standing::kUp && subject.canary && subject.canary->down();
  plane::Verdict verdict = table_.observed[subject.slot].verdict.load().value_or(subject.published);
  // What others have written about this incarnation stays: ejections.
  if (verdict.incarnation != subject.route.incarnation) verdict = {.incarnation = subject.route.incarnation};
  verdict.health = standing == Standing::kUnknown              ? Health::kUnknown
                   : standing == Standing::kUp && !canary_down ? Health::kUp
                   // One that was never routed is not down: it is not ready yet.
                   : canary_down && subject.published.health == Health::kUnknown ? Health::kUnknown
                                                                                 : Health::kDown;
  // Requests that it has are not being worked on: they may be taken away. One that answers wrongly does work; where no
  // other is left it is better than nobody, and what is wrong may be what is expected of it.
  verdict.hung = verdict.health == Health::kDown && (subject.hung || (canary_down && !subject.canary_wrong)) ? 1 : 0;
  verdict.wrong = canary_down && subject.canary_wrong ? 1 : 0;
  std::string reason;
  if (canary_down) {
    reason = std::string(kCanaryReason) + subject.canary_failed;
  } else if (verdict.health == Health::kDown) {
    reason = subject.unwell;
  }
  const bool says_why = verdict.health == Health::kUnknown && !reason.empty() && reason != subject.published.reason;
  if (verdict.health == subject.published.health && !says_why) return;
  if (verdict.health != subject.published.health) verdict.since_ns = loop_.now().since_boot.count();
  plane::set_field(verdict.reason, reason);
  subject.published = verdict;
  if (superseded(table_, settings_.epoch)) return;
  table_.observed[subject.slot].verdict.store(verdict);
  ejections_.refresh();
  changed_();
}

void HealthChecker::event(const Subject& subject, EventKind kind, std::string_view text, std::int64_t a) {
  if (superseded(table_, settings_.epoch)) return;
  plane::Event event{.at_ns = loop_.now().since_boot.count(),
                     .kind = kind,
                     .replica = static_cast<std::uint16_t>(subject.slot),
                     .pid = subject.route.pid,
                     .incarnation = subject.route.incarnation,
                     .a = a};
  event.set_text(text);
  table_.gateway_events.push(event);
}

void HealthChecker::note_unrouted(std::size_t slot, const plane::Route& before, Wanted now) {
  if (superseded(table_, settings_.epoch)) return;
  // Of a dead replica the count says nothing: its requests have seen their connections break and gone elsewhere
  // already.
  const std::uint64_t unfinished = now == Wanted::kDrain ? plane::total(table_.observed[slot].in_flight) : 0;
  table_.gateway_events.push({.at_ns = loop_.now().since_boot.count(),
                              .kind = EventKind::kUnrouted,
                              .replica = static_cast<std::uint16_t>(slot),
                              .pid = before.pid,
                              .incarnation = before.incarnation,
                              .a = static_cast<std::int64_t>(unfinished)});
}

}  // namespace nines::gateway
