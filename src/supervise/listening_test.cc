#include "supervise/listening.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

#include "supervise/ports.h"
#include "supervise/procfs.h"
#include "supervise/sockets.h"
#include "supervise/test_support.h"

namespace nines::supervise {
namespace {

using testing::eventually, testing::Running, testing::shell;
using Family = Listening::Family;

std::uint16_t free_port() {
  static PortAllocator ports(static_cast<std::uint64_t>(::getpid()));
  for (;;) {
    const auto port = ports.take(Instant{}).value();
    if (port_is_free(port)) return port;
  }
}

std::string server_command(std::uint16_t port, const std::string& address) {
  return "python3 -m http.server --bind " + address + " " + std::to_string(port);
}

std::optional<Listening> listener_of(pid_t leader, std::uint16_t port) { return find_listener(leader, port).value(); }

Fd listen_here(std::uint16_t port, const char* address) {
  Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  sockaddr_in name{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {}, .sin_zero = {}};
  ::inet_pton(AF_INET, address, &name.sin_addr);
  REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
  REQUIRE(::listen(socket.get(), 1) == 0);
  return socket;
}

// What a replica's own listener looks like, for the addresses a server may choose.
TEST_CASE("listening: a replica's socket is recognised, and so is an open door") {
  struct Row {
    std::string address;
    Family family;
    bool loopback_only;
  };
  const Row rows[] = {
      {"127.0.0.1", Family::kIpv4, true}, {"0.0.0.0", Family::kIpv4, false},         {"::1", Family::kIpv6, true},
      {"::", Family::kIpv6, false},       {"::ffff:127.0.0.1", Family::kIpv4, true},
  };
  for (const Row& row : rows) {
    CAPTURE(row.address);
    const std::uint16_t port = free_port();
    Running server(spawn(shell("exec " + server_command(port, row.address))));
    std::optional<Listening> found;
    // An address this machine does not have ends the server instead.
    REQUIRE(eventually([&] { return (found = listener_of(server->pid(), port)) || server->try_reap(); }));
    if (server->reaped()) continue;
    CHECK(found->owner_pid == server->pid());
    CHECK(found->family == row.family);
    CHECK(found->loopback_only == row.loopback_only);
    CHECK(found->proven());
    server->kill_group();
    REQUIRE(server.wait());
    CHECK(eventually([&] { return !listener_of(server->pid(), port); }));
  }
}

TEST_CASE("listening: a worker's socket counts, in the leader's group or a group of its own") {
  for (const std::string own_group : {"", "os.setpgid(0, 0);"}) {
    CAPTURE(own_group);
    const std::uint16_t port = free_port();
    const std::string script = "import os, time\nif not os.fork(): " + own_group + " os.execlp('sh', 'sh', '-c', '" +
                               server_command(port, "127.0.0.1") + "')\ntime.sleep(1000)";
    Running leader(spawn({.argv = {"python3", "-c", script}}));
    std::optional<Listening> found;
    REQUIRE(eventually([&] { return (found = listener_of(leader->pid(), port)).has_value(); }));
    CHECK(found->proven());
    CHECK(found->owner_pid != leader->pid());
    CHECK(read_process_stat(found->owner_pid)->session == leader->pid());
  }
}

TEST_CASE("listening: nobody, a stranger, and a port beside") {
  Running replica(spawn({.argv = {"sleep", "1000"}}));
  const std::uint16_t port = free_port();
  CHECK(listener_of(replica->pid(), port) == std::nullopt);
  Fd mine = listen_here(port, "127.0.0.1");
  const auto found = listener_of(replica->pid(), port);
  REQUIRE(found);
  CHECK(found->foreign);
  CHECK(found->owner_pid == 0);
  CHECK_FALSE(found->proven());
  CHECK(listener_of(replica->pid(), static_cast<std::uint16_t>(port + 1)) == std::nullopt);
  CHECK(listener_of(::getpgrp(), port)->proven());  // to our own group it is no stranger
  mine = listen_here(port, "127.0.0.2");            // where no connection of the gateway would arrive
  CHECK(listener_of(replica->pid(), port) == std::nullopt);
}

TEST_CASE("listening: bound, but not listening yet, is nobody") {
  const std::uint16_t port = free_port();
  const Fd bound(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in name{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {}, .sin_zero = {}};
  REQUIRE(::bind(bound.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
  CHECK(listener_of(::getpid(), port) == std::nullopt);
}

TEST_CASE("listening: a port shared with a stranger proves nothing") {
  const std::uint16_t port = free_port();
  const std::string script =
      "import socket,time; s=socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1); "
      "s.bind(('127.0.0.1', " +
      std::to_string(port) + ")); s.listen(); time.sleep(1000)";
  Running replica(spawn({.argv = {"python3", "-c", script}}));
  REQUIRE(eventually([&] { return listener_of(replica->pid(), port).has_value(); }));
  CHECK(listener_of(replica->pid(), port)->proven());
  const Fd mine = listen_here(port, "127.0.0.1");
  const auto found = listener_of(replica->pid(), port);
  REQUIRE(found);
  CHECK(found->owner_pid == replica->pid());
  CHECK(found->foreign);
  CHECK_FALSE(found->proven());
}

// Both ways of asking, among many listeners and beside an open connection to the same port.
TEST_CASE("listening: found among hundreds of others") {
  std::vector<Fd> others;
  for (int i = 0; i < 300; ++i) others.push_back(listen_here(0, "127.0.0.1"));
  const std::uint16_t port = free_port();
  const Fd mine = listen_here(port, "127.0.0.1");
  const Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in name{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {}, .sin_zero = {}};
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(client.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
  const auto found = listener_of(::getpid(), port);
  REQUIRE(found);
  CHECK(found->owner_pid == ::getpid());
  CHECK(found->proven());

  const auto by_proc = listening_sockets_by_proc(port).value();
  REQUIRE(by_proc.size() == 1);
  CHECK(by_proc[0].address[0] == htonl(INADDR_LOOPBACK));
  const auto by_netlink = listening_sockets_by_netlink(port);
  if (!by_netlink) {
    MESSAGE("left out, not on this machine: ", by_netlink.error().text());
    return;
  }
  REQUIRE(by_netlink->size() == 1);
  CHECK((*by_netlink)[0].inode == by_proc[0].inode);
}

TEST_CASE("listening: both ways of asking see the same addresses") {
  for (const std::string address : {"127.0.0.1", "0.0.0.0", "::1", "::"}) {
    CAPTURE(address);
    const std::uint16_t port = free_port();
    Running server(spawn(shell("exec " + server_command(port, address))));
    REQUIRE(eventually([&] { return listener_of(server->pid(), port) || server->try_reap(); }));
    const auto by_netlink = listening_sockets_by_netlink(port);
    if (server->reaped() || !by_netlink) continue;
    const auto by_proc = listening_sockets_by_proc(port).value();
    REQUIRE(by_netlink->size() == 1);
    REQUIRE(by_proc.size() == 1);
    CHECK((*by_netlink)[0].inode == by_proc[0].inode);
    CHECK((*by_netlink)[0].ipv6 == by_proc[0].ipv6);
    CHECK((*by_netlink)[0].address == by_proc[0].address);
  }
}

// A Unix socket of this process that listens, or is only bound.
Fd unix_socket(const std::string& path, int type = SOCK_STREAM, bool listens = true) {
  Fd socket(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  REQUIRE(path.size() < sizeof name.sun_path);
  std::ranges::copy(path, name.sun_path);
  REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
  if (listens) REQUIRE(::listen(socket.get(), 1) == 0);
  return socket;
}

TEST_CASE("listening: a Unix socket belongs to a replica, to a stranger, to both or to nobody") {
  const testing::Folder folder;
  const std::string path = folder.path() + "/a replica.sock";
  const auto server = [&](const std::string& before) {
    return Command{.argv = {"python3", "-c",
                            "import os, socket, time\n" + before + "\ns = socket.socket(socket.AF_UNIX); s.bind('" +
                                path + "'); s.listen(); time.sleep(1000)"}};
  };
  {
    Running replica(spawn(server("")));
    REQUIRE(eventually([&] { return find_listener(replica->pid(), path).value().has_value(); }));
    const auto found = find_listener(replica->pid(), path).value();
    CHECK(found->proven());
    CHECK(found->owner_pid == replica->pid());
    CHECK(found->family == Family::kUnix);
    CHECK(found->loopback_only);
    CHECK_FALSE(find_listener(replica->pid(), folder.path() + "/another.sock").value());
    CHECK_FALSE(find_listener(::getpid(), path).value()->proven());  // it has a session of its own
    // Somebody takes the name away: whoever connects would reach the other one.
    std::filesystem::remove(path);
    const Fd mine = unix_socket(path);
    const auto shared = find_listener(replica->pid(), path).value();
    CHECK(shared->owner_pid == replica->pid());
    CHECK(shared->foreign);
    CHECK_FALSE(shared->proven());
  }
  std::filesystem::remove(path);
  Running leader(spawn(server("if os.fork(): time.sleep(1000)")));
  REQUIRE(eventually([&] { return find_listener(leader->pid(), path).value().has_value(); }));
  CHECK(find_listener(leader->pid(), path).value()->proven());  // a worker's socket counts
}

TEST_CASE("listening: a Unix socket that does not listen, or is no stream, is nobody's") {
  const testing::Folder folder;
  const std::string path = folder.path() + "/x.sock";
  const Fd bound = unix_socket(path, SOCK_STREAM, false);
  CHECK_FALSE(find_listener(::getpgrp(), path).value());
  std::filesystem::remove(path);
  const Fd packets = unix_socket(path, SOCK_SEQPACKET);
  CHECK_FALSE(find_listener(::getpgrp(), path).value());
}

TEST_CASE("listening: both ways of asking see the same Unix sockets") {
  const testing::Folder folder;
  std::vector<Fd> others;
  for (int i = 0; i < 300; ++i) others.push_back(unix_socket(folder.path() + "/" + std::to_string(i)));
  const std::string path = folder.path() + "/1";
  const auto by_proc = listening_unix_sockets_by_proc(path).value();
  REQUIRE(by_proc.size() == 1);
  const auto by_netlink = listening_unix_sockets_by_netlink(path);
  if (!by_netlink) {
    MESSAGE("left out, not on this machine: ", by_netlink.error().text());
    return;
  }
  CHECK(*by_netlink == by_proc);
}

}  // namespace
}  // namespace nines::supervise
