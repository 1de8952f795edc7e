// The loop's twin in memory, with simulated time: when nothing is ready, the clock jumps to the next timer.
// A test that waits ten simulated minutes takes microseconds, and the same seed plays the same run.
//
// Addresses are only names here. Streams deliver at once, through a buffer of `capacity` bytes a direction.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "net/loop.h"
#include "net/stream.h"

namespace nines::net {

struct MemorySocket;

class MemoryLoop final : public Loop {
 public:
  explicit MemoryLoop(std::size_t capacity = 64 * 1024) : capacity_(capacity) {}
  ~MemoryLoop() override { end_tasks(); }

  WallTime wall_now() const override { return WallTime{} + now().since_boot; }
  Task<Result<std::unique_ptr<Stream>>> connect(Address to, Duration timeout) override;
  Result<std::unique_ptr<Listener>> listen(const Address& at) override;

  // Another listener on the address of one that exists, as processes share a socket: a connection goes to one that
  // accepts, or waits for the first that does. REQUIRES: somebody listens there.
  std::unique_ptr<Listener> share(const Address& at);

  // Two ends of one connection, for tests that need no listener.
  std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> pair();

  // Lets simulated time pass, with everything that happens in it.
  void advance(Duration d);

 private:
  bool poll(Instant until) override;

  std::size_t capacity_;
  std::uint16_t next_port_ = 1;
  std::map<std::string, std::weak_ptr<MemorySocket>> sockets_;  // each lives as long as its listeners
};

}  // namespace nines::net
