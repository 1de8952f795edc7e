// A deploy as a state machine: what runs and what the gateway counted in, orders out. It looks at the replicas as they
// are and says what to do next, so it makes no difference who did the step before: a person, a crash, or a supervisor
// that is dead by now. Pure.
//
//   kTrial   one new replica beside the old ones, at 5 % of the requests, compared with them for `bake`
//   kHalf    it gets its full share, old ones are replaced until half of them are new, compared for `bake`
//   kAll     the rest is replaced
//   kTidy    the new release is the one: what was started beside the replicas is drained and stopped
//   kBack    from any of the first three, when a new replica fails, does worse or a person says so: the old release is
//            put back where it was replaced, and what was started beside is stopped
//   kEnded
//
// A replica is replaced only while enough others are ready, so the service serves throughout: `surge` replicas are
// started beside it first, in places of their own (spares). With `surge` 0 there are none, and a replica that is
// replaced is missing meanwhile.
//
// What must outlive the supervisor is RolloutMemory, some words; the rest is looked at. Without it, or with an older
// one, the worst is that a step is done again.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "supervise/comparison.h"
#include "supervise/replica.h"

namespace nines::supervise {

using ReleaseNumber = std::uint32_t;  // 0: none, or not known

enum class Stage : std::uint8_t { kTrial, kHalf, kAll, kTidy, kBack, kEnded };
std::string_view name_of(Stage stage);
std::optional<Stage> stage_named(std::string_view name);

struct RolloutLimits {
  int surge = 1;
  Duration bake = 10s;
  Tolerance tolerance;
};

struct RolloutMemory {
  ReleaseNumber from = 0, to = 0;
  Stage stage = Stage::kTrial;
  bool judged = true;  // false: a person's rollback, which is neither tried nor compared
  std::string why{};   // of kBack

  bool forward() const { return stage == Stage::kTrial || stage == Stage::kHalf || stage == Stage::kAll; }
  bool undone() const { return !why.empty(); }
  bool operator==(const RolloutMemory&) const = default;
};

// A replica as it is now.
struct Member {
  bool spare = false;
  bool wanted = true;         // no person keeps it stopped; of a spare: it was told to run
  ReleaseNumber release = 0;  // of its process; without one, of the next
  ReleaseNumber next = 0;     // of its next process
  State state = State::kStopped;
  int weight = 100;            // percent of a plain one's requests, as a person wants it
  Instant since{};             // in this state
  int crashes = 0;             // in a row
  bool was_ready = false;      // with this release, as far as known
  bool answers_wrong = false;  // its canary
  std::string trouble{};       // what its log or the gateway says, for a person
  Evidence seen{};             // by the gateway, since whenever
};

struct RolloutOrder {
  enum class What : std::uint8_t {
    kRun,      // a spare: start it with `release`
    kReplace,  // drain and stop its process, start `release` in its place; held by a person: only note the release
    kRetire,   // a spare: drain and stop it, for good
    kShare,    // it gets `percent` of a plain replica's requests
  };
  What what;
  std::size_t member;
  ReleaseNumber release = 0;
  int percent = 100;
  bool operator==(const RolloutOrder&) const = default;
};

class Rollout {
 public:
  Rollout(RolloutLimits limits, RolloutMemory memory) : limits_(limits), memory_(std::move(memory)) {}

  // What to do now; the owner does it all, after it has kept memory() where a successor finds it. `members`: the
  // replicas by slot, then `surge` spares. Call it when something has changed and every quarter of a second.
  std::vector<RolloutOrder> next(std::span<const Member> members, Instant now);

  // A person ends it. False: it is too late, the new release is the one.
  bool give_up(std::string why);

  const RolloutMemory& memory() const { return memory_; }
  bool ended() const { return memory_.stage == Stage::kEnded; }
  // How far it has come, for a person: "2 of 3 replicas are new".
  std::string progress(std::span<const Member> members) const;

 private:
  using Orders = std::vector<RolloutOrder>;
  using Members = std::span<const Member>;

  void enter(Stage stage);
  void try_out(Members members, Instant now, Orders& orders);
  // Puts `target` in the place of others, until `goal` wanted replicas have it; where that costs one that serves, only
  // if `may_spare`. True: they have, and are ready.
  bool converge(Members members, ReleaseNumber target, std::size_t goal, bool may_spare, Orders& orders);
  bool run_spares(Members members, ReleaseNumber release, Orders& orders);
  bool retire_spares(Members members, ReleaseNumber but, Orders& orders);  // `but`: not those of this one; 0: all
  // Compares from the first call in a stage on. True: for long enough, and nothing was found.
  bool compared(Members members, Instant now);
  std::optional<std::string> failure_of(Members members, Instant now) const;
  void share(Members members, Orders& orders) const;

  RolloutLimits limits_;
  RolloutMemory memory_;
  struct Window {
    Instant since;
    std::vector<Evidence> before;  // of each member
    // Latencies are compared piece by piece: a process that has just started is slow for a moment, and that moment must
    // not weigh on what follows.
    Instant piece_since;
    std::vector<Evidence> piece_before;
    int slow_in_row = 0;
    bool judged = false;  // at least one piece was
  };
  std::optional<Window> window_;  // of the present stage
};

// The share of one new replica that makes 5 % of all requests, in percent of a plain one's. `others`: the weights of
// the others together, 100 for each plain one.
int trial_share(int others);

}  // namespace nines::supervise
