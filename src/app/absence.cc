#include "app/absence.h"

#include "app/meter.h"

namespace nines::app {

std::optional<Absence> absence_of(const ledger::Sampled& last, const std::optional<ledger::Row>& stopping,
                                  const std::string& boot_id, WallTime now) {
  const std::int64_t second = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  Absence absence{.from = last.until, .to = second, .text = ""};
  const std::string begun = format_rfc3339(WallTime(std::chrono::seconds(last.until)));
  if (stopping) {
    absence.why = Absence::Why::kStopped;
    absence.text = "stopped: " + stopping->event.text;
  } else {
    // Who is killed records nothing of the slice that it is in.
    absence.from += Meter::kSlice;
    absence.why = last.boot_id == boot_id ? Absence::Why::kKilled : Absence::Why::kHost;
    absence.text = absence.why == Absence::Why::kHost
                       ? "the machine was restarted; the last sign of life was at " + begun
                       : "all of nines was killed; the last sign of life was at " + begun;
  }
  if (absence.to <= absence.from) return std::nullopt;
  return absence;
}

}  // namespace nines::app
