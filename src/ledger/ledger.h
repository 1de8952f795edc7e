// The record: what happened, in the order the keeper learnt it, in one SQLite file that people may open with ordinary
// tools. Rows are only appended, each carries the hash of the one before it, and the oldest go when they are too old or
// too many. Pages and bytes: docs/internals/ledger.md.
//
// One process writes (the keeper); any number read (ledger/reader.h). A Ledger belongs to one thread. Every call
// blocks: append() for an fsync, now and then three (0.3 to 24 ms measured), and for up to kBusyTimeout while somebody
// else holds the file; open() and verify() read all of it (100,000 rows: 30 ms and 200 ms).
//
// Errors, of every call:
//   kInvalid      the file is damaged, or no longer where it was. Drop the Ledger and call open_or_set_aside()
//   kRefused      not ours, or written by a newer nines: nothing was touched, and nothing may be
//   kUnavailable  somebody else holds it; trying again may help
//   kIo, kLimit   the disk is full, read-only or failing, or a limit was reached; the message says what to do
// After an error nothing of that call is in the record: the caller keeps its events and its position, and calls again.
// A Ledger that returned an error stays usable, except after kInvalid.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/error.h"
#include "base/time.h"
#include "ledger/event.h"
#include "ledger/slice.h"

namespace nines::ledger {

inline constexpr Duration kBusyTimeout = 2s;
// So many damaged ledgers are kept beside the new one. More is a failing disk, which a person must see to.
inline constexpr std::size_t kSetAsideMax = 20;

// What may be removed, oldest first. Of slices: kept_for() in slice.h.
struct Retention {
  Duration max_age = std::chrono::days(400);
  std::uint64_t max_rows = 1'000'000;  // about 200 MB
  // Never removed because of their age: a wall clock that is wrong for a minute must not empty the record.
  std::uint64_t min_rows = 10'000;
};

struct Size {
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;         // of the file and its write-ahead log
  std::optional<WallTime> oldest;  // of the rows that are there
};

struct Appended {
  std::size_t recorded = 0;        // new in the record
  std::size_t known = 0;           // at or before the position: in the record already
  std::size_t repeated_exits = 0;  // a process that ended before under another number
  std::uint64_t lost = 0;          // numbers that were skipped: recorded as events_lost
};

// Where the chain breaks first.
struct Break {
  std::uint64_t seq = 0;  // 0: every row is whole, but an index or a page beside them is not
  std::string why;
};
struct Verification {
  std::uint64_t rows = 0;                     // that were found in order
  std::uint64_t first_seq = 0, last_seq = 0;  // of these; 0: none
  Hash last_hash{};                           // of the last of these: the head of the chain, if it is whole
  std::optional<Break> broken;
};

// The first coarse slice that is not the sum of the finer ones it is made of.
struct SliceBreak {
  Grain grain{};
  std::int64_t start = 0;  // Unix seconds
  std::string why;
};

struct Position {
  std::uint64_t table_id = 0;
  std::uint64_t number = 0;
};

// How far a table's counters were taken into slices: what the writer of slices knew last, in its own bytes, so that
// another one takes the difference.
struct Sampled {
  std::uint64_t table_id = 0;
  std::string counters;    // at most kCountersMax bytes
  std::int64_t until = 0;  // Unix seconds: as far as the last slice is judged
  std::string boot_id;
  bool operator==(const Sampled&) const = default;
};
inline constexpr std::size_t kCountersMax = 64 * 1024;

// What the slices of a stretch of time come to.
struct Total {
  Slice sum;                      // sum.start is where it begins
  std::int64_t from = 0, to = 0;  // the stretch it is of: what was asked for, or where finer slices are gone already,
                                  // the shortest around it that there is

  std::uint64_t unknown() const { return static_cast<std::uint64_t>(to - from) - sum.known(); }  // seconds
};

struct Pruned {
  std::uint64_t rows = 0;
  bool more = false;         // there is more to remove: call again, when there is time
  std::uint64_t slices = 0;  // of all grains
};

class Ledger {
 public:
  // Makes the ledger if there is none, brings an older one to this version's form, and looks for damage: its pages,
  // the chain of its last rows, and its newest slices.
  static Result<Ledger> open(const std::string& path);

  // The same for a keeper that must go on: a damaged ledger (kInvalid) is moved to PATH.damaged-YYYYmmdd-HHMMSS with
  // what belongs to it, and a new one begins, whose first event says so (kind::kSetAside). Other errors are returned.
  // REQUIRES, as open(): no other Ledger of this process has the file open.
  static Result<Ledger> open_or_set_aside(const std::string& path, const Moment& now);

  Ledger(Ledger&&) noexcept;
  Ledger& operator=(Ledger&&) noexcept;
  ~Ledger();

  // Records what is new of `events` and the position behind them, in one transaction; durable on return. Events of one
  // log come with ascending numbers; those at or before its position are skipped. Numbers left out between the position
  // and an event, or between two events, become a row events_lost: unknown, never nothing. The first event ever seen of
  // a log may have any number.
  Result<Appended> append(std::span<const Event> events);

  // The same for events that could not be read any more. What the position already covers is not lost: true if a row
  // was written.
  Result<bool> lost(const Loss& loss);

  // The number of the last event of this log that is in the record; 0: none. Read the log on from the one behind it.
  Result<std::uint64_t> position(std::uint64_t table_id) const;
  // Of the log that was written to the record last.
  Result<std::optional<Position>> latest_position() const;

  // Adds slices of ten seconds, each to the slices of every grain that it lies in, and keeps how far the counters were
  // taken, in one transaction; durable on return. The same ten seconds may come in parts, of several keepers. kLimit:
  // a slice would have more seconds than ten, so one of them is told twice; nothing of the call is in the record, as to
  // cut it would be a guess which of the two is right. REQUIRES starts that are multiples of ten within kSecondMax, and
  // at most kAddedAtOnce slices (some 20 ms).
  Result<> add(std::span<const Slice> ten_seconds, const Sampled& sampled);
  static constexpr std::size_t kAddedAtOnce = 1000;

  // The same for a stretch in which the state is known, and nobody was there to see each second. Of each grain only
  // what would be kept today is written: of a year some 80,000 rows. A call writes 5,000 (some 10 ms), keeps `sampled`
  // with an `until` of how far it came, and returns that: call again from there while it is before the end, also after
  // a crash. REQUIRES from <= to, within kSecondMax; and that the stretch was long by a clock that does not jump.
  Result<std::int64_t> fill(const Stretch& stretch, Sampled sampled, const Moment& now);
  Result<std::optional<Sampled>> sampled(std::uint64_t table_id) const;
  // Of the table that slices were taken from last.
  Result<std::optional<Sampled>> latest_sampled() const;

  // Removes what `retention` no longer keeps, up to 10,000 rows a call (some 30 ms), and leaves an anchor from which
  // the rest can be verified. Then slices that are older than they are kept (slice.h), about 10,000 of each grain;
  // never one of the newest of its grain, so many as are kept when none is missing: a wall clock that is wrong for a
  // minute takes nothing. Disk space is used again, not given back.
  Result<Pruned> prune(const Retention& retention, const Moment& now);

  Result<Size> size() const;

  // Walks the whole chain, then looks at pages and indexes. A break is an answer, not an error.
  Result<Verification> verify() const;

 private:
  struct Open;
  explicit Ledger(std::unique_ptr<Open> open);
  std::unique_ptr<Open> open_;
};

}  // namespace nines::ledger
