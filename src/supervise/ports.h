// Ports for replicas, on loopback, from a range outside the ephemeral one (32768-60999), where no outgoing
// connection can sit on them. PortAllocator is pure; whether a port is free on this machine is asked apart.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.h"

namespace nines::supervise {

inline constexpr std::uint16_t kFirstPort = 20000;
inline constexpr std::uint16_t kLastPort = 29999;
// A port rests this long after its replica is gone: late connections to the old replica must not meet a new
// one, and TIME_WAIT lasts as long.
inline constexpr Duration kPortRest = 60s;

class PortAllocator {
 public:
  // The seed spreads where the search starts, so that two supervisors on one machine seldom meet.
  explicit PortAllocator(std::uint64_t seed);

  // The next free port, or nullopt when all are taken, resting or excluded. The owner asks port_is_free()
  // and, if it is not, gives it back and takes another.
  std::optional<std::uint16_t> take(Instant now);
  void give_back(std::uint16_t port, Instant now);  // REQUIRES taken
  // Taken already, by a process that is adopted. A port outside the range is not ours to keep a book of.
  void claim(std::uint16_t port);
  // Never handed out from now on: the gateway's own listeners, ports named in the configuration. Any port.
  void exclude(std::uint16_t port);

 private:
  struct Slot {
    Instant free_at{};  // never(): taken
    bool excluded = false;
  };
  std::vector<Slot> slots_;
  std::size_t next_;
};

// Nobody listens on this port, on any address: tried by binding as servers do, with SO_REUSEADDR. False
// when it cannot be known. Only a hint, somebody may take it the next moment; the proof is find_listener().
bool port_is_free(std::uint16_t port);

}  // namespace nines::supervise
