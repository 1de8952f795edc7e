#include "app/measurement.h"

#include <algorithm>

#include "app/absence.h"
#include "app/state_file.h"
#include "ledger/reader.h"

namespace nines::app {
namespace {

Counters counters_in(const plane::Table& table) {
  Counters counters{.latency = table.service.latency.snapshot()};
  for (std::size_t i = 0; i < plane::kOutcomes; ++i)
    counters.outcomes[i] = table.service.outcomes[i].load(std::memory_order_relaxed);
  return counters;
}

std::uint64_t of(const Counters& counters, plane::Outcome outcome) {
  return counters.outcomes[static_cast<std::size_t>(outcome)];
}

}  // namespace

Measurement::Measurement(net::EpollLoop& loop, plane::Table& table, Prober& prober, Recorder& recorder,
                         const std::string& ledger_file)
    : loop_(loop),
      table_(table),
      prober_(prober),
      recorder_(recorder),
      meter_(table.metered.load().value_or(plane::Metered{})),
      counters_(counters_in(table)) {
  if (meter_.memory().slice_s != 0) return;
  const auto reader = ledger::Reader::open(ledger_file);
  if (!reader) return;  // there is none yet, or the recorder will say what is wrong with it
  const bool in_trouble = mind_trouble(*reader);
  if (table_.header.carried == 0) mind_absence(*reader, in_trouble);
}

// An outage that the record has not seen the end of: it was told by a keeper of another table.
bool Measurement::mind_trouble(const ledger::Reader& reader) {
  std::optional<ledger::Row> last;
  for (const char* const kind : {"service_down", "service_degraded", "service_up"}) {
    const auto rows = reader.rows({.kind = kind, .limit = 1, .newest = true});
    if (rows && !rows->empty() && (!last || last->seq < rows->front().seq)) last = rows->front();
  }
  if (!last || last->event.kind == "service_up") return false;
  meter_.begin_in_trouble(last->event.b, last->event.kind == "service_down");
  return true;
}

void Measurement::mind_absence(const ledger::Reader& reader, bool in_trouble) {
  const auto last = reader.latest_sampled();
  const auto stops = reader.rows({.kind = "service_stopping", .limit = 1, .newest = true});
  const auto starts = reader.rows({.kind = "service_started", .limit = 2, .newest = true});
  if (!last || !*last || (*last)->table_id == table_.header.id || !stops || !starts) return;
  // The present start may be in the record already.
  std::uint64_t started = 0;
  for (const ledger::Row& row : *starts)
    if (row.event.table_id != table_.header.id) started = std::max(started, row.seq);
  std::optional<ledger::Row> stopping;
  if (!stops->empty() && stops->front().seq > started) stopping = stops->front();
  const auto absence = absence_of(**last, stopping, this_boot(), loop_.wall_now());
  if (!absence) return;
  if (absence->why != Absence::Why::kStopped) tell({plane::EventKind::kHostDown, 0, 0, absence->text});
  tell({plane::EventKind::kServiceDown, absence->from - 1, absence->from, absence->text});
  recorder_.add_down(absence->from, absence->to);
  if (!in_trouble) meter_.begin_in_trouble(absence->from, true);
}

void Measurement::tell(const Meter::Told& told) {
  plane::Event event{.at_ns = loop_.now().since_boot.count(), .kind = told.kind, .a = told.a, .b = told.b};
  event.set_text(told.text);
  recorder_.tell(event);
}

Task<void> Measurement::run() {
  constexpr auto kSecond = Duration(1s);
  do {
    look();
    // On the second, so that a slice has ten of them.
    const Duration past = loop_.wall_now().time_since_epoch() % kSecond;
    if (!co_await loop_.sleep(kSecond - past + 1ms)) break;
  } while (true);
  if (const auto rest = meter_.close()) {
    counters_ = counters_in(table_);
    hand_over(*rest);
    table_.metered.store(meter_.memory());
  }
}

void Measurement::look() {
  const Counters now = counters_in(table_);
  const Prober::Counts probes = prober_.take_counts();
  // The second that has just passed.
  const std::int64_t second = std::chrono::floor<std::chrono::seconds>(loop_.wall_now()).time_since_epoch().count() - 1;
  const auto found = meter_.look({.at = loop_.now(),
                                  .wall = loop_.wall_now(),
                                  .requests = {.good = of(now, plane::Outcome::kGood),
                                               .bad = of(now, plane::Outcome::kBad),
                                               .excluded = of(now, plane::Outcome::kExcluded),
                                               .aborted = of(now, plane::Outcome::kAborted)},
                                  .probe = prober_.last(),
                                  .probes_good = probes.good,
                                  .probes_bad = probes.bad,
                                  .maintenance = recorder_.in_maintenance(second)});
  for (const Meter::Told& told : found.told) tell(told);
  for (const Meter::Closed& closed : found.closed) hand_over(closed);
  counters_ = now;
  table_.metered.store(meter_.memory());
}

void Measurement::hand_over(const Meter::Closed& closed) {
  recorder_.add({closed, std::min(closed.start + Meter::kSlice, meter_.memory().until_s), counters_});
}

}  // namespace nines::app
