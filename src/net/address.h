// Where something listens or is reached: an IPv4 or IPv6 address with a port, or the path of a Unix socket.
// A value; comparing and hashing it is cheap. Host names are not addresses: only "localhost" is understood.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace nines::net {

class Address {
 public:
  Address() = default;  // no address: family AF_UNSPEC

  // "127.0.0.1:8000", "[::1]:8000", "localhost:8000", ":8000" (every IPv4 interface), "unix:/run/x.sock".
  // Port 0 is accepted: the kernel then chooses when listening.
  static Result<Address> parse(std::string_view text);
  static Address loopback(std::uint16_t port);
  // REQUIRES: the path fits sockaddr_un (107 bytes); otherwise kLimit.
  static Result<Address> unix_path(std::string_view path);
  static Address from(const sockaddr* address, socklen_t length);

  std::string text() const;    // as parse() takes it
  std::string host() const;    // without the port: "127.0.0.1", "::1", "unix:"
  std::uint16_t port() const;  // 0 for a Unix socket
  bool is_unix() const { return storage_.un.sun_family == AF_UNIX; }
  bool is_set() const { return length_ != 0; }

  int family() const { return storage_.un.sun_family; }
  const sockaddr* get() const { return &storage_.any; }
  socklen_t length() const { return length_; }

  friend bool operator==(const Address& a, const Address& b);

 private:
  union Storage {
    sockaddr any;
    sockaddr_un un{};  // the largest of those in use: 110 bytes
  } storage_;
  socklen_t length_ = 0;
};

}  // namespace nines::net
