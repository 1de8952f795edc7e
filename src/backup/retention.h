// Which archives stay. Rules as restic's: an archive stays when any rule wants it. Pure.
//
// Beyond restic's:
//   - Only verified archives count as kept: one that nobody has read back fills no place of a rule. They are not
//     deleted either; verifying them (which each backup does with one) brings them under the rules.
//   - The newest verified archive is never deleted, nor is the newest that holds every database.
//   - An archive that lacks a database (it did not exist at that time) never takes the place of one that has it: the
//     rules hold for complete and for incomplete archives separately.
//   - What another service put into the same folder is left alone.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "backup/clock.h"
#include "base/time.h"

namespace nines::backup {

// 0 is a rule that wants nothing.
struct Keep {
  int last = 0;
  int hourly = 0, daily = 0, weekly = 0, monthly = 0;  // the newest of each of the last so many that have one
  Duration within{0};                                  // all at most so much older than the newest
  bool operator==(const Keep&) const = default;
};

struct Candidate {
  WallTime time{};
  bool verified = true;
  bool complete = true;
  bool ours = true;
};

struct Decision {
  bool keep = true;
  std::string why;  // "daily", "within", "newest"; empty when it goes
};

// One decision for each candidate, in their order.
std::vector<Decision> decide(std::span<const Candidate> candidates, const Keep& keep, const LocalOffset& offset);

}  // namespace nines::backup
