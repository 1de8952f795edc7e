// The releases of a service: what its replicas were started from, which of them is the one, and a deploy that is under
// way. STATE/releases.json, on the disk before anything is done about it, so that a deploy which is killed at any step
// is finished or undone by whoever supervises next.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

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
  const Release& add(config::Launch launch, std::string what, std::string by, WallTime at);
  void end(ReleaseNumber number, Release::Outcome outcome, std::string why, WallTime at);

  SharedRelease find(ReleaseNumber number) const;  // null: unknown
  // The one before `number` that was the one: what a rollback means without a number. Null: none is known.
  SharedRelease before(ReleaseNumber number) const;

  ReleaseNumber active = 0;  // what replicas are started from; during a deploy the old one, until it is done
  std::optional<supervise::RolloutMemory> rollout;
  const std::vector<SharedRelease>& all() const { return all_; }  // oldest first

  bool operator==(const Releases& other) const;

 private:
  void forget();

  ReleaseNumber next_ = 1;
  std::vector<SharedRelease> all_;
};

// What differs, in words without values: "command, env.MODEL". Empty: nothing.
std::string difference(const config::Launch& before, const config::Launch& after);

}  // namespace nines::app
