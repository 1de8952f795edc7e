// The keeper's look at the service, once a second: counters of the shared table and the prober's last answer go to the
// meter; what it finds goes to the recorder, and its memory into the table, where a successor goes on.
#pragma once

#include <string>

#include "app/meter.h"
#include "app/prober.h"
#include "app/recorder.h"
#include "base/task.h"
#include "ledger/reader.h"
#include "net/epoll_loop.h"
#include "plane/plane.h"

namespace nines::app {

class Measurement {
 public:
  // `ledger_file`: read once, if the table is new: for how long nothing ran.
  Measurement(net::EpollLoop& loop, plane::Table& table, Prober& prober, Recorder& recorder,
              const std::string& ledger_file);

  // Until cancelled; then hands over what the present slice has, so that a successor only adds to it.
  Task<void> run();

 private:
  bool mind_trouble(const ledger::Reader& reader);
  void mind_absence(const ledger::Reader& reader, bool in_trouble);
  void tell(const Meter::Told& told);
  void look();
  void hand_over(const Meter::Closed& closed);

  net::EpollLoop& loop_;
  plane::Table& table_;
  Prober& prober_;
  Recorder& recorder_;
  Meter meter_;
  Counters counters_;  // at the last look
};

}  // namespace nines::app
