// Writes lines to a descriptor from a thread of its own, so that a terminal that was halted (Ctrl-S), a pager that
// is not read or a full disk never holds up whoever has something to say. A supervisor must not stand still because
// nobody reads what it prints, nor stay because of it.
//
// Lines wait in a bounded queue; beyond it they are left out and counted, and the count is printed. After a write
// error everything is left out. Thread-safe.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "base/time.h"

namespace nines::cli {

class LineWriter {
 public:
  static constexpr std::size_t kQueueMax = 4096;
  static constexpr Duration kPatience = 200ms;

  // Borrows the descriptor. The thread takes no signals: they are for whoever waits for them.
  explicit LineWriter(int fd);
  // Waits until everything is written, for kPatience at most. A thread that hangs in a write is left behind then: it
  // may still write the line it is at, and nothing after it.
  ~LineWriter();
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  // Without its newline.
  void line(std::string text);

 private:
  struct Shared;

  std::shared_ptr<Shared> shared_;  // with the thread, which may outlive us
  std::thread thread_;
};

}  // namespace nines::cli
