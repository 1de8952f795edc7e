// What is added to a log file, line by line, across its rotations: the file renamed and a new one in its place,
// emptied, removed and made again. It is asked when there may be something; it waits for nothing.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/fd.h"

namespace nines::cli {

class LogFollower {
 public:
  // A line longer than this is handed out in pieces.
  static constexpr std::size_t kLineMax = 64 * 1024;

  // The file need not be there yet; `from` is where to begin in it.
  LogFollower(std::string path, off_t from);

  // The lines that were completed since the last time, without their newlines. Takes at most about 1 MiB, so that one
  // loud file does not silence the others.
  std::vector<std::string> read();

 private:
  bool open();
  bool was_replaced() const;
  // False at the end of what there is.
  bool read_some(std::vector<std::string>& lines);
  void take(std::string_view bytes, std::vector<std::string>& lines);
  void end_line(std::vector<std::string>& lines);

  std::string path_;
  Fd file_;
  off_t at_;
  std::string partial_;
};

// The last lines of a log and where the follower goes on, agreeing with each other as well as a file that grows
// allows.
struct LogEnd {
  std::vector<std::string> lines;
  off_t size = 0;
};
LogEnd end_of_log(const std::string& path, std::size_t lines);

}  // namespace nines::cli
