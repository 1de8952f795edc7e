// What a new supervisor does about the processes it finds: the next of a service whose supervisor was killed goes on
// with them. Pure: who found them, and what the shared table or the state file says, are arguments.
//
//   the book says          found                          then
//   a process              that very one                  it is adopted
//   a process              not                            its exit is due: recorded once, then a new one is started
//   an incarnation         one that carries a later one   killed between the fork and the note: adopted
//   an incarnation         what carries this one          left of a process that has ended: ended
//   nothing, or torn       some                           the latest is adopted; it carries its port in its tag
//   whatever               an incarnation before that     ended: two incarnations never run at once
//   whatever               workers without a leader       ended; those of one that is adopted are left alone
//   whatever               a half-made child              ended: forked by a supervisor that died before it could exec
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace nines::supervise {

// A living process that carries the service's tag.
struct Found {
  pid_t pid = 0;
  pid_t parent = 0;
  std::uint64_t start_time = 0;
  bool leader = false;  // of its session: a replica's first process, not one of its workers
  std::string part;     // "gateway", or a replica's name
  std::uint64_t incarnation = 0;
  std::uint16_t port = 0;
  bool operator==(const Found&) const = default;
};

// What the book says about one replica, or about the gateway or the keeper.
struct Expected {
  std::string part;
  std::uint64_t incarnation = 0;  // 0: none, or not known
  pid_t pid = 0;                  // 0: none, or not known
  std::uint64_t start_time = 0;   // 0: not known
};

struct Adoption {
  std::optional<Found> process;
  bool exit_due = false;  // the process in the book is gone
  bool operator==(const Adoption&) const = default;
};

struct AdoptionPlan {
  std::vector<Adoption> parts;     // one for each that was expected, in their order
  std::vector<Found> end;          // to be killed
  std::uint64_t incarnations = 0;  // the highest that any process carries
};

AdoptionPlan plan_adoption(std::span<const Expected> expected, std::span<const Found> found);

}  // namespace nines::supervise
