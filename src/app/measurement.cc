#include "app/measurement.h"

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

Measurement::Measurement(net::EpollLoop& loop, plane::Table& table, Prober& prober, Recorder& recorder)
    : loop_(loop),
      table_(table),
      prober_(prober),
      recorder_(recorder),
      meter_(table.metered.load().value_or(plane::Metered{})),
      counters_(counters_in(table)) {}

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
  const auto found = meter_.look({.at = loop_.now(),
                                  .wall = loop_.wall_now(),
                                  .requests = {.good = of(now, plane::Outcome::kGood),
                                               .bad = of(now, plane::Outcome::kBad),
                                               .excluded = of(now, plane::Outcome::kExcluded),
                                               .aborted = of(now, plane::Outcome::kAborted)},
                                  .probe = prober_.last(),
                                  .probes_good = probes.good,
                                  .probes_bad = probes.bad});
  for (const Meter::Told& told : found.told) {
    plane::Event event{.at_ns = loop_.now().since_boot.count(), .kind = told.kind, .a = told.a, .b = told.b};
    event.set_text(told.text);
    recorder_.tell(event);
  }
  for (const Meter::Closed& closed : found.closed) hand_over(closed);
  counters_ = now;
  table_.metered.store(meter_.memory());
}

void Measurement::hand_over(const Meter::Closed& closed) { recorder_.add({closed, counters_}); }

}  // namespace nines::app
