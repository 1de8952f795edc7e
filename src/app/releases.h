// The releases of a service: what its replicas were started from, which of them is the one, and a deploy that is under
// way. STATE/releases.json, on the disk before anything is done about it, so that a deploy which is killed at any step
// is finished or undone by whoever supervises next.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "backup/file_store.h"
#include "base/error.h"
#include "base/time.h"
#include "config/config.h"
#include "supervise/rollout.h"

namespace nines::app {

using supervise::ReleaseNumber;

struct Release {
  enum class Outcome : std::uint8_t { kUnderWay, kDone, kRolledBack };

  ReleaseNumber number = 0;
  config::Launch launch;
  std::map<std::string, std::string>
      files{};  // guarded ones, with their digests (backup/file_store.h), as far as known
  // Of these, what is not in its place yet: its processes are given copies, stage_files().
  std::set<std::string> staged{};
  std::string what;  // changed, in words
  std::string by;
  WallTime at{};  // when it was wished
  Outcome outcome = Outcome::kUnderWay;
  std::string why;                  // it was rolled back
  std::optional<WallTime> ended{};  // nullopt: under way
  bool operator==(const Release&) const = default;
};
std::string_view name_of(Release::Outcome outcome);

using SharedRelease = std::shared_ptr<const Release>;

class Releases {
 public:
  static constexpr std::size_t kKept = 10;

  // kNotFound: there is none yet. kInvalid: damaged, or of a later version.
  static Result<Releases> load(const std::string& path);
  // On the disk when this returns.
  Result<> save(const std::string& path) const;

  // A new one, under way. What is older than the last ten and not needed is forgotten.
  const Release& add(Release release);
  // Changes one that is there.
  void change(ReleaseNumber number, const std::function<void(Release&)>& how);
  void end(ReleaseNumber number, Release::Outcome outcome, std::string why, WallTime at);

  SharedRelease find(ReleaseNumber number) const;  // null: unknown
  // The one before `number` that was the one: what a rollback means without a number. Null: none is known.
  SharedRelease before(ReleaseNumber number) const;

  ReleaseNumber active = 0;  // what replicas are started from; during a deploy the old one, until it is done
  std::optional<supervise::RolloutMemory> rollout;
  // Incarnations that have loaded a damaged file: to be replaced, whatever their release.
  std::set<std::uint64_t> spoiled;
  const std::vector<SharedRelease>& all() const { return all_; }  // oldest first

  bool operator==(const Releases& other) const;

 private:
  void forget();

  ReleaseNumber next_ = 1;
  std::vector<SharedRelease> all_;
};

// What differs, in words without values: "command, env.MODEL". Empty: nothing.
std::string difference(const config::Launch& before, const config::Launch& after);

// A folder with all guarded files of a release, for its processes, as long as some are not in their places: links to
// the copies in the store, each at its absolute path below `into`, so that what a server looks for beside a model is
// beside it. kNotFound: a copy is missing.
Result<> stage_files(const Release& release, const std::string& folder, const backup::FileStore& store,
                     const std::string& into);
// The launch with these in the place of the originals, where an argument or a variable is the path of a guarded file or
// of a folder of them, or ends with "=" and that. kNotFound: none is, so that an old and a new one could not run side
// by side. Without staged files: as it is.
Result<config::Launch> launch_with_staged(const Release& release, const std::string& folder, const std::string& into);

}  // namespace nines::app
