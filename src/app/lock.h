// One service per state folder. An flock: it is gone with the process that held it, however that died.
#pragma once

#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace nines::app {

class StateLock {
 public:
  // kExists when another process holds it; the message names its pid and what to do (`nines status`, `nines down`).
  static Result<StateLock> take(const std::string& path);
  // The lock itself: it lives as long as any copy of this descriptor, in whatever process.
  Fd release() && { return std::move(fd_); }

 private:
  explicit StateLock(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

// Writes our pid into the lock, for the message above: whoever holds it on calls it again.
void sign_lock(int fd);

}  // namespace nines::app
