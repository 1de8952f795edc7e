// A process that is about to be killed.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace nines::demo {

// Held fast by a pidfd: who looks, after taking hold, whether it is still the one that is meant, can hit no other.
class Victim {
 public:
  Victim() = default;
  // Of a pid that is none (0), or not any more, nothing is held.
  explicit Victim(std::uint64_t pid);

  std::uint64_t pid() const { return pid_; }
  bool held() const { return static_cast<bool>(process_); }
  // kill -9
  Result<> kill() const;

 private:
  std::uint64_t pid_ = 0;
  Fd process_;
};

}  // namespace nines::demo
