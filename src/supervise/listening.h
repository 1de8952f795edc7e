// The proof that a listening socket belongs to a replica. A port that answers proves nothing: another
// process may have taken it first, and routing to it would hand requests to a stranger.
//
// Asks the kernel for the sockets that listen on the port, or at the path, and looks for them in /proc/PID/fd of the
// replica's processes. Costs tens of microseconds while nobody listens yet or when the leader owns the socket, so it
// may be called every 25 ms; only a socket owned by a worker costs a walk over /proc.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/error.h"

namespace nines::supervise {

struct Listening {
  enum class Family : std::uint8_t { kIpv4, kIpv6, kUnix };

  pid_t owner_pid = 0;            // a process of the replica that holds the socket; 0: none does
  Family family = Family::kIpv4;  // kIpv4: connect to 127.0.0.1; kIpv6: it is only on ::1 or ::, connect to ::1
  bool loopback_only = true;      // false: reachable from other machines around the gateway; warn
  bool foreign = false;           // somebody else listens where the gateway would connect

  // With SO_REUSEPORT a stranger may share the port and receive half of the connections: no proof then.
  bool proven() const { return owner_pid != 0 && !foreign; }
};

// Who listens on `port`; nullopt when nobody does (yet). `leader` is the replica's Process::pid(): the members of
// its process group and of its session count as the replica.
// Errors: kRefused when /proc does not let us look into the replica's processes (it changed its user).
Result<std::optional<Listening>> find_listener(pid_t leader, std::uint16_t port);
// The same of a Unix socket, bound to this very path.
Result<std::optional<Listening>> find_listener(pid_t leader, std::string_view path);

}  // namespace nines::supervise
