#include "supervise/ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/check.h"
#include "base/fd.h"
#include "base/random.h"

namespace nines::supervise {
namespace {

constexpr std::size_t kPorts = kLastPort - kFirstPort + 1;

bool in_range(std::uint16_t port) { return port >= kFirstPort && port <= kLastPort; }
std::size_t slot_of(std::uint16_t port) { return static_cast<std::size_t>(port - kFirstPort); }

enum class Bound : std::uint8_t { kYes, kNo, kNoSuchFamily };

Bound try_to_bind(const sockaddr* address, socklen_t size) {
  const Fd socket(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return errno == EAFNOSUPPORT ? Bound::kNoSuchFamily : Bound::kNo;
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address->sa_family == AF_INET6) ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (::bind(socket.get(), address, size) == 0) return Bound::kYes;
  return errno == EADDRNOTAVAIL ? Bound::kNoSuchFamily : Bound::kNo;
}

Bound try_ipv4(std::uint16_t port, in_addr_t host) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(host);
  return try_to_bind(reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

Bound try_ipv6(std::uint16_t port) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  address.sin6_addr = in6addr_any;
  return try_to_bind(reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

}  // namespace

PortAllocator::PortAllocator(std::uint64_t seed) : slots_(kPorts), next_(Random(seed).below(kPorts)) {}

void PortAllocator::claim(std::uint16_t port) {
  if (in_range(port)) slots_[slot_of(port)].free_at = Instant::never();
}

std::optional<std::uint16_t> PortAllocator::take(Instant now) {
  for (std::size_t tried = 0; tried < kPorts; ++tried) {
    const std::size_t at = next_;
    next_ = (next_ + 1) % kPorts;
    Slot& slot = slots_[at];
    if (slot.excluded || slot.free_at > now) continue;
    slot.free_at = Instant::never();
    return static_cast<std::uint16_t>(kFirstPort + at);
  }
  return std::nullopt;
}

void PortAllocator::give_back(std::uint16_t port, Instant now) {
  INVARIANT(in_range(port));
  Slot& slot = slots_[slot_of(port)];
  INVARIANT(slot.free_at == Instant::never());
  slot.free_at = now + kPortRest;
}

void PortAllocator::exclude(std::uint16_t port) {
  if (in_range(port)) slots_[slot_of(port)].excluded = true;
}

bool port_is_free(std::uint16_t port) {
  // A server on [::1] alone blocks none of the IPv4 addresses, so IPv6 is asked too.
  return try_ipv4(port, INADDR_LOOPBACK) == Bound::kYes && try_ipv4(port, INADDR_ANY) == Bound::kYes &&
         try_ipv6(port) != Bound::kNo;
}

}  // namespace nines::supervise
