#include "gateway/ejections.h"

#include <algorithm>
#include <string>

#include "gateway/tenure.h"

namespace nines::gateway {

using plane::EjectionCause;
using plane::EventKind;
using plane::Health;
using plane::Wanted;

namespace {

// Of an ejection: what was seen, for the log.
std::string words_of(EjectionCause cause, std::uint32_t row, std::uint32_t ejections) {
  std::string words = std::to_string(row) + " in a row: " + std::string(plane::words_of(cause));
  if (ejections > 1) words += " (" + std::to_string(ejections) + " times of late)";
  return words;
}

}  // namespace

Ejections::Ejections(net::Loop& loop, plane::Table& table, const Settings& settings, std::function<void()> changed)
    : loop_(loop),
      table_(table),
      settings_(settings),
      changed_(std::move(changed)),
      slots_(plane::kReplicasMax),
      fleet_(plane::kReplicasMax) {}

Ejections::~Ejections() = default;

Task<void> Ejections::stop() {
  stopped_ = true;
  announcements_.cancel();
  co_await announcements_.join();
}

// The records again. Whoever is new here begins without failures; whoever is ejected already is announced when that
// ends.
void Ejections::read() {
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    const auto route = table_.routes[i].load();
    const auto verdict = table_.observed[i].verdict.load();
    if (!route || !verdict) continue;  // their writer died in the middle: the last good copy holds
    const bool is_new = slot.incarnation != route->incarnation;
    slot.incarnation = route->incarnation;
    slot.pid = route->pid;
    slot.wanted = route->wanted == Wanted::kServe && route->weight > 0 && route->incarnation != 0;
    slot.verdict = *verdict;
    if (!is_new) continue;
    // One that the gateway before this one knew keeps its rows.
    if (verdict->incarnation != route->incarnation) end_rows(i);
    const Instant until = slot.ejected_until();
    if (loop_.now() < until) announcements_.start(announce_end(i, slot.incarnation, until));
  }
}

void Ejections::refresh() {
  if (stopped_ || superseded(table_, settings_.epoch)) return;
  read();
  if (weigh_panic()) changed_();
}

void Ejections::judge() {
  if (stopped_ || superseded(table_, settings_.epoch)) return;
  read();
  const auto suspect = [this](std::size_t i) {
    const Slot& slot = slots_[i];
    const plane::Observed& observed = table_.observed[i];
    const bool ready_once = slot.is_current() && slot.verdict.health != Health::kUnknown;
    return Suspect{.in_fleet = ready_once,
                   .up = ready_once && slot.verdict.health == Health::kUp,
                   .connect_failures = observed.connect_failures_in_row.load(std::memory_order_relaxed),
                   .gateway_errors = observed.gateway_errors_in_row.load(std::memory_order_relaxed),
                   .failing_since = Instant{Duration(observed.failing_since_ns.load(std::memory_order_relaxed))},
                   .well = Instant{Duration(observed.well_ns.load(std::memory_order_relaxed))},
                   .ejected_until = slot.ejected_until(),
                   .ejections = slot.is_current() ? slot.verdict.ejections : 0};
  };
  for (std::size_t i = 0; i < slots_.size(); ++i) fleet_[i] = suspect(i);
  bool any = false;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const auto ejection = judge_outlier(settings_.outlier, fleet_, i, loop_.now());
    if (!ejection) continue;
    const bool connect = ejection->cause == EjectionCause::kConnect;
    eject(i, *ejection, connect ? fleet_[i].connect_failures : fleet_[i].gateway_errors);
    fleet_[i] = suspect(i);
    any = true;
  }
  if (!any) return;
  weigh_panic();
  changed_();
}

void Ejections::eject(std::size_t index, const Ejection& ejection, std::uint32_t row) {
  Slot& slot = slots_[index];
  slot.verdict.ejected_until_ns = ejection.until.since_boot.count();
  slot.verdict.ejections = ejection.ejections;
  slot.verdict.cause = ejection.cause;
  table_.observed[index].verdict.store(slot.verdict);
  end_rows(index);
  table_.observed[index].ejections.fetch_add(1, std::memory_order_relaxed);
  event(EventKind::kEjected, static_cast<std::uint16_t>(index), words_of(ejection.cause, row, ejection.ejections),
        (ejection.until - loop_.now()).count());
  announcements_.start(announce_end(index, slot.incarnation, ejection.until));
}

Task<void> Ejections::announce_end(std::size_t slot, std::uint64_t incarnation, Instant until) {
  if (!co_await loop_.sleep_until(until)) co_return;
  if (stopped_ || superseded(table_, settings_.epoch)) co_return;
  read();
  // It was readmitted before, or another ejection followed, which has its own announcement.
  if (slots_[slot].incarnation != incarnation || slots_[slot].ejected_until() != until) co_return;
  readmit(slot, "its pause is over");
}

void Ejections::on_proof(std::size_t index, std::uint64_t incarnation, Proof proof) {
  if (stopped_ || superseded(table_, settings_.epoch)) return;
  const Slot& known = slots_[index];
  if (known.incarnation != incarnation || loop_.now() >= known.ejected_until()) return;
  if (!pardons(proof, known.verdict.cause, known.verdict.ejections)) return;
  read();
  if (slots_[index].incarnation != incarnation) return;
  readmit(index, proof == Proof::kWorks ? "it passed its canary" : "it passed a health check");
}

void Ejections::readmit(std::size_t index, std::string_view why) {
  Slot& slot = slots_[index];
  // The end of the ejection, for what forgiving it goes by.
  const std::int64_t now = loop_.now().since_boot.count();
  if (slot.verdict.ejected_until_ns > now) {
    slot.verdict.ejected_until_ns = now;
    table_.observed[index].verdict.store(slot.verdict);
  }
  // Of what was still in flight when it was ejected.
  end_rows(index);
  event(EventKind::kUnejected, static_cast<std::uint16_t>(index), why, 0);
  weigh_panic();
  changed_();
}

void Ejections::end_rows(std::size_t slot) {
  table_.observed[slot].connect_failures_in_row.store(0, std::memory_order_relaxed);
  table_.observed[slot].gateway_errors_in_row.store(0, std::memory_order_relaxed);
}

// True when it has begun or ended.
bool Ejections::weigh_panic() {
  std::size_t healthy = 0, of = 0;
  for (const Slot& slot : slots_) {
    if (!slot.wanted) continue;
    ++of;
    const bool up = slot.is_current() && slot.verdict.health == Health::kUp;
    healthy += up && loop_.now() >= slot.ejected_until() ? 1 : 0;
  }
  const bool any_ejected =
      std::ranges::any_of(slots_, [&](const Slot& slot) { return loop_.now() < slot.ejected_until(); });
  // Without an ejection there is nothing to ignore, and a service that starts is in no panic.
  const std::uint32_t panic = any_ejected && panics(settings_.panic, healthy, of) ? 1 : 0;
  if (table_.header.panic.exchange(panic, std::memory_order_acq_rel) == panic) return false;
  event(panic != 0 ? EventKind::kPanicBegan : EventKind::kPanicEnded, plane::kNoReplica, "",
        static_cast<std::int64_t>(healthy), static_cast<std::int64_t>(of));
  return true;
}

void Ejections::event(EventKind kind, std::uint16_t slot, std::string_view text, std::int64_t a, std::int64_t b) {
  plane::Event event{.at_ns = loop_.now().since_boot.count(), .kind = kind, .replica = slot, .a = a, .b = b};
  if (slot != plane::kNoReplica) {
    event.pid = slots_[slot].pid;
    event.incarnation = slots_[slot].incarnation;
  }
  event.set_text(text);
  table_.gateway_events.push(event);
}

}  // namespace nines::gateway
