// A consistent copy of an SQLite file that an application is writing to.
//
//   WAL mode               one read transaction, all pages through SQLite's backup API. Writers are never blocked; the
//                          WAL cannot be reset meanwhile, so it grows by what is written during the copy.
//   rollback journal       a step of pages at a time, with a pause between steps in which writers get their turn. A
//                          foreign write restarts SQLite's backup. After `restarts_max` of those:
//     └─ reconcile         the file is copied without any lock (the copy is inconsistent), then, under one shared lock,
//                          compared with the file block by block, and blocks that differ are written again. Writers
//                          wait for the comparison only, which reads from memory what was read a moment ago.
//
// The copy is one file without -wal or -journal. It keeps the source's journal mode.
#pragma once

#include <cstdint>
#include <string>

#include "backup/clock.h"
#include "base/error.h"

namespace nines::backup {

struct CopyOptions {
  int step_pages = 256;  // 1 MiB of the usual pages: a few milliseconds under the shared lock
  Duration between_steps = 3ms;
  int restarts_max = 5;          // each costs at most one pass, so this bounds the work wasted
  Duration busy_max = 30s;       // for a lock that another process does not let go
  Duration between_tries = 1ms;  // a busy writer leaves gaps of microseconds: they have to be met
};

struct CopyReport {
  enum class Way : std::uint8_t { kWal, kSteps, kReconciled };
  Way way{};
  std::uint64_t bytes = 0;
  int restarts = 0;
  Duration locked_max{0};  // the longest a writer may have had to wait for us in one go; 0 in WAL mode
  Duration took{0};
};
std::string_view name_of(CopyReport::Way way);

// `to` must not exist. Errors are those of sqlite_file.h; what was written of `to` stays there then. kUnavailable: the
// database was locked for `busy_max`.
Result<CopyReport> copy_database(const std::string& from, const std::string& to, const Clock& clock,
                                 const CopyOptions& options = {});

}  // namespace nines::backup
