#include "supervise/container_port.h"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"

namespace nines::supervise {
namespace {

constexpr std::string_view kHead =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n";

std::string line(std::string_view local, std::string_view state) {
  return "   0: " + std::string(local) + " 00000000:0000 " + std::string(state) +
         " 00000000:00000000 00:00000000     0\n";
}

TEST_CASE("container port: open when something listens that the engine reaches") {
  struct Row {
    std::string tcp, tcp6;
    InsidePort found;
  };
  const std::string any6(32, '0'), loopback6 = "00000000000000000000000001000000";
  const Row rows[] = {
      {"", "", InsidePort::kClosed},
      {line("00000000:1F40", "0A"), "", InsidePort::kOpen},
      {line("0200110A:1F40", "0A"), "", InsidePort::kOpen},
      {line("0100007F:1F40", "0A"), "", InsidePort::kLoopbackOnly},
      {line("0100007F:1F40", "0A") + line("00000000:1F40", "0A"), "", InsidePort::kOpen},
      {line("0100007F:1F40", "0A"), line(any6 + ":1F40", "0A"), InsidePort::kOpen},
      {"", line(loopback6 + ":1F40", "0A"), InsidePort::kLoopbackOnly},
      {line("00000000:1F40", "01"), "", InsidePort::kClosed},  // a connection
      {line("00000000:1F41", "0A"), "", InsidePort::kClosed},
      {"0: 00000000 x 0A\n\n:\n0: 00000000:zz x 0A\n0: 00000000:1F40", "\xff", InsidePort::kClosed},
  };
  for (const Row& row : rows) {
    CAPTURE(row.tcp);
    CHECK(find_inside_port(std::string(kHead) + row.tcp, row.tcp6, 8000) == row.found);
  }
}

TEST_CASE("container port: as the kernel says it") {
  const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  REQUIRE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), length) == 0);
  REQUIRE(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0);
  const auto port = ntohs(address.sin_port);
  CHECK(look_inside(::getpid(), port) == InsidePort::kClosed);
  REQUIRE(::listen(socket.get(), 1) == 0);
  CHECK(look_inside(::getpid(), port) == InsidePort::kLoopbackOnly);
  CHECK_FALSE(look_inside(0, port));
}

}  // namespace
}  // namespace nines::supervise
