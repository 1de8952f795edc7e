// A log, line by line, across its rotations: from a place in it to the end of what there is, and on with what is added.
// A follower that falls behind finds the next file by its own one's place among the rotated ones, so nothing is left
// out as long as the files are kept. Emptied, or removed and made again, a log begins anew. It is asked when there may
// be something; it waits for nothing. Holds at most what one call hands out, and one line.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/time.h"
#include "supervise/log_history.h"
#include "supervise/log_times.h"

namespace nines::cli {

struct LogLine {
  std::optional<WallTime> at;  // when it was written, to the 100 ms before; nullopt: not known
  std::string text;            // without its newline
};

class LogFollower {
 public:
  // A line longer than this is handed out in pieces.
  static constexpr std::size_t kLineMax = 64 * 1024;

  // A place in a log that stays the same when the file is renamed.
  struct Mark {
    supervise::FileId file;
    off_t offset = 0;
  };

  // From the beginning of the newest file, which need not be there yet.
  explicit LogFollower(std::string path);
  // From there in one of the log's files.
  LogFollower(std::string path, supervise::LogFile file, off_t from);

  // The lines that were completed since the last time. Takes at most about 1 MiB, so that one loud file does not
  // silence the others.
  std::vector<LogLine> read();

  // Adds lines of the next 64 KiB at most, and none after the mark. False at the mark, or at the end of what there is.
  bool read_up_to(const Mark& mark, std::vector<LogLine>& lines);
  // The beginning of a line whose end is not there yet; it will not be handed out again.
  std::optional<LogLine> take_unfinished();

 private:
  void open(supervise::LogFile file, off_t from);
  bool open_newest();
  bool was_replaced() const;
  bool open_next();
  // False at the end of what there is, or at the mark.
  bool read_some(const std::optional<Mark>& mark, std::vector<LogLine>& lines);
  void take(std::string_view bytes, off_t from, std::vector<LogLine>& lines);
  void end_line(std::vector<LogLine>& lines);

  std::string path_;
  Fd file_;
  supervise::FileId id_;
  off_t at_ = 0;
  supervise::LineClock clock_;
  LogLine partial_;
};

}  // namespace nines::cli
