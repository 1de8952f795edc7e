// Whether the server in a container listens on the port of its image. A published port answers as soon as the container
// runs, since the engine's own proxy listens there: a connection proves nothing. The kernel's table for the network of
// the container's first process does.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string_view>

#include "base/error.h"

namespace nines::supervise {

enum class InsidePort : std::uint8_t {
  kClosed,
  kLoopbackOnly,  // on 127.0.0.1 or ::1 in the container, which the engine does not reach
  kOpen,
};

// `tcp` and `tcp6` as in /proc/PID/net/tcp and tcp6. Lines of any other shape are passed over.
InsidePort find_inside_port(std::string_view tcp, std::string_view tcp6, std::uint16_t port);

// Reads both, some 20 µs, or 10 ms on a machine with a large table of connections. kNotFound: the process is gone.
Result<InsidePort> look_inside(pid_t pid, std::uint16_t port);

}  // namespace nines::supervise
