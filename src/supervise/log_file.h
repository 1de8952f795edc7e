// A replica's output on disk, and the pipe it comes through.
//
//   replica --stdout, stderr--> FIFO --reader--> log, log.1 … log.4
//
// The reader is log_pump.h; log_spool.h is what keeps its death from costing a line.
//
// Beside each log file are the times at which its bytes were written (log_times.h).
//
// Both ends open the FIFO for reading and writing, so the reader's death breaks nothing: the replica gets no
// SIGPIPE, and what it wrote meanwhile waits in the pipe for the next reader.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "supervise/log_spool.h"
#include "supervise/log_times.h"

namespace nines::supervise {

// An append-only log of bounded size: `path` is the newest file, `path`.1 the one before. Cut between lines
// where a line fits. Writes reach the page cache, there is no fsync: losing the last lines in a power
// failure is worth less than a log that can stall its reader. One thread.
class RotatingLog {
 public:
  struct Options {
    std::string path;
    std::uint64_t max_bytes = 10ULL << 20;  // of each file, and of its times
    int max_files = 5;                      // including the newest; at least 1
  };

  // Continues an existing file.
  static Result<RotatingLog> open(Options options);
  // Opens it at the first append, and tries again at every further one until that works.
  explicit RotatingLog(Options options) : options_(std::move(options)), times_(options_.max_bytes) {}

  // Never fails and never waits: what cannot be written (disk full) is dropped and counted, and a line saying so
  // goes first once writing works again. A file that somebody removed is made anew, one that was emptied begins again.
  // `spool`: where the bytes are from; it is told what becomes of them.
  void append(std::string_view bytes, WallTime at, LogSpool* spool = nullptr);

  // Where the next byte goes.
  LogSpool::Place place() const { return file_ ? LogSpool::Place{inode_, size_} : LogSpool::Place{}; }

  std::uint64_t dropped_bytes() const { return dropped_bytes_; }  // since open()
  const std::string& path() const { return options_.path; }

 private:
  Result<> open_file();
  void look_at_file();
  bool rotate();
  void append_cut(std::string_view bytes, WallTime at, LogSpool* spool);
  std::string_view head_that_fits(std::string_view bytes) const;
  bool write_all(std::string_view bytes);
  void drop(std::size_t bytes);
  std::string name(int generation) const;

  Options options_;
  Fd file_;
  TimesWriter times_;
  std::uint64_t inode_ = 0;
  std::uint64_t size_ = 0;
  bool at_line_start_ = true;
  std::uint64_t dropped_bytes_ = 0;
  std::uint64_t unreported_bytes_ = 0;  // dropped since the last line that said so
};

// The last `count` lines, oldest first, without their newlines; continues into `path`.1 when the newest file has too
// few. Reads at most 256 KiB of each; a longer line loses its beginning. Errors: kNotFound.
Result<std::vector<std::string>> tail_lines(const std::string& path, std::size_t count);

// Makes the FIFO if it is not there and opens it for the reader: non-blocking, never at end of file. Holds up to 1 MiB
// where the system allows. Errors: kExists when something that is no FIFO is in the way.
Result<Fd> open_log_fifo(const std::string& path);

// The replica's end, for Command::log: blocking, since most programs treat EAGAIN on stdout as fatal.
Result<Fd> open_log_fifo_writer(const std::string& path);

// The same two, of a FIFO that may have lost its name: by another descriptor of it, or by the process that writes to
// it.
Result<Fd> reopen_log_fifo(int fd);
Result<Fd> open_log_fifo_writer_of(pid_t pid, const std::string& path);

}  // namespace nines::supervise
