#include "supervise/ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <set>

#include <doctest/doctest.h>

#include "base/fd.h"
#include "base/random.h"

namespace nines::supervise {
namespace {

constexpr std::size_t kAll = kLastPort - kFirstPort + 1;

TEST_CASE("ports: every port of the range is handed out once, then none") {
  PortAllocator ports(7);
  std::set<std::uint16_t> seen;
  for (std::size_t i = 0; i < kAll; ++i) {
    const auto port = ports.take(Instant{});
    REQUIRE(port);
    REQUIRE(*port >= 20000);
    REQUIRE(*port <= 29999);
    REQUIRE(seen.insert(*port).second);
  }
  CHECK(ports.take(Instant{}) == std::nullopt);
  ports.give_back(24'000, Instant{});
  CHECK(ports.take(Instant{60s - 1ns}) == std::nullopt);
  CHECK(ports.take(Instant{} + 60s) == 24'000);
}

TEST_CASE("ports: an excluded port never comes, not even after it was given back") {
  PortAllocator ports(7);
  const auto taken = ports.take(Instant{});
  REQUIRE(taken);
  ports.exclude(*taken);
  ports.exclude(25'000);
  ports.exclude(80);  // outside: nothing to do
  ports.give_back(*taken, Instant{});
  for (std::size_t i = 0; i < kAll - 2; ++i) {
    const auto port = ports.take(Instant{1h});
    REQUIRE(port);
    REQUIRE(*port != *taken);
    REQUIRE(*port != 25'000);
  }
  CHECK(ports.take(Instant{1h}) == std::nullopt);
}

TEST_CASE("ports: two supervisors seldom begin at the same place") {
  std::set<std::uint16_t> firsts;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) firsts.insert(PortAllocator(seed).take(Instant{}).value());
  CHECK(firsts.size() > 95);
  CHECK(*firsts.rbegin() - *firsts.begin() > 8000);
}

TEST_CASE("ports: no port twice at a time, none within its rest") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    PortAllocator ports(seed);
    Instant now{};
    std::set<std::uint16_t> taken;
    std::vector<Instant> given_back(65'536, Instant{-1h});
    for (int i = 0; i < 5000; ++i) {
      now = now + std::chrono::milliseconds(random.below(100));
      if (random.below(3) != 0 || taken.empty()) {
        const auto port = ports.take(now);
        REQUIRE(port);
        REQUIRE(taken.insert(*port).second);
        REQUIRE(now - given_back[*port] >= 60s);
      } else {
        const auto port = *taken.begin();
        taken.erase(port);
        given_back[port] = now;
        ports.give_back(port, now);
      }
    }
  }
}

struct Listener {
  Fd socket;
  std::uint16_t port = 0;
};

Listener listen_on(const std::string& address) {
  const bool v6 = address.contains(':');
  Listener listener{Fd(::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))};
  const int on = 1;
  ::setsockopt(listener.socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_storage storage{};
  if (v6) {
    auto& a = reinterpret_cast<sockaddr_in6&>(storage);
    a.sin6_family = AF_INET6;
    ::inet_pton(AF_INET6, address.c_str(), &a.sin6_addr);
  } else {
    auto& a = reinterpret_cast<sockaddr_in&>(storage);
    a.sin_family = AF_INET;
    ::inet_pton(AF_INET, address.c_str(), &a.sin_addr);
  }
  socklen_t size = v6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
  if (::bind(listener.socket.get(), reinterpret_cast<sockaddr*>(&storage), size) != 0) return listener;
  ::listen(listener.socket.get(), 1);
  ::getsockname(listener.socket.get(), reinterpret_cast<sockaddr*>(&storage), &size);
  listener.port =
      ntohs(v6 ? reinterpret_cast<sockaddr_in6&>(storage).sin6_port : reinterpret_cast<sockaddr_in&>(storage).sin_port);
  return listener;
}

TEST_CASE("ports: a port is taken whatever address its listener chose") {
  for (const std::string address : {"127.0.0.1", "0.0.0.0", "127.0.0.2", "::1", "::"}) {
    CAPTURE(address);
    Listener listener = listen_on(address);
    if (listener.port == 0) continue;  // no such address on this machine
    CHECK_FALSE(port_is_free(listener.port));
    listener.socket.reset();
    CHECK(port_is_free(listener.port));
  }
}

}  // namespace
}  // namespace nines::supervise
