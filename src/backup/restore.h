// Putting back what an archive holds.
//
//   verify() ─► stage ─► (caller stops whoever uses the files) ─► swap ─► (caller starts them)
//                 │                                                 │
//                 └ PATH.restoring, beside PATH: same file system,  └ PATH is replaced by one rename
//                   complete and on disk
//
// What a kill -9 leaves. Before swap: everything as it was, besides PATH.restoring, which the next stage writes anew.
// In swap, for each database: PATH is the old one until the rename and the new one from then on, and
// PATH.before-restore-STAMP is the old one from before the rename on. A run that is repeated ends as if the first had
// not been interrupted.
//
// Why that holds: the old database's -wal and -journal are first brought into it (settle()), so that PATH alone is the
// database, and removing the empty leftovers beside it loses nothing. Where SQLite cannot do that, since the old one is
// damaged, -wal and -journal get their second name beside the kept file's first; then an interrupted run may leave the
// damaged file without its -wal at PATH, and complete below its kept name.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "backup/backup.h"
#include "backup/sqlite_file.h"

namespace nines::backup {

// One file that will be replaced.
struct Staged {
  Kind kind{};
  std::string name;    // as the configuration has it
  std::string path;    // what it will replace
  std::string staged;  // where it is now
  std::uint64_t bytes = 0;
};

struct Staging {
  Contents contents;
  std::vector<Staged> items;
  std::vector<std::string> not_in_archive;  // named by the configuration
  std::vector<std::string> not_wanted;      // databases in the archive that the configuration does not name
  std::vector<std::string> unchanged;       // model files that are as in the archive
};

struct Wanted {
  std::vector<Source> databases;
  std::vector<Source> files;  // or folders; only those that are missing or different are replaced
};

// REQUIRES that verify() accepted the archive; what it is now must still be that (kInvalid). Nothing but PATH.restoring
// is written, and nothing of it is left when this fails.
Result<Staging> stage(storage::Destination& destination, const std::string& name, const std::string& sha256,
                      const Wanted& wanted);
void discard(const Staging& staging);
// What was written of a staged file is on the disk, and belongs to whom the old one belongs to.
Result<> sync_staged(const Staged& item);

struct Swapped {
  std::string name;
  std::string path;
  std::string kept;        // where the old file is now; empty: there was none
  bool kept_alone = true;  // false: its -wal or -journal is beside it, below the matching name
};

// kRefused: a process has a database open, and nothing was touched. After another error some files are swapped and some
// are not; each is whole.
Result<std::vector<Swapped>> swap(std::span<const Staged> items, const std::string& stamp);

// A restore that has begun to stop replicas, in STATE/restore.json: a repeated run starts what the first one stopped,
// and gives the kept files the same names.
struct Unfinished {
  std::string archive;
  std::string stamp;
  std::vector<std::string> stopped;  // names of replicas
  bool operator==(const Unfinished&) const = default;
};
std::optional<Unfinished> load_unfinished(const std::string& state);
Result<> save_unfinished(const std::string& state, const Unfinished& unfinished);
void clear_unfinished(const std::string& state);

}  // namespace nines::backup
