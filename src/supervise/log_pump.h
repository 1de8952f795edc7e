// From a replica's pipe into its log, a piece at a time, by a reader that may be killed at any instruction.
#pragma once

#include <utility>

#include "supervise/log_file.h"
#include "supervise/log_spool.h"

namespace nines::supervise {

// One thread, and one pump for a pipe at a time.
class LogPump {
 public:
  // Begins with what the one before had taken and not written.
  LogPump(Fd fifo, LogSpool spool, RotatingLog log, WallTime now)
      : fifo_(std::move(fifo)), spool_(std::move(spool)), log_(std::move(log)) {
    append(spool_.left(log_.place()), now);
    spool_.clear();
  }

  // True: there may be more. Bounded, so that a replica that writes without end does not keep the others' output
  // waiting.
  bool pump(WallTime now) {
    constexpr int kPiecesMax = 16;
    for (int i = 0; i < kPiecesMax; ++i) {
      const std::string_view bytes = spool_.take(fifo_.get());
      if (bytes.empty()) return false;
      append(bytes, now);
      spool_.clear();
    }
    return true;
  }

  int pipe() const { return fifo_.get(); }

 private:
  void append(std::string_view bytes, WallTime now) {
    if (!bytes.empty()) log_.append(bytes, now, &spool_);
  }

  Fd fifo_;
  LogSpool spool_;
  RotatingLog log_;
};

}  // namespace nines::supervise
