#include "supervise/container_port.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include "base/text.h"

namespace nines::supervise {
namespace {

constexpr std::string_view kListens = "0A";

std::string_view next_word(std::string_view& line) {
  line = trim(line);
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(word.size());
  return word;
}

// The address, in hexadecimal, of a socket that listens on that port.
std::optional<std::string_view> listener_in(std::string_view line, std::uint16_t port) {
  next_word(line);  // its number
  const std::string_view local = next_word(line);
  next_word(line);  // the other end
  const std::string_view state = next_word(line);
  const auto colon = local.find(':');
  if (colon == std::string_view::npos || state != kListens) return std::nullopt;
  const std::string_view number = local.substr(colon + 1);
  unsigned value = 0;
  const auto read = std::from_chars(number.data(), number.data() + number.size(), value, 16);
  if (read.ec != std::errc() || read.ptr != number.data() + number.size() || value != port) return std::nullopt;
  return local.substr(0, colon);
}

// Words of the address are in the machine's byte order, each: 127.0.0.1 is 0100007F, on all that nines runs on.
bool is_loopback(std::string_view address) {
  if (address.size() == 8) return address.ends_with("7F");
  return address == "00000000000000000000000001000000";
}

InsidePort find_in(std::string_view table, std::uint16_t port) {
  InsidePort found = InsidePort::kClosed;
  while (!table.empty()) {
    const std::string_view line = table.substr(0, table.find('\n'));
    table.remove_prefix(std::min(table.size(), line.size() + 1));
    const auto address = listener_in(line, port);
    if (!address) continue;
    if (!is_loopback(*address)) return InsidePort::kOpen;
    found = InsidePort::kLoopbackOnly;
  }
  return found;
}

std::optional<std::string> read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  if (!file || !(text << file.rdbuf())) return std::nullopt;
  return text.str();
}

}  // namespace

InsidePort find_inside_port(std::string_view tcp, std::string_view tcp6, std::uint16_t port) {
  return std::max(find_in(tcp, port), find_in(tcp6, port));
}

Result<InsidePort> look_inside(pid_t pid, std::uint16_t port) {
  const std::string folder = "/proc/" + std::to_string(pid) + "/net/";
  const auto tcp = read(folder + "tcp");
  if (!tcp) return failure(Code::kNotFound, "cannot read " + folder + "tcp");
  return find_inside_port(*tcp, read(folder + "tcp6").value_or(""), port);
}

}  // namespace nines::supervise
