#include "app/notify.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstring>

#include "base/test_support.h"

namespace nines::app {
namespace {

// Who listens there, as systemd does.
class Manager {
 public:
  explicit Manager(const std::string& address) : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un at{.sun_family = AF_UNIX, .sun_path = ""};
    REQUIRE(address.size() < sizeof at.sun_path);
    std::memcpy(at.sun_path, address.data(), address.size());
    const bool abstract = address.starts_with('@');
    if (abstract) at.sun_path[0] = '\0';
    const std::size_t size = offsetof(sockaddr_un, sun_path) + address.size() + (abstract ? 0 : 1);
    REQUIRE(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&at), static_cast<socklen_t>(size)) == 0);
  }
  // The next datagram; empty when there is none.
  std::string heard() const {
    std::array<char, 4096> buffer;
    const ssize_t size = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    return {buffer.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
  }

 private:
  Fd socket_;
};

TEST_CASE("notify: a datagram arrives at a path and at an abstract name") {
  const testing::Folder folder;
  for (const std::string& address : {folder / "notify", "@nines-test-" + std::to_string(::getpid()),
                                     folder.path() + "/" + std::string(107 - folder.path().size() - 1, 'x')}) {
    if (address.size() >= sizeof(sockaddr_un::sun_path)) continue;
    CAPTURE(address);
    const Manager systemd(address);
    const ServiceManager manager(address.c_str());
    CHECK(manager.is_there());
    CHECK(manager.tell("READY=1\nSTATUS=well\n"));
    CHECK(systemd.heard() == "READY=1\nSTATUS=well\n");
    CHECK(systemd.heard().empty());
  }
}

TEST_CASE("notify: what names no socket is nobody") {
  const std::string long_path = "/" + std::string(sizeof(sockaddr_un::sun_path), 'x');
  for (const char* address :
       {static_cast<const char*>(nullptr), "", "@", "/", "relative", "vsock:2:1234", long_path.c_str()}) {
    CAPTURE(address);
    const ServiceManager manager(address);
    CHECK(!manager.is_there());
    CHECK(!manager.tell("READY=1\n"));
  }
}

TEST_CASE("notify: nobody listening, or not reading, blocks nothing") {
  const testing::Folder folder;
  const std::string address = folder / "notify";
  const ServiceManager manager(address.c_str());
  CHECK(manager.is_there());
  CHECK(!manager.tell("READY=1\n"));
  const Manager deaf(address);
  int told = 0;
  while (told < 1'000'000 && manager.tell("WATCHDOG=1\n")) ++told;
  CHECK(told > 0);
  CHECK(told < 1'000'000);  // full, and we are still here
  CHECK(deaf.heard() == "WATCHDOG=1\n");
  CHECK(manager.tell("WATCHDOG=1\n"));
}

TEST_CASE("notify: a status is one line, and not endless") {
  CHECK(status_line("3 of 3 replicas ready") == "STATUS=3 of 3 replicas ready\n");
  CHECK(status_line("") == "STATUS=\n");
  CHECK(status_line("a\nREADY=1\r\tb") == "STATUS=a READY=1  b\n");
  CHECK(status_line(std::string(600, 'x')) == "STATUS=" + std::string(512, 'x') + "\n");
  CHECK(status_line(std::string(511, 'x') + "é!") == "STATUS=" + std::string(511, 'x') + "\n");
  CHECK(status_line(std::string(510, 'x') + "é!") == "STATUS=" + std::string(510, 'x') + "é\n");
}

TEST_CASE("notify: the watchdog wants a word at half of its time, from whom it names") {
  struct Row {
    const char *usec, *pid;
    std::optional<Duration> every;
  };
  const Row rows[] = {
      {"30000000", "77", 15s},
      {"30000000", nullptr, 15s},
      {"1", "77", 500ns},
      {"30000000", "78", std::nullopt},
      {"30000000", "", std::nullopt},
      {"30000000", "77x", std::nullopt},
      {nullptr, "77", std::nullopt},
      {"", "77", std::nullopt},
      {"0", "77", std::nullopt},
      {"-5", "77", std::nullopt},
      {"3s", "77", std::nullopt},
      {"9223372036854775", "77", Duration(9223372036854775000) / 2},
      {"9223372036854776", "77", std::nullopt},
      {"18446744073709551615", "77", std::nullopt},
      {"99999999999999999999", "77", std::nullopt},
  };
  for (const Row& row : rows) {
    CAPTURE(row.usec);
    CAPTURE(row.pid);
    CHECK(watchdog_interval(row.usec, row.pid, 77) == row.every);
  }
}

}  // namespace
}  // namespace nines::app
