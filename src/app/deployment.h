// Deploys: performs what the rollout (supervise/rollout.h) orders, and keeps the book of releases. Part of the
// supervisor, on its loop.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/releases.h"
#include "app/replica_unit.h"
#include "app/service.h"
#include "net/epoll_loop.h"
#include "plane/plane.h"
#include "supervise/rollout.h"

namespace nines::app {

class Deployment {
 public:
  struct Hooks {
    std::function<void(plane::Event)> note;
    std::function<void(const std::string&)> warn;
  };
  // `units`: the replicas by slot, then the spares; they come later, before step().
  Deployment(net::EpollLoop& loop, const Service& service, plane::Table& table,
             const std::vector<std::unique_ptr<ReplicaUnit>>& units, Hooks hooks);

  // Before the units begin. `first`: the service starts; a person may have changed the configuration meanwhile, and
  // what was not finished before begins anew, or is over.
  void inherit(bool first);

  // `files`: those that are to be others than before, with their digests; they are in the store.
  struct Wanted {
    config::Launch launch;
    std::map<std::string, std::string> files{};
    bool again = false;  // also when it is as the present one
  };
  // kExists: one is under way. kInvalid: there is nothing to deploy. kNotFound: a file is not guarded, not in the
  // store, or nothing names it. kRefused: every replica is stopped. Any other error: it cannot be written down, so it
  // is not begun.
  Result<ReleaseNumber> deploy(Wanted wanted, const std::string& by);
  // Ends the deploy that is under way; without one, deploys the release before, or that of this number, untried.
  // kNotFound: there is none. kRefused: it is too late.
  Result<ReleaseNumber> roll_back(std::optional<ReleaseNumber> number, const std::string& by);

  // What the keeper has found out about guarded files (backup/file_guard.h).
  // `seen`: the release that was the active one when they were read.
  void files_known(ReleaseNumber seen, const std::map<std::string, std::string>& digests);
  void file_placed(const std::string& path, const std::string& digest);
  // It was another one between these moments, or in the file of this inode (0: it was gone): who has loaded that is
  // replaced, one at a time.
  void file_was_damaged(const std::string& path, Instant from, Instant until, std::uint64_t inode);

  // Something has changed. Does nothing unless a deploy is under way.
  void step();
  // Steps on until cancelled.
  Task<void> run();

  // No step any more: the service goes down, or another supervisor goes on.
  void suspend() { suspended_ = true; }

  bool under_way() const { return rollout_.has_value(); }
  std::string progress() const;
  const Releases& releases() const { return releases_; }
  SharedRelease active() const { return releases_.find(releases_.active); }
  // What a replica is started from that was left so; the present one when that is not known any more.
  SharedRelease release_of(const plane::Route& route) const;
  // Why the book cannot be written; empty: it can.
  const std::string& problem() const { return problem_; }

 private:
  std::vector<supervise::Member> members() const;
  Result<ReleaseNumber> start(Release release, bool judged);
  Result<> stage(const Release& release) const;
  SharedRelease rolled_back(const config::Launch& launch) const;
  void renew_units();
  void forget_staged() const;
  void mend_spoiled();
  bool keep();
  void begin(supervise::RolloutMemory memory);
  void take(const supervise::RolloutMemory& before);
  void perform(const supervise::RolloutOrder& order);
  void note(plane::EventKind kind, ReleaseNumber release, std::string_view text);

  net::EpollLoop& loop_;
  const Service& service_;
  plane::Table& table_;
  const std::vector<std::unique_ptr<ReplicaUnit>>& units_;
  Hooks hooks_;
  Releases releases_;
  std::optional<supervise::Rollout> rollout_;
  std::string said_;  // of the progress
  std::string problem_;
  bool suspended_ = false;
};

}  // namespace nines::app
