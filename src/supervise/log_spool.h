// What has left a replica's pipe and may not be in its log yet: one small file in the run folder for each replica.
//
//   FIFO --splice(2)--> spool --> log
//
// A reader may be killed at any instruction. The kernel takes bytes out of the pipe as it writes them into the spool,
// so each is in one or the other; and before the bytes go into the log, the spool says where in it they go, so the next
// reader sees by the size of the log how many of them are there. Every line is in the log once.
//
// Why not splice(2) into the log itself: the kernel holds the pipe's lock until the write has ended, and a disk that
// stalls would block the replica at its next line, not once the pipe is full. The run folder is in memory nearly
// everywhere.
//
//   | magic, 8 | from, 8 | inode, 8 | size, 8 | bytes, up to kSpoolBytes                        native byte order
//
// `from`: so many of the bytes are in the log, or were dropped. inode: the log that the others go into, behind its
// first `size` bytes; 0: none of them was begun.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"

namespace nines::supervise {

inline constexpr std::size_t kSpoolBytes = 64 * 1024;

// One thread, one reader at a time.
class LogSpool {
 public:
  // A log as it is: its file, and how long that is.
  struct Place {
    std::uint64_t inode = 0;  // 0: there is none
    std::uint64_t size = 0;
  };

  // Without a file: what it has taken dies with the reader.
  LogSpool() = default;
  // Takes over what a reader that was killed left.
  static Result<LogSpool> open(const std::string& path);

  // What of that is not in the log. Once, before the first take().
  std::string_view left(Place log);
  // Moves what is in the pipe, at most kSpoolBytes. Empty: nothing is there. A folder without room, or where splice(2)
  // is not known, costs what this is for, and no line. REQUIRES cleared.
  std::string_view take(int pipe);

  // The next of these bytes are about to be written at the end of that log.
  void writing(Place log);
  // So many of them were written, or dropped.
  void wrote(std::size_t bytes);
  // All of them were.
  void clear();

 private:
  void save(Place log);
  std::string_view read_pipe(int pipe);

  Fd file_;
  std::string bytes_;
  std::size_t from_ = 0;
  Place left_for_;
  bool safe_ = false;  // the bytes are in the file
};

}  // namespace nines::supervise
