#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <charconv>
#include <cstddef>
#include <cstring>

#include "base/check.h"
#include "base/text.h"

namespace nines::net {
namespace {

static_assert(sizeof(sockaddr_un) >= sizeof(sockaddr_in6));

std::unexpected<Error> not_an_address(std::string_view text) {
  return failure(Code::kInvalid, "\"" + std::string(text) +
                                     "\" is not an address: write 127.0.0.1:8000, [::1]:8000, localhost:8000, :8000 "
                                     "or unix:/path");
}

}  // namespace

Address Address::from(const sockaddr* address, socklen_t length) {
  INVARIANT(length <= sizeof(Storage));
  Address result;
  std::memcpy(&result.storage_, address, length);
  result.length_ = length;
  return result;
}

Address Address::loopback(std::uint16_t port) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(port);
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return from(reinterpret_cast<const sockaddr*>(&in), sizeof in);
}

Result<Address> Address::unix_path(std::string_view path) {
  sockaddr_un un{};
  if (path.empty() || path.size() >= sizeof un.sun_path) {
    return failure(Code::kLimit, "the path of a Unix socket has 1 to 107 bytes, not " + std::to_string(path.size()) +
                                     ": " + std::string(path));
  }
  un.sun_family = AF_UNIX;
  std::memcpy(un.sun_path, path.data(), path.size());
  return from(reinterpret_cast<const sockaddr*>(&un),
              static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1));
}

Result<Address> Address::parse(std::string_view text) {
  if (text.starts_with("unix:")) return unix_path(text.substr(5));
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return not_an_address(text);
  const auto port = parse_unsigned(text.substr(colon + 1));
  if (!port || *port > 65535) return not_an_address(text);
  std::string host(text.substr(0, colon));
  if (host == "localhost") host = "127.0.0.1";
  if (host.empty()) host = "0.0.0.0";

  if (host.starts_with('[') && host.ends_with(']')) {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(static_cast<std::uint16_t>(*port));
    if (inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &in.sin6_addr) != 1) return not_an_address(text);
    return from(reinterpret_cast<const sockaddr*>(&in), sizeof in);
  }
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(static_cast<std::uint16_t>(*port));
  if (inet_pton(AF_INET, host.c_str(), &in.sin_addr) != 1) return not_an_address(text);
  return from(reinterpret_cast<const sockaddr*>(&in), sizeof in);
}

std::string Address::host() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (family() == AF_INET) {
    // Not inet_ntop, which prints by sprintf: every request asks for this.
    const auto* const bytes =
        reinterpret_cast<const std::uint8_t*>(&reinterpret_cast<const sockaddr_in*>(&storage_)->sin_addr);
    char* end = text;
    for (int i = 0; i < 4; ++i) {
      if (i > 0) *end++ = '.';
      end = std::to_chars(end, text + sizeof text, bytes[i]).ptr;
    }
    return {text, end};
  }
  if (family() == AF_INET6) {
    inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_addr, text, sizeof text);
  } else if (is_unix()) {
    return "unix:";
  }
  return text;
}

std::uint16_t Address::port() const {
  if (family() == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in*>(&storage_)->sin_port);
  if (family() == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_port);
  return 0;
}

std::string Address::text() const {
  if (!is_set()) return "nowhere";
  if (is_unix()) return std::string("unix:") + storage_.un.sun_path;
  const std::string port_text = std::to_string(port());
  return family() == AF_INET6 ? "[" + host() + "]:" + port_text : host() + ":" + port_text;
}

bool operator==(const Address& a, const Address& b) {
  return a.length_ == b.length_ && std::memcmp(&a.storage_, &b.storage_, a.length_) == 0;
}

}  // namespace nines::net
