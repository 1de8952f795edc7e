// A log with its rotated files as one text: where in it the lines since a moment begin, where those until a moment end,
// where the last N lines begin. It finds places and reads no more than it must; who wants the lines reads on from
// there.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <compare>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/time.h"

namespace nines::supervise {

// Which file it is, whatever its name has become.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;
  auto operator<=>(const FileId&) const = default;
};
FileId id_of(const struct stat& status);
WallTime modified_at(const struct stat& status);
// What is there under this name now.
std::optional<FileId> id_of(const std::string& path);

// One file of a log, open, with the times that belong to it; without, when they could not be had.
struct LogFile {
  Fd file;
  Fd times;
  FileId id;
  off_t size = 0;       // when it was opened
  WallTime modified{};  // when it was opened
};
// Errors: kNotFound; kUnavailable when it is being rotated, time and again.
Result<LogFile> open_log_file(const std::string& path);

// Those that exist of path, path.1, path.2, …: as numbers, oldest first.
std::vector<int> generations_of(const std::string& path);
std::string name_of_generation(const std::string& path, int generation);

class LogHistory {
 public:
  struct Place {
    std::size_t file = 0;  // 0 is the oldest
    off_t offset = 0;
    auto operator<=>(const Place&) const = default;
  };

  // The files as they are at one moment, between two rotations. Errors: kNotFound when there is none.
  static Result<LogHistory> open(const std::string& path);

  Place end() const;
  // The start of the first line that may have been written at `t` or later: those that certainly were are all behind
  // it, and lines of up to kTimesSpan (and a tick of the clock) before, or more where the times are not known.
  Place since(WallTime t) const;
  // The end of the last line that may have been begun at `t` or earlier.
  Place until(WallTime t) const;
  // The start of the last `count` lines before `end`, which is the end of a line or of all.
  Place tail(Place end, std::size_t count) const;

  const LogFile& file(Place place) const { return files_[place.file]; }
  // It has that file no more.
  LogFile take(Place place) { return std::move(files_[place.file]); }

 private:
  explicit LogHistory(std::vector<LogFile> files) : files_(std::move(files)) {}

  std::vector<LogFile> files_;  // oldest first, at least one
};

}  // namespace nines::supervise
