// The -wal and -shm files beside a database, read without any lock: others write to them meanwhile. What is read is
// believed only as far as checksums go. Blocking; one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "backup/continuous/wal.h"
#include "base/error.h"
#include "base/fd.h"

namespace nines::backup::continuous {

class WalFile {
 public:
  // kNotFound: there is none, which is a log without transactions.
  static Result<WalFile> open(const std::string& database);

  // Nothing: no log begins here (empty, or being begun).
  Result<std::optional<WalHeader>> header() const;
  // As many of a frame's bytes as there are; frames count from 0. Valid until the next call.
  Result<std::string_view> frame(std::uint64_t index, std::uint32_t page_size);
  // Into a buffer of a frame's size, whatever was read before. Zeros, which are no frame: the log is shorter.
  Result<> frame_uncached(std::uint64_t index, std::span<char> into) const;
  Result<std::uint64_t> bytes() const;

 private:
  explicit WalFile(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
  std::string buffer_;  // of many frames, as one call to the system costs more than a frame
  std::uint64_t buffer_first_ = 0;
};

// How far the log is visible to its readers, in the -shm file. A frame behind that may have been written completely by
// a process that was killed before it said so; the next writer overwrites it.
struct WalIndex {
  std::uint32_t salt1 = 0, salt2 = 0;
  std::uint64_t frames = 0;
};
enum class WalIndexState : std::uint8_t {
  kThere,
  kNone,      // nobody has the database open, or one alone: what is in the log counts
  kChanging,  // two copies that differ; look again soon
};

// Closing it drops every POSIX lock that this process has on the -shm file: it must outlive each connection of ours to
// the same database, as must any other descriptor of the database's files.
class WalIndexFile {
 public:
  explicit WalIndexFile(const std::string& database);
  WalIndexState read(WalIndex& index) const;

 private:
  Fd fd_;
};

}  // namespace nines::backup::continuous
