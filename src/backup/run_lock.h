// STATE/backup.lock: one backup, verification or restore at a time. An flock, gone with its process.
#pragma once

#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace nines::backup {

class RunLock {
 public:
  // Makes `state` if need be. kExists: another run has it; the message names its process.
  static Result<RunLock> take(const std::string& state);

 private:
  explicit RunLock(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace nines::backup
