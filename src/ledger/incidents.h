// Incidents: what the events of the record come to. A rebuildable function of them: fed the same rows in the same order
// it says the same, whoever asks and whenever. Pure.
//
//   of the service   from the first second that was not well to the first of those that were (app/meter.h): users
//   noticed of a replica     from a crash, a hang or a failed check to `ready` again. A crash that no user saw is one,
//   and is no
//                    downtime
//
// The cause of a service's incident is the gravest thing known to have happened from kBefore before its onset to its
// end; what people did (a deploy, an end) only if it was before. What happened to its replicas meanwhile are incidents
// of their own, and named in it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "ledger/event.h"

namespace nines::ledger {

// In ascending order of what is believed when several are known.
enum class Cause : std::uint8_t {
  kUnknown,
  kUpstream,  // requests failed, and every replica was alive and well: what they answered, or what they need
  kCheck,     // a health check failed
  kCanary,    // the answer to the golden request was wrong
  kHang,      // alive, and no byte came
  kExit,      // a process ended by itself
  kMemory,    // ... since it took more than it may
  kGateway,   // nines' own data path ended
  kDeploy,    // of a release that was being deployed
  kStopped,   // a person ended the service
  kHost,      // the machine, or all of nines at once
};
std::string_view name_of(Cause cause);  // "exit"

struct Incident {
  enum class Severity : std::uint8_t {
    kNone,      // no user noticed
    kDegraded,  // a share of the requests failed
    kDown,
  };

  std::uint64_t id = 0;  // the seq of the row that began it
  std::string target;    // a replica; empty: the service
  Severity severity = Severity::kNone;
  Cause cause = Cause::kUnknown;
  std::string evidence;               // in words, of the cause
  WallTime last_good{};               // it began after this,
  WallTime first_bad{};               // at this at the latest
  WallTime detected{};                // when it was in the record
  std::optional<WallTime> ended;      // nullopt: it goes on
  std::uint64_t failed_requests = 0;  // of the service's, once it has ended
  bool counted_in_part = false;       // ... at least: what an earlier shared table had counted of it is not in there
  std::vector<std::string> replicas;  // concerned, each once
  std::vector<std::uint64_t> rows;    // evidence, at most kRowsOfOne; ascending seq
  // What people said of it, with who did at its end.
  struct Remark {
    std::uint64_t seq = 0;
    WallTime at{};
    std::string text;
    bool operator==(const Remark&) const = default;
  };
  std::optional<Remark> acknowledged;    // the first
  std::vector<Remark> notes;             // also why it was merged
  std::optional<std::uint64_t> part_of;  // the incident it was merged into: they were one
  std::vector<std::uint64_t> parts;      // that were merged into it

  bool of_service() const { return target.empty(); }
  bool operator==(const Incident&) const = default;
};
std::string_view name_of(Incident::Severity severity);

class Incidents {
 public:
  static constexpr Duration kBefore = 30s;  // a cause may come so long before what it causes
  static constexpr std::size_t kRowsOfOne = 50;

  // The kinds of rows that say something; others may be left out.
  static std::span<const std::string_view> kinds();
  // ... of what people say, later, perhaps much later: these may come after all others. Of an incident that is not
  // there they say nothing.
  static std::span<const std::string_view> remark_kinds();

  // Rows in ascending seq, each once.
  void add(const Row& row);

  // In the order in which they began; those that go on, too.
  std::vector<Incident> all() const;

 private:
  struct Happened {
    std::uint64_t seq = 0;
    WallTime at{};
    Cause cause{};
    std::string words;
    std::string replica;  // concerned; empty: none
  };
  void remark(const Row& row);
  void merge(const Row& row);
  Incident* find(std::int64_t id);
  void mind_table(const Event& event);
  void step_clock(Duration step);
  void begin_of_service(const Row& row, Incident::Severity severity);
  void end_of_service(const Row& row);
  void begin_of_replica(const Row& row, Cause cause);
  void end_of_replica(const Row& row);
  void remember(const Row& row, Cause cause, const std::string& words, const std::string& replica = "");
  static bool may_explain(const Incident& incident, const Happened& happened);
  void explain(Incident& incident, const Happened& happened);

  std::vector<Incident> incidents_;
  std::optional<std::size_t> service_;           // the one that goes on
  std::uint64_t table_ = 0;                      // that events came through last; 0: not known
  std::map<std::string, std::size_t> replicas_;  // those that go on
  std::vector<Happened> lately_;                 // within kBefore
  std::optional<std::int64_t> deploy_;           // the release under way
};

}  // namespace nines::ledger
