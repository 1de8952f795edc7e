// One simulated user's connection: blocking, reopened when needed, one exchange at a time.
#pragma once

#include <sys/socket.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"
#include "base/time.h"
#include "load/load.h"
#include "load/response_parser.h"

namespace nines::load {

Instant now();

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;

  // "HOST:PORT"; brackets around an IPv6 address. Names are resolved, once.
  static Result<Address> parse(std::string_view text);
};

struct Fault {
  Kind kind;
  std::string detail;
};

class Connection {
 public:
  Connection(const Address& address, Duration timeout) : address_(address), timeout_(timeout) {}

  // Sends `request` once and reads its response, opening a connection first when there is none. nullopt: response()
  // is complete and well-formed, whatever its status. After a Fault the connection is closed.
  std::optional<Fault> exchange(std::string_view method, std::string_view request);

  const ResponseParser& response() const { return response_; }
  std::uint64_t opened() const { return opened_; }

 private:
  std::optional<Fault> run(std::string_view request);
  std::optional<Fault> open();
  std::optional<Fault> check_idle();
  std::optional<Fault> send_all(std::string_view request);
  std::optional<Fault> receive();
  std::optional<Fault> wait_for(short events);

  const Address& address_;
  const Duration timeout_;
  Instant deadline_;
  Fd fd_;
  bool fresh_ = false;  // opened for this very request, so part of the time-out is spent
  std::uint64_t opened_ = 0;
  ResponseParser response_;
};

}  // namespace nines::load
