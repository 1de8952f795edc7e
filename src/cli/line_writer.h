// Writes lines to a descriptor from a thread of its own, so that a terminal that was halted (Ctrl-S), a pager that
// is not read or a full disk never holds up whoever has something to say. A supervisor must not stand still because
// nobody reads what it prints.
//
// Lines wait in a bounded queue; beyond it they are left out and counted, and the count is printed. After a write
// error everything is left out. Thread-safe.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

namespace nines::cli {

class LineWriter {
 public:
  static constexpr std::size_t kQueueMax = 4096;

  // Borrows the descriptor. The thread takes no signals: they are for whoever waits for them.
  explicit LineWriter(int fd);
  // Waits until everything is written.
  ~LineWriter();
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  // Without its newline.
  void line(std::string text);

 private:
  void run();
  void write_all(const std::string& text);

  int fd_;
  bool broken_ = false;  // the thread's own
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> queue_;  // these three: guarded by mutex_
  std::size_t left_out_ = 0;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace nines::cli
