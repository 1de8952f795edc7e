// Every classification, in an SQLite file that all replicas share.
//
// The database must never cost an answer: add() only queues, and one thread writes. What that thread cannot write
// stays queued and is tried again until it can, through locks, a full disk, a damaged or vanished file. When the queue
// is full, the newest rows are dropped and counted.
//
//   add ──► queue ──► batch ──► one transaction ──► written
//             │ full    ▲ │ error: close, wait, open again
//             ▼         └─┘
//          dropped
//
// The request's id is the key: a request that was replayed on another replica is one row.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "database.h"

namespace nines::language_id {

struct HistoryRow {
  std::string request_id;
  std::string time;  // RFC 3339, UTC
  std::string text;
  std::string label;
  double confidence = 0;
  std::int64_t pid = 0;
};

struct HistoryOptions {
  std::string path;
  std::size_t queue_max = 10'000;  // rows that wait
  std::size_t batch_max = 500;     // rows of one transaction
  Duration busy_timeout = 5s;      // for locks of other processes
  Duration retry_pause = 500ms;    // after an error
  // Called from the writing thread, when trouble begins and ends.
  std::function<void(const std::string&)> log = [](const std::string&) {};
};

class History {
 public:
  explicit History(HistoryOptions options);
  ~History() { close(); }

  // From any thread; does not wait for the disk.
  void add(HistoryRow row);

  // written + dropped + queued = added. A row that was there already counts as written.
  struct Counts {
    std::uint64_t written = 0;
    std::uint64_t dropped = 0;
    std::uint64_t queued = 0;
    std::string trouble;  // why nothing can be written at present; empty when all is well
  };
  Counts counts() const;

  // The last rows, newest first. Blocks, on a connection of its own; from any thread. kIo, kInvalid, kUnavailable.
  Result<std::vector<HistoryRow>> newest(int limit) const;

  // Writes what is queued, or drops it if that fails, and ends. Blocks, for two busy timeouts at most. Rows that are
  // added afterwards are dropped. One caller at a time.
  void close();

 private:
  struct Open {
    Database database;
    Statement insert;
  };

  void work();
  bool wait_for_rows();
  Result<> write_batch();
  Result<> ensure_open();
  Result<> insert_batch();
  void on_written();
  void on_trouble(const Error& error);
  void drop_rest();

  const HistoryOptions options_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<HistoryRow> queue_;  // guarded by mutex_, as are counts_ and closing_
  Counts counts_;
  bool closing_ = false;

  // The writing thread's alone.
  std::optional<Open> open_;
  std::vector<HistoryRow> batch_;
  int failures_ = 0;  // in a row
  bool said_ = false;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace nines::language_id
