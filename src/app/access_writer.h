// Writes down what the workers of a gateway put into their access logs: STATE/logs/access.log, JSON lines, five files
// of at most 10 MiB.
//
// A thread of its own, since a disk may be slow: workers never wait for it. What finds no room in a worker's buffer, or
// on the disk, is dropped and counted; a line {"time":…,"dropped":N} says so once there is room again.
//
// Two gateways write into the same file while one takes over from the other: each batch of whole lines is one append,
// and a lock keeps one rotation from undoing another. A file that somebody removed is made anew.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "gateway/access_log.h"

namespace nines::app {

// One file that rotates, shared with other processes. One thread.
class SharedLog {
 public:
  struct Options {
    std::string path;
    std::uint64_t max_bytes = 10ULL << 20;  // of each file; a larger batch gets one of its own
    int max_files = 5;                      // the newest included; at least 2
  };
  explicit SharedLog(Options options) : options_(std::move(options)) {}

  // Whole lines. How many of them are lost, because the file took no more.
  std::uint64_t append(std::string_view lines);

 private:
  bool open();
  bool is_current() const;
  bool rotate();

  Options options_;
  Fd file_;
  bool torn_ = false;  // the last line was cut: the disk was full
};

class AccessWriter {
 public:
  // Begins at once when there is something to write down. `dropped` is called with how many lines were, when some were;
  // on the writer's thread.
  AccessWriter(gateway::AccessLogged what, SharedLog::Options file, std::size_t workers,
               std::function<void(std::uint64_t)> dropped = {});
  // Writes what there is. REQUIRES: the workers add nothing any more.
  ~AccessWriter();

  gateway::AccessLog& log(std::size_t worker) { return *logs_[worker]; }

 private:
  void run();
  void write();
  void report_dropped();

  SharedLog file_;
  std::function<void(std::uint64_t)> dropped_;
  std::vector<std::unique_ptr<gateway::AccessLog>> logs_;
  std::string batch_, lines_;
  std::uint64_t lost_ = 0;  // by the file
  // Of all that were dropped: in the file, and to `dropped_`.
  std::uint64_t reported_ = 0, told_ = 0;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool something_ = false;  // under mutex_
  bool ends_ = false;       // under mutex_
  std::thread thread_;
};

}  // namespace nines::app
