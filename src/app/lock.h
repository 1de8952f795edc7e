// One supervisor per state folder. An flock: it is gone with the process that held it, however that died.
#pragma once

#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace nines::app {

class StateLock {
 public:
  // kExists when another process holds it; the message names its pid and what to do (`nines status`, `nines down`).
  static Result<StateLock> take(const std::string& path);
  // Writes our pid into it, for the message above: call it again in the process that stays, after a fork.
  void sign();

 private:
  explicit StateLock(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace nines::app
