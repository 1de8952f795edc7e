#include "app/absence.h"

#include <algorithm>
#include <set>

#include "app/meter.h"

namespace nines::app {

std::optional<Absence> absence_of(const Remains& remains, const std::string& boot_id, WallTime now) {
  const auto& [last, sign, stop] = remains;
  if (!last && !sign) return std::nullopt;
  const bool by_sign = sign && (!last || sign->until >= last->until);
  const std::int64_t alive = by_sign ? sign->until : last->until;
  // The record may not have the start of the one whose sign this is.
  const bool of_that_one = stop && (!by_sign || stop->table_id == sign->table_id);
  const std::string who = by_sign && !sign->stopped_by.empty() ? sign->stopped_by : of_that_one ? stop->by : "";
  Absence absence{.from = alive, .to = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count()};
  if (!who.empty()) {
    absence.why = Absence::Why::kStopped;
    absence.text = "stopped: " + who;
  } else {
    // Who is killed says nothing more of the second that it is in, and records nothing of the slice.
    absence.from += by_sign ? 1 : Meter::kSlice;
    absence.why = (by_sign ? sign->boot_id : last->boot_id) == boot_id ? Absence::Why::kKilled : Absence::Why::kHost;
    absence.text =
        std::string(absence.why == Absence::Why::kHost ? "the machine was restarted" : "all of nines was killed") +
        "; the last sign of life was at " + format_rfc3339(WallTime(std::chrono::seconds(alive)));
  }
  if (absence.to <= absence.from) return std::nullopt;
  return absence;
}

std::vector<ledger::Stretch> stretches_of(std::int64_t from, std::int64_t to, const ledger::Maintenance& maintenance) {
  std::set<std::int64_t> edges = {from, to};
  for (const auto& window : maintenance.windows())
    for (const std::int64_t edge : {window.from, window.to})
      if (from < edge && edge < to) edges.insert(edge);
  std::vector<ledger::Stretch> all;
  for (auto edge = edges.begin(); std::next(edge) != edges.end(); ++edge) {
    const ledger::SliceCount state =
        maintenance.covers(*edge) ? &ledger::Slice::maintenance_down : &ledger::Slice::down;
    if (!all.empty() && all.back().state == state) {
      all.back().to = *std::next(edge);
    } else {
      all.push_back({*edge, *std::next(edge), state});
    }
  }
  return all;
}

}  // namespace nines::app
