#include "supervise/sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/text.h"

namespace nines::supervise {
namespace {

using Sockets = std::vector<ListeningSocket>;

struct Question {
  nlmsghdr header;
  inet_diag_req_v2 wanted;
};

// Reads the answers in one datagram. True when it holds the last.
Result<bool> read_answers(std::span<const char> data, std::uint16_t port, Sockets& found) {
  while (data.size() >= sizeof(nlmsghdr)) {
    nlmsghdr header;
    std::memcpy(&header, data.data(), sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > data.size()) break;
    if (header.nlmsg_type == NLMSG_DONE) return true;
    const auto body = data.subspan(sizeof header, header.nlmsg_len - sizeof header);
    if (header.nlmsg_type == NLMSG_ERROR) {
      nlmsgerr error{};
      std::memcpy(&error, body.data(), std::min(sizeof error, body.size()));
      return failure(os_error(-error.error, "ask for the listening sockets"));
    }
    inet_diag_msg answer{};
    if (body.size() < sizeof answer) break;
    std::memcpy(&answer, body.data(), sizeof answer);
    if (answer.idiag_state == TCP_LISTEN && answer.id.idiag_sport == htons(port)) {
      ListeningSocket socket{answer.idiag_inode, answer.idiag_family == AF_INET6, {}};
      std::copy_n(answer.id.idiag_src, socket.ipv6 ? 4 : 1, socket.address.begin());
      found.push_back(socket);
    }
    data = data.subspan(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), data.size()));
  }
  return data.empty() ? Result<bool>(false) : failure(Code::kProtocol, "a cut answer about listening sockets");
}

Result<> ask(const Fd& netlink, int family, std::uint16_t port, Sockets& found) {
  Question question{};
  question.header.nlmsg_len = sizeof question;
  question.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  question.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  question.wanted.sdiag_family = static_cast<std::uint8_t>(family);
  question.wanted.sdiag_protocol = IPPROTO_TCP;
  question.wanted.idiag_states = 1U << TCP_LISTEN;
  question.wanted.id.idiag_sport = htons(port);
  if (::send(netlink.get(), &question, sizeof question, 0) < 0)
    return failure(os_error(errno, "ask for the listening sockets"));
  std::array<char, 32'768> buffer;
  for (;;) {
    const ssize_t size = ::recv(netlink.get(), buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return failure(os_error(errno, "read the listening sockets"));
    auto last = read_answers(std::span(buffer).first(static_cast<std::size_t>(size)), port, found);
    if (!last) return failure(std::move(last.error()));
    if (*last) return {};
  }
}

// The kernel prints an address as the hexadecimal numbers that its 32-bit words are in memory: "0100007F" is 127.0.0.1
// on a little-endian machine.
bool parse_address(std::string_view hex, ListeningSocket& socket) {
  if (hex.size() != 8 && hex.size() != 32) return false;
  socket.ipv6 = hex.size() == 32;
  socket.address = {};
  for (std::size_t i = 0; i * 8 < hex.size(); ++i) {
    const char* begin = hex.data() + i * 8;
    if (std::from_chars(begin, begin + 8, socket.address[i], 16).ptr != begin + 8) return false;
  }
  return true;
}

// "  0: 0100007F:4E20 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 8123 1 …", padded to 150 bytes.
// False when it is no listening socket: those come first, so the rest need not be read.
bool read_line(std::string_view line, std::uint16_t port, Sockets& found) {
  std::array<std::string_view, 10> fields;
  for (std::string_view& field : fields) {
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    field = line.substr(0, line.find(' '));
    line.remove_prefix(field.size());
  }
  if (fields[3] != "0A") return fields[3] == "st";  // the heading
  const auto colon = fields[1].find(':');
  if (colon == std::string_view::npos) return true;
  const std::string_view digits = fields[1].substr(colon + 1);
  std::uint16_t local_port = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), local_port, 16);
  const auto inode = parse_unsigned(fields[9]);
  if (local_port != port || !inode) return true;
  ListeningSocket socket{*inode, false, {}};
  if (parse_address(fields[1].substr(0, colon), socket)) found.push_back(socket);
  return true;
}

Result<> read_table(const char* path, std::uint16_t port, Sockets& found) {
  const Fd file(::open(path, O_RDONLY | O_CLOEXEC));
  if (!file && errno == ENOENT) return {};  // no IPv6 here
  if (!file) return failure(os_error(errno, std::string("open ") + path));
  std::array<char, 16'384> buffer;
  std::string pending;
  for (;;) {
    const ssize_t size = ::read(file.get(), buffer.data(), buffer.size());
    if (size < 0) return failure(os_error(errno, std::string("read ") + path));
    if (size == 0) return {};
    pending.append(buffer.data(), static_cast<std::size_t>(size));
    std::size_t begin = 0;
    for (std::size_t end; (end = pending.find('\n', begin)) != std::string::npos; begin = end + 1)
      if (!read_line(std::string_view(pending).substr(begin, end - begin), port, found)) return {};
    pending.erase(0, begin);
  }
}

}  // namespace

Result<std::vector<ListeningSocket>> listening_sockets_by_netlink(std::uint16_t port) {
  const Fd netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!netlink) return failure(os_error(errno, "ask for the listening sockets"));
  Sockets found;
  for (const int family : {AF_INET, AF_INET6})
    if (auto asked = ask(netlink, family, port, found); !asked) return failure(std::move(asked.error()));
  return found;
}

Result<std::vector<ListeningSocket>> listening_sockets_by_proc(std::uint16_t port) {
  Sockets found;
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"})
    if (auto read = read_table(table, port, found); !read) return failure(std::move(read.error()));
  return found;
}

Result<std::vector<ListeningSocket>> listening_sockets(std::uint16_t port) {
  auto found = listening_sockets_by_netlink(port);
  return found ? found : listening_sockets_by_proc(port);
}

}  // namespace nines::supervise
