// Which sockets of this network namespace listen on a TCP port, or at the path of a Unix socket.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace nines::supervise {

struct ListeningSocket {
  std::uint64_t inode;  // as in the link /proc/PID/fd/N -> socket:[inode]
  bool ipv6;
  std::array<std::uint32_t, 4> address;  // network byte order; IPv4 has one word, the rest is 0
};

Result<std::vector<ListeningSocket>> listening_sockets(std::uint16_t port);

// The two ways it asks. The first costs some 10 µs and is not known to every container; the second
// always works, but /proc/net/tcp makes the kernel walk its whole table of connections, empty or not: 10 ms with
// 262,144 slots (a machine with 24 GB). (Its listening sockets come first, so stopping early seems to avoid
// that; it does not, because each read looks for the record after the last it returns.)
Result<std::vector<ListeningSocket>> listening_sockets_by_netlink(std::uint16_t port);
Result<std::vector<ListeningSocket>> listening_sockets_by_proc(std::uint16_t port);

// The inodes of the stream sockets that listen and were bound to this very path, whatever its name in the file system
// is by now. The fallback is cheap here: /proc/net/unix lists only what exists.
Result<std::vector<std::uint64_t>> listening_unix_sockets(std::string_view path);
Result<std::vector<std::uint64_t>> listening_unix_sockets_by_netlink(std::string_view path);
Result<std::vector<std::uint64_t>> listening_unix_sockets_by_proc(std::string_view path);

}  // namespace nines::supervise
