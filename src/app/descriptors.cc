#include "app/descriptors.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"

namespace nines::app {
namespace {

union Control {
  cmsghdr header;
  char bytes[CMSG_SPACE(kDescriptorsMax * sizeof(int))];
};

}  // namespace

Result<> send_descriptors(int socket, std::span<const int> descriptors, int number) {
  INVARIANT(!descriptors.empty() && descriptors.size() <= kDescriptorsMax);
  Control control{};
  iovec data{.iov_base = &number, .iov_len = sizeof number};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
  std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  if (::sendmsg(socket, &message, MSG_NOSIGNAL) == sizeof number) return {};
  return failure(os_error(errno, "hand over descriptors"));
}

ReceivedDescriptors receive_descriptors(int socket) {
  using Outcome = ReceivedDescriptors::Outcome;
  ReceivedDescriptors received;
  Control control{};
  iovec data{.iov_base = &received.number, .iov_len = sizeof received.number};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  const ssize_t size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  if (size <= 0) {
    received.outcome = size == 0 ? Outcome::kEnd : Outcome::kNone;
    return received;
  }
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    const std::size_t room = kDescriptorsMax - received.count;
    std::memcpy(received.descriptors + received.count, CMSG_DATA(header), std::min(count, room) * sizeof(int));
    received.count += std::min(count, room);
  }
  received.outcome = Outcome::kWhole;
  if (size == sizeof received.number && (message.msg_flags & MSG_CTRUNC) == 0) return received;
  received.outcome = Outcome::kIncomplete;
  for (std::size_t i = 0; i < received.count; ++i) ::close(received.descriptors[i]);
  received.count = 0;
  return received;
}

}  // namespace nines::app
