// When the bytes of a log were written. A log is the raw output of a replica, so that tail and grep work on it; the
// times are kept in a file beside it, LOG.times, which goes with it through every rotation:
//
//   | offset in the log, 8 bytes | wall time in ns, 8 bytes |  …  native byte order, in the order of the log
//
// A record says that the bytes from its offset to the next record's were written at its time or within kTimesSpan after
// it. What comes before the first record was written no later than that record's time. What comes after the last one
// was written no later than the log's mtime. It is written before the bytes it is about, so a killed writer leaves at
// most a record without bytes.
//
// Whatever is missing, torn or out of order costs precision, never lines: who asks for a time gets none, who looks for
// what was written since a moment gets too much rather than too little.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "base/fd.h"
#include "base/time.h"

namespace nines::supervise {

inline constexpr Duration kTimesSpan = 100ms;

struct TimeRecord {
  std::uint64_t offset = 0;
  WallTime at{};
};
static_assert(sizeof(TimeRecord) == 16);

std::string times_file_of(const std::string& log);

// Never fails: what cannot be written is forgotten, with all before it, and begun anew. One thread.
class TimesWriter {
 public:
  // Its file may be as large as the log's, but holds at least two records.
  explicit TimesWriter(std::uint64_t max_bytes) : records_max_(std::max<std::uint64_t>(2, max_bytes / 16)) {}

  // Goes on with the times of a log of this size that was last written at `modified`.
  void open(const std::string& log, std::uint64_t size, WallTime modified);
  // Begins those of a log that is empty.
  void begin(const std::string& log);
  // The bytes from `offset` on are being written at `at`.
  void note(std::uint64_t offset, WallTime at);
  // note() would need a record for which there is no room: time for a new log.
  bool is_full(WallTime at) const { return count_ >= records_max_ && !covers(at); }

 private:
  bool covers(WallTime at) const { return count_ > 0 && at >= last_.at && at - last_.at < kTimesSpan; }
  bool was_removed() const;
  bool trust_what_is_there(std::uint64_t size, WallTime modified);
  bool write(TimeRecord record, std::uint64_t index);
  void forget();

  std::uint64_t records_max_;
  std::string path_;
  Fd file_;
  std::uint64_t count_ = 0;
  TimeRecord last_;  // if count_ > 0
};

// The records of a file in their order; also one that grows. Holds 4 KiB.
class TimesReader {
 public:
  // Without a file there are no records.
  explicit TimesReader(Fd file = Fd()) : file_(std::move(file)) {}

  // nullopt at the end, where it can be asked again later, and from the first record that is out of order on.
  std::optional<TimeRecord> next();
  void rewind();
  // The file has become shorter than what was read of it.
  bool was_cut() const;

 private:
  bool fill();

  Fd file_;
  off_t at_ = 0;  // of what follows the buffer
  std::array<TimeRecord, 256> buffer_;
  std::size_t taken_ = 0, filled_ = 0;
  std::uint64_t offset_ = 0;
  bool broken_ = false;
};

// The time of one line after another.
class LineClock {
 public:
  explicit LineClock(Fd times = Fd()) : reader_(std::move(times)) {}

  // There may be records that were not there when last asked. To be called after the log was read and before at(), for
  // the records are written first.
  void refresh();
  // For offsets that do not decrease between two calls of rewind().
  std::optional<WallTime> at(std::uint64_t offset);
  void rewind();

 private:
  TimesReader reader_;
  std::optional<TimeRecord> current_, next_;
  bool more_ = true;
};

}  // namespace nines::supervise
