// A database as of a commit, out of its chain.
//
//   epochs of the source ─► segments up to the moment ─► PATH.restoring ─► read again: digest, integrity_check ─► swap
//
// Each segment has to fit to the one before (chain.h), a gap is an error, and nothing is renamed before all of it was
// verified as it lies on the disk. The swap is that of restore.h: refused while a process has the database open; stale
// -wal, -shm and -journal are removed; the old file is kept.
#pragma once

#include <optional>
#include <string>

#include "backup/continuous/chain.h"
#include "backup/restore.h"

namespace nines::backup::continuous {

struct RestoreRequest {
  std::string source;             // the database's path, as its epochs have it
  WallTime at = WallTime::max();  // the last commit that was captured by then
  std::optional<SegmentKey> key;
  std::string to;                               // what it will replace
  std::optional<std::uint64_t> lineage, epoch;  // the latest that has something by then
};

struct Rebuilt {
  Staged staged;
  SegmentHeader head;  // of the last segment
};

// The verified file beside its place; nothing is left of it after an error. kNotFound: nothing was captured by then.
// kInvalid: a gap, damage, or another database than was captured. kRefused: the key.
Result<Rebuilt> rebuild(storage::Destination& destination, const RestoreRequest& request);

struct RestoredChain {
  SegmentHeader head;
  Swapped swapped;
};
// rebuild(), then swap(). `stamp` is for the kept file's name.
Result<RestoredChain> restore_chain(storage::Destination& destination, const RestoreRequest& request,
                                    const std::string& stamp);

}  // namespace nines::backup::continuous
