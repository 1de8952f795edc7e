// A backup as a whole, for the command line and for the keeper's schedule alike:
//
//   lock ─► copy databases ─► integrity_check of each copy ─► archive ─► read back ─► proof ─► keep rules
//             │ into STATE/backup-work                          │ visible only when it is whole and on disk
//             └ one that does not exist is told                 └ not what was written: removed, and an error
//
// Everything blocks. Nothing of a run that fails or dies is left in the destination under the name of an archive, but
// for one that died between making it visible and reading it back: such an archive is whole, and not verified yet.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backup/archive.h"
#include "backup/catalogue.h"
#include "backup/clock.h"
#include "backup/manifest.h"
#include "backup/retention.h"
#include "backup/schedule.h"
#include "backup/sqlite_copy.h"
#include "base/error.h"
#include "storage/destination.h"

namespace nines::backup {

struct Source {
  std::string name;  // as the configuration has it; goes into the manifest
  std::string path;  // where it is now
};

struct Plan {
  std::string service;
  std::string nines;  // version
  std::string host;
  std::vector<Source> databases;
  std::vector<Source> files;  // or folders: then every file below them
  std::optional<Source> configuration;
  std::string state;  // the folder for lock, catalogue and work in progress; made if need be
  std::shared_ptr<storage::Destination> destination;
  std::optional<Keep> keep;  // nullopt: nothing is deleted
  Clock clock;
  LocalOffset offset;
  CopyOptions copy = {};
};

struct CopiedDatabase {
  std::string name;
  CopyReport copy;
};

struct Report {
  std::string archive;  // its name
  std::string where;    // and the whole of it
  std::uint64_t bytes = 0;
  std::string sha256;
  WallTime created{};  // every row acknowledged before it is in the archive
  Duration took{0};
  std::vector<CopiedDatabase> databases;
  std::size_t files = 0;
  std::vector<std::string> missing;  // databases that do not exist
  std::vector<std::string> removed;  // archives, by the keep rules
  std::vector<std::string> notes;    // what a person should know: an archive that could not be removed, a damaged one
};

// Errors: kExists another run holds the lock; kLimit no space; kUnavailable a database stays locked or a file changes
// all the time; kInvalid a source is damaged or no database. The failure is noted in the catalogue.
Result<Report> take(const Plan& plan);

// An archive in a destination, and what is known about it.
struct Archive {
  storage::Object object;
  WallTime time{};             // of its name
  std::optional<Proof> proof;  // nullopt: not verified yet
  bool verified() const { return proof && proof->damage.empty(); }
  // Named after a moment that has not come: made while the clock was wrong. It is an archive all the same, but neither
  // the newest nor a reason to make none.
  bool from_the_future(WallTime now) const { return time > now + kClockSlack; }
  static constexpr Duration kClockSlack = 1min;
};

std::string catalogue_file(const std::string& state);

// Oldest first.
Result<std::vector<Archive>> list(storage::Destination& destination, const Catalogue& catalogue);

// What the schedule wants to know; archives from the future count for nothing.
Past past_of(std::span<const Archive> archives, const Failure* failed, WallTime now);

// What a restore takes where nobody names one: the newest verified archive of this service, or nullptr.
const Archive* newest_of(std::span<const Archive> archives, const std::string& service, WallTime now);

// Reads an archive completely, and has SQLite check each database in it. Writes the databases below `work`, and removes
// them. kInvalid: what is wrong with the archive.
Result<Contents> verify(storage::Destination& destination, const std::string& name, const std::string& work);

// verify(), and the outcome into the catalogue. Other errors than kInvalid prove nothing, and are not noted.
Result<Contents> prove(storage::Destination& destination, const storage::Object& object, const std::string& state,
                       Catalogue& catalogue, WallTime now);

}  // namespace nines::backup
