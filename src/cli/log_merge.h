// The lines of several logs in the order of their times. Lines of one log keep their order whatever their times are
// (a clock may have been set back); of lines with the same time, those of the first log come first; a line without a
// time follows the one before it at once. Pure.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "cli/log_follower.h"

namespace nines::cli {

class LogMerge {
 public:
  // Adds the next lines of one log, perhaps none yet; false at its end.
  using Source = std::function<bool(std::vector<LogLine>&)>;

  struct Line {
    std::size_t source;
    LogLine line;
  };

  explicit LogMerge(std::vector<Source> sources);

  // Reads from a source only when all its lines are gone, so that this holds one portion of each.
  std::optional<Line> next();

 private:
  struct Head {
    Source source;
    std::vector<LogLine> lines;
    std::size_t taken = 0;
    WallTime at{};  // of the next line, or the last one before it that has a time
  };

  static bool fill(Head& head);

  std::vector<Head> heads_;
};

}  // namespace nines::cli
