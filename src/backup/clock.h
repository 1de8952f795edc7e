// Time for a backup, as its caller knows it: nothing in this module asks the system, so tests bring their own.
#pragma once

#include <functional>

#include "base/time.h"

namespace nines::backup {

struct Clock {
  std::function<WallTime()> wall;
  std::function<Instant()> boot;
  std::function<void(Duration)> pause;  // blocks for about so long
};

// How far local time is ahead of UTC at a moment.
using LocalOffset = std::function<std::chrono::seconds(WallTime)>;

// By the system's time zone (TZ, /etc/localtime).
std::chrono::seconds system_offset(WallTime t);

}  // namespace nines::backup
