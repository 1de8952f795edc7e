// Keeps `replicas.files` as they should be (backup/file_guard.h), in a thread of its own of the keeper, since models
// are large and reading them blocks. What they should be, the book of releases says; what is found goes to the
// supervisor, who replaces those that have loaded a wrong one.
//
// The copies are in STATE/store: each guarded file takes its size there once more, or nothing where the file system can
// share blocks.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <set>
#include <stop_token>
#include <string>
#include <thread>

#include "app/releases.h"
#include "app/service.h"
#include "backup/file_guard.h"

namespace nines::app {

class ModelGuard {
 public:
  static constexpr Duration kBetweenLooks = 1s;

  // Starts at once; does nothing for a service that guards no files.
  explicit ModelGuard(const Service& service);
  // Its end waits for that of the present look.

 private:
  void run(const std::stop_token& stop);
  void look();
  void read_releases();
  void tell(const backup::GuardFinding& finding);
  void deliver();

  const Service& service_;
  backup::FileGuard guard_;
  Releases releases_;    // as last read
  std::string read_of_;  // which writing of the book
  std::set<std::string> kept_;
  std::deque<std::string> to_tell_;
  std::mutex mutex_;  // of nothing but the pause
  std::condition_variable_any pause_;
  std::jthread thread_;  // the last one: it uses all others
};

}  // namespace nines::app
