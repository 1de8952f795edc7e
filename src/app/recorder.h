// The keeper's hand on the record: takes the log from the shared table into the ledger, in a thread of its own, because
// a slow disk must not keep replicas waiting for their output to be drained.
//
// Killed at any moment, it loses and doubles nothing: the ledger holds, in one transaction with the events, how far it
// has got. While it cannot write (disk full, file locked) the log keeps 1,024 events; more are recorded as lost.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "app/paths.h"
#include "ledger/ledger.h"
#include "net/epoll_loop.h"
#include "plane/plane.h"
#include "web/view.h"

namespace nines::app {

class Recorder {
 public:
  // `replicas`: names by slot. The thread begins at once.
  Recorder(plane::Table& table, const Paths& paths, std::vector<std::string> replicas);
  // Takes what there is, and ends.
  ~Recorder();

  // From any thread: the log has grown.
  void wake();
  // From any thread.
  web::LedgerFacts facts() const;

 private:
  Task<void> run();
  Result<> take();
  Result<> open();
  ledger::Event recorded(const plane::Event& event) const;

  plane::Table& table_;
  const std::string file_;
  const std::vector<std::string> replicas_;
  const std::string boot_id_;
  std::optional<ledger::Ledger> ledger_;
  Instant pruned_{};

  mutable std::mutex mutex_;
  web::LedgerFacts facts_;  // guarded by mutex_

  net::EpollLoop loop_;
  Fd bell_;
  CancelScope until_stopped_;
  std::thread thread_;
};

}  // namespace nines::app
