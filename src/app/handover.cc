#include "app/handover.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>

#include "app/descriptors.h"
#include "net/timeout.h"

namespace nines::app {
namespace {

constexpr Duration kPatience = 10s;  // with who was given the descriptors and does not become the anchor

Task<Result<>> wait_readable(net::FdEvent& event) { co_return co_await event.readable(); }

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = ""};
  if (path.size() >= sizeof address.sun_path) return failure(Code::kInvalid, path + " is too long for a socket");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

Result<Fd> make_socket(int flags) {
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
  if (!fd) return failure(os_error(errno, "make a socket"));
  return fd;
}

// To somebody who is us anyway: the same user.
bool is_same_user(int connection) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == ::geteuid();
}

struct Received {
  std::vector<Fd> descriptors;
  pid_t pid = 0;
};

Result<Received> receive_estate(int connection) {
  const ReceivedDescriptors got = receive_descriptors(connection);
  switch (got.outcome) {
    case ReceivedDescriptors::Outcome::kEnd:
      return failure(Code::kRefused, "its anchor lives: or another is taking its place");
    case ReceivedDescriptors::Outcome::kNone: return failure(os_error(errno, "receive the service's descriptors"));
    case ReceivedDescriptors::Outcome::kIncomplete:
      return failure(Code::kProtocol, "the service's descriptors came incomplete");
    case ReceivedDescriptors::Outcome::kWhole: break;
  }
  Received received{.descriptors = {}, .pid = got.number};
  for (std::size_t i = 0; i < got.count; ++i) received.descriptors.emplace_back(got.descriptors[i]);
  return received;
}

// What the replicas' secrets are read from: that of the one before, not that of whoever types `nines upgrade`.
std::vector<std::string> environment_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/environ", std::ios::binary);
  std::vector<std::string> variables;
  for (std::string variable; std::getline(file, variable, '\0');) variables.push_back(variable);
  return variables;
}

}  // namespace

Result<Estate> take_over(const Paths& paths, Duration patience) {
  auto address = address_of(paths.handover_socket());
  if (!address) return failure(std::move(address.error()));
  auto connection = make_socket(0);
  if (!connection) return failure(std::move(connection.error()));
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(patience);
  const timeval limit{.tv_sec = seconds.count(), .tv_usec = 0};
  ::setsockopt(connection->get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (::connect(connection->get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0)
    return failure(Code::kUnavailable, "nobody answers at " + paths.handover_socket());
  auto received = receive_estate(connection->get());
  if (!received) return failure(std::move(received.error()));
  auto estate = from_order(std::move(received->descriptors));
  if (!estate) return estate;
  estate->environment = environment_of(received->pid);
  estate->handover = std::move(*connection);
  return estate;
}

Result<> Handover::open(const std::string& path) {
  auto address = address_of(path);
  if (!address) return failure(std::move(address.error()));
  auto socket = make_socket(SOCK_NONBLOCK);
  if (!socket) return failure(std::move(socket.error()));
  ::unlink(path.c_str());
  if (::bind(socket->get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0 ||
      ::listen(socket->get(), 8) != 0)
    return failure(os_error(errno, "listen on " + path));
  tasks_.start(serve(std::move(*socket)));
  return {};
}

Task<void> Handover::close() {
  tasks_.cancel();
  co_await tasks_.join();
}

Task<void> Handover::serve(Fd socket) {
  net::FdEvent called(loop_, socket.get());
  do {
    while (true) {
      Fd connection(::accept4(socket.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!connection) break;
      tasks_.start(converse(std::move(connection)));
    }
  } while (co_await called.readable());
}

Task<void> Handover::converse(Fd connection) {
  // One at a time: two would become two anchors.
  if (busy_ || !hooks_.wanted() || !is_same_user(connection.get())) co_return;
  struct Busy {
    explicit Busy(bool& flag) : busy(flag) { busy = true; }
    ~Busy() { busy = false; }
    bool& busy;
  };
  const Busy busy(busy_);
  net::FdEvent said(loop_, connection.get());
  if (!send_descriptors(connection.get(), hooks_.descriptors(), ::getpid())) co_return;
  char byte = 0;
  ssize_t size = 0;
  while ((size = ::recv(connection.get(), &byte, 1, 0)) < 0 && errno == EAGAIN) {
    if (!co_await net::within(loop_, kPatience, wait_readable(said))) co_return;
  }
  if (size != 1 || !hooks_.wanted() || ::send(connection.get(), &byte, 1, MSG_NOSIGNAL) != 1) co_return;
  successor_ = std::move(connection);
  hooks_.taken();
}

}  // namespace nines::app
