// Who the client is, when proxies are between it and us. Each proxy adds the address it got the request from to
// X-Forwarded-For, at the end; anybody can send the field, so only what a proxy that we trust has added is true.
//
//   10.0.0.7, 10.0.0.8 trusted; the peer is 10.0.0.8
//   X-Forwarded-For: 1.2.3.4, 203.0.113.9, 10.0.0.7
//                       |           |          +-- added by the peer: a proxy of ours
//                       |           +-- added by 10.0.0.7: the client
//                       +-- what the client says of itself
//
// Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace nines::gateway {

class Networks {
 public:
  // An address of either family and how many of its bits count. kInvalid: it is none.
  Result<> add(const std::string& ip, int prefix);
  // False for what is no address, such as the peer of a Unix socket.
  bool contain(std::string_view ip) const;
  bool empty() const { return networks_.empty(); }

 private:
  struct Network {
    std::array<std::uint8_t, 16> address;  // IPv4 as ::ffff:a.b.c.d
    int prefix;
  };
  std::vector<Network> networks_;
};

// `forwarded_for`: the field's values, joined by commas. The address as it was written, without a port. What is no
// address ends the search: who would put it there hides something, and the last proxy that is ours is known.
std::string client_address(std::string_view peer, std::string_view forwarded_for, const Networks& trusted);

// What the peer says of those before it (X-Forwarded-For, X-Forwarded-Proto) is handed on: it is trusted, or nobody
// has said who is.
bool hands_on_forwarded(std::string_view peer, const Networks& trusted);

}  // namespace nines::gateway
