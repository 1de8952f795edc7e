// Continuous capture of one database from outside the process that writes it: step() is called several times a second,
// looks, and ships what was committed since as one segment, which was read back and fits its chain when step() returns.
//
//   look ─► decide (policy.h) ─► read the log's tail, or compare all pages in a read transaction
//            └ idle: a few reads of headers  └► segment into STATE/segment ─► put ─► read back, applied to the ledger
//
// What is not shipped when this process dies is still in the database and its log. STATE/ledger is the ledger as of
// some segment; after a restart the chain itself brings it up to date, and capture goes on without a snapshot. Where
// that is not possible, a new epoch begins, with the reason in its manifest.
//
// Nothing is ever written to the database or its log: no table, no journal mode, no checkpoint. Memory: 16 bytes a
// page, and kTailBytesMax. Disk: one segment in STATE. Blocking; one thread; no other connection of this process may
// have the database open (frozen_database.h).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "backup/clock.h"
#include "backup/continuous/chain.h"
#include "backup/continuous/frozen_database.h"
#include "backup/continuous/policy.h"
#include "backup/run_lock.h"
#include "storage/destination.h"

namespace nines::backup::continuous {

struct CaptureOptions {
  std::string database;
  std::string state;  // a folder for this database and this destination alone
  std::shared_ptr<storage::Destination> destination;
  std::optional<SegmentKey> key;
  Clock clock;
  std::function<std::uint64_t()> new_lineage;  // a number nobody has had
  Duration busy_max = 5s;
  // A longer tail of the log is not read into memory: all pages are compared instead.
  std::uint64_t tail_bytes_max = 64 << 20;
  // A restart reads as many segments again at most.
  int segments_per_save = 64;
};

struct StepReport {
  enum class What : std::uint8_t { kNothing, kWaiting, kShipped, kCompared, kSnapshot };
  What what = What::kNothing;
  std::uint64_t commits = 0;
  std::uint32_t pages = 0;
  bool forked = false;
  Duration frozen{0};  // how long the read transaction was held
};

class Capture {
 public:
  // kExists: another process captures with this state.
  static Result<Capture> open(CaptureOptions options);

  // After an error nothing is lost, and the next step tries again. kNotFound: there is no database (yet).
  Result<StepReport> step();
  // True: the ledger is the live database, at a commit. False: that could not be said, as there was no quiet
  // moment; ask again after a step. kInvalid: pages differ, and a new lineage begins at the next step.
  Result<bool> audit();

  // Where the chain is; nothing before the first snapshot.
  const Replay& chain() const { return chain_; }
  Result<> save();

 private:
  struct Tail;
  explicit Capture(CaptureOptions options, RunLock lock) : options_(std::move(options)), lock_(std::move(lock)) {}

  Result<> resume();
  Result<> begin_epoch(std::uint64_t lineage, std::uint64_t number, const std::string& why);
  Result<Sight> look();
  Result<std::optional<Tail>> read_tail(bool from_start);
  Result<StepReport> ship(Tail tail);
  Result<StepReport> compare(bool forked);
  Result<> write_segment(const SegmentHeader& header, const std::function<Result<>(SegmentWriter&)>& content);
  Result<> store(const SegmentHeader& header);
  SegmentHeader next_header() const;
  std::string ledger_path() const { return options_.state + "/ledger"; }
  std::string spool_path() const { return options_.state + "/segment"; }

  CaptureOptions options_;
  RunLock lock_;
  bool resumed_ = false;
  std::uint64_t lineage_ = 0, epoch_ = 0;
  Replay chain_;
  Position position_;
  std::optional<FileStamp> compared_;  // the file when its pages were compared; nothing: not known to be the same still
  DatabaseFile file_;
  Pace pace_;
  int since_save_ = 0;
};

}  // namespace nines::backup::continuous
