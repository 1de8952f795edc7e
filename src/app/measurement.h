// The keeper's look at the service, once a second: counters of the shared table and the prober's last answer go to the
// meter; what it finds goes into the table, where the recorder, the supervisor and a successor find it. A slice, an
// event and the meter's memory of both are there at one moment, so that whoever dies, none is lost and none told twice.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "app/absence.h"
#include "app/beacon.h"
#include "app/meter.h"
#include "app/paths.h"
#include "app/prober.h"
#include "app/recorder.h"
#include "base/task.h"
#include "net/epoll_loop.h"
#include "plane/plane.h"

namespace nines::app {

class Measurement {
 public:
  // Reads ledger and beacon once, if the table is new: for how long nothing ran.
  Measurement(net::EpollLoop& loop, plane::Table& table, Prober& prober, Recorder& recorder, const Paths& paths);

  // Until cancelled; then hands over what the present slice has, so that a successor only adds to it.
  Task<void> run();

 private:
  void look();
  std::array<std::uint64_t, plane::kOutcomes> outcomes() const;
  void happen(const Meter::Findings& findings);
  void give_sign_of_life();

  net::EpollLoop& loop_;
  plane::Table& table_;
  Prober& prober_;
  Recorder& recorder_;
  const std::string beacon_file_;
  const std::string boot_id_;
  std::optional<Beacon> beacon_;
  Meter meter_;
};

}  // namespace nines::app
