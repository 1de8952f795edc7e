#include "supervise/sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/text.h"

namespace nines::supervise {
namespace {

using Sockets = std::vector<ListeningSocket>;

template <class Request>
struct Question {
  nlmsghdr header;
  Request wanted;
};
using EachAnswer = std::function<void(std::span<const char>)>;

// Hands over the answers in one datagram. True when it holds the last.
Result<bool> read_answers(std::span<const char> data, const EachAnswer& each) {
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
    each(body);
    data = data.subspan(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), data.size()));
  }
  return data.empty() ? Result<bool>(false) : failure(Code::kProtocol, "a cut answer about listening sockets");
}

template <class Request>
Result<> ask(const Fd& netlink, const Request& wanted, const EachAnswer& each) {
  Question<Request> question{};
  question.header.nlmsg_len = sizeof question;
  question.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  question.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  question.wanted = wanted;
  if (::send(netlink.get(), &question, sizeof question, 0) < 0)
    return failure(os_error(errno, "ask for the listening sockets"));
  std::array<char, 32'768> buffer;
  for (;;) {
    const ssize_t size = ::recv(netlink.get(), buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return failure(os_error(errno, "read the listening sockets"));
    auto last = read_answers(std::span(buffer).first(static_cast<std::size_t>(size)), each);
    if (!last) return failure(std::move(last.error()));
    if (*last) return {};
  }
}

Result<> ask_tcp(const Fd& netlink, int family, std::uint16_t port, Sockets& found) {
  inet_diag_req_v2 wanted{};
  wanted.sdiag_family = static_cast<std::uint8_t>(family);
  wanted.sdiag_protocol = IPPROTO_TCP;
  wanted.idiag_states = 1U << TCP_LISTEN;
  wanted.id.idiag_sport = htons(port);
  return ask(netlink, wanted, [&](std::span<const char> body) {
    inet_diag_msg answer{};
    if (body.size() < sizeof answer) return;
    std::memcpy(&answer, body.data(), sizeof answer);
    if (answer.idiag_state != TCP_LISTEN || answer.id.idiag_sport != htons(port)) return;
    ListeningSocket socket{answer.idiag_inode, answer.idiag_family == AF_INET6, {}};
    std::copy_n(answer.id.idiag_src, socket.ipv6 ? 4 : 1, socket.address.begin());
    found.push_back(socket);
  });
}

// The name a Unix socket was bound to, from the attributes behind the answer; empty when it has none.
std::string_view name_in(std::span<const char> attributes) {
  while (attributes.size() >= sizeof(rtattr)) {
    rtattr attribute;
    std::memcpy(&attribute, attributes.data(), sizeof attribute);
    if (attribute.rta_len < sizeof attribute || attribute.rta_len > attributes.size()) return {};
    if (attribute.rta_type == UNIX_DIAG_NAME) {
      std::string_view name(attributes.data() + RTA_LENGTH(0), attribute.rta_len - RTA_LENGTH(0));
      if (name.ends_with('\0')) name.remove_suffix(1);
      return name;
    }
    attributes = attributes.subspan(std::min<std::size_t>(RTA_ALIGN(attribute.rta_len), attributes.size()));
  }
  return {};
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

// The first N words of a line; what is behind them is left in it.
template <std::size_t N>
std::array<std::string_view, N> fields_of(std::string_view& line) {
  std::array<std::string_view, N> fields;
  for (std::string_view& field : fields) {
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    field = line.substr(0, line.find(' '));
    line.remove_prefix(field.size());
  }
  return fields;
}

// "  0: 0100007F:4E20 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 8123 1 …", padded to 150 bytes.
// False when it is no listening socket: those come first, so the rest need not be read.
bool read_line(std::string_view line, std::uint16_t port, Sockets& found) {
  const auto fields = fields_of<10>(line);
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

// "0000000000000000: 00000002 00000000 00010000 0001 01 28213 /run/x.sock": flags with __SO_ACCEPTCON, a stream, the
// inode, the path to the end of the line.
void read_unix_line(std::string_view line, std::string_view path, std::vector<std::uint64_t>& found) {
  constexpr std::string_view kListens = "00010000", kStream = "0001";
  const auto fields = fields_of<7>(line);
  const auto inode = parse_unsigned(fields[6]);
  if (fields[3] == kListens && fields[4] == kStream && inode && line.starts_with(' ') && line.substr(1) == path)
    found.push_back(*inode);
}

// Hands over line after line until it is told that this is enough.
Result<> read_table(const char* path, const std::function<bool(std::string_view)>& each) {
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
      if (!each(std::string_view(pending).substr(begin, end - begin))) return {};
    pending.erase(0, begin);
  }
}

Result<Fd> open_netlink() {
  Fd netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!netlink) return failure(os_error(errno, "ask for the listening sockets"));
  return netlink;
}

}  // namespace

Result<std::vector<ListeningSocket>> listening_sockets_by_netlink(std::uint16_t port) {
  const auto netlink = open_netlink();
  if (!netlink) return failure(netlink.error());
  Sockets found;
  for (const int family : {AF_INET, AF_INET6})
    if (auto asked = ask_tcp(*netlink, family, port, found); !asked) return failure(std::move(asked.error()));
  return found;
}

Result<std::vector<ListeningSocket>> listening_sockets_by_proc(std::uint16_t port) {
  Sockets found;
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    auto read = read_table(table, [&](std::string_view line) { return read_line(line, port, found); });
    if (!read) return failure(std::move(read.error()));
  }
  return found;
}

Result<std::vector<ListeningSocket>> listening_sockets(std::uint16_t port) {
  auto found = listening_sockets_by_netlink(port);
  return found ? found : listening_sockets_by_proc(port);
}

Result<std::vector<std::uint64_t>> listening_unix_sockets_by_netlink(std::string_view path) {
  const auto netlink = open_netlink();
  if (!netlink) return failure(netlink.error());
  unix_diag_req wanted{};
  wanted.sdiag_family = AF_UNIX;
  wanted.udiag_states = 1U << TCP_LISTEN;
  wanted.udiag_show = UDIAG_SHOW_NAME;
  std::vector<std::uint64_t> found;
  auto asked = ask(*netlink, wanted, [&](std::span<const char> body) {
    unix_diag_msg answer{};
    if (body.size() < sizeof answer) return;
    std::memcpy(&answer, body.data(), sizeof answer);
    const bool listens = answer.udiag_state == TCP_LISTEN && answer.udiag_type == SOCK_STREAM;
    if (listens && name_in(body.subspan(NLMSG_ALIGN(sizeof answer))) == path) found.push_back(answer.udiag_ino);
  });
  if (!asked) return failure(std::move(asked.error()));
  return found;
}

Result<std::vector<std::uint64_t>> listening_unix_sockets_by_proc(std::string_view path) {
  std::vector<std::uint64_t> found;
  auto read = read_table("/proc/net/unix", [&](std::string_view line) {
    read_unix_line(line, path, found);
    return true;
  });
  if (!read) return failure(std::move(read.error()));
  return found;
}

Result<std::vector<std::uint64_t>> listening_unix_sockets(std::string_view path) {
  auto found = listening_unix_sockets_by_netlink(path);
  return found ? found : listening_unix_sockets_by_proc(path);
}

}  // namespace nines::supervise
