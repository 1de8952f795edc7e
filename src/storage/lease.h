// Who of several machines may write: a small object that one of them holds, by conditional writes alone.
//
//   nobody's ──If-None-Match: *──► ours ──If-Match: VERSION, again and again──► ours
//   another's, unchanged for ttl + margin ──If-Match: VERSION──► ours
//   a condition that did not hold (412), or another's object where ours was: lost, for good
//   ttl − margin after the last write was *begun*: fenced, whatever comes back later
//
// Only monotonic time is used: ours to fence ourselves, and ours again to see for how long another's lease has not
// changed, so no two clocks need agree. The object is never deleted. A write whose end nobody knows renews nothing. The
// decisions are pure; whoever drives them performs the calls.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"

namespace nines::storage {

// An object as it was when it was read, and what its server calls that version: an ETag.
struct Versioned {
  std::string content;
  std::string version;
};

// What a lease needs of a destination. A content is written once only: it tells a lost answer's write from another's.
// Errors: kExists the condition does not hold (412); kNotFound.
class ConditionalStore {
 public:
  virtual ~ConditionalStore() = default;
  virtual Result<Versioned> read(const std::string& name) = 0;
  // Both return the new version.
  virtual Result<std::string> create(const std::string& name, std::string_view content) = 0;
  virtual Result<std::string> replace(const std::string& name, std::string_view content,
                                      const std::string& version) = 0;
};

// Whether conditions are heeded: kRefused when one that does not hold is not refused, or one that holds is. Some
// servers ignore them, and Ceph 16 finds that no ETag matches. Writes the object `name`, which is nobody's lease.
Result<> probe_conditions(ConditionalStore& store, const std::string& name);

struct LeaseOptions {
  std::string holder;  // unique to this process
  Duration ttl = 30s;
  Duration margin = 5s;  // for a write of ours that is still on its way when we stop
};

// One machine's view of a lease. REQUIRES margin < ttl.
class Lease {
 public:
  explicit Lease(LeaseOptions options);

  enum class Step : std::uint8_t { kWait, kCreate, kReplace, kLost };
  struct Order {
    Step step = Step::kWait;
    std::string version = {};  // kReplace: the one to replace
    // kCreate, kReplace: what to write. No two are the same, for the version of some servers is a hash of the content.
    std::string content = {};
  };

  // The object as it was read at `now`, nullopt: there is none. What to do towards holding it.
  Order see(const std::optional<Versioned>& found, Instant now);
  // The write that was ordered last was begun at `begun`, and is done, as this version.
  void done(std::string version, Instant begun);
  // Its condition did not hold. (Of a write that failed otherwise nothing is said: what was held is held to its fence.)
  void refused();

  // Whether what needs the lease may be done at `now`.
  bool held(Instant now) const;
  // When to look and write again: a third of the way to the fence, so that there is time for two more tries.
  Instant renew_at() const;

 private:
  Order write(Step step, std::string version);

  const LeaseOptions options_;
  std::string version_;  // ours, as it was written last; empty: not ours
  Instant begun_;        // of that write
  std::uint64_t writes_ = 0;
  bool lost_ = false;                // it was ours, and is another's
  std::optional<std::string> seen_;  // another's version
  Instant since_;                    // and when it was first seen
};

}  // namespace nines::storage
