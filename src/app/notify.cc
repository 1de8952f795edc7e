#include "app/notify.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "base/text.h"

namespace nines::app {

std::string status_line(std::string_view sentence) {
  constexpr std::size_t kMax = 512;  // `systemctl status` shows one line
  std::size_t size = std::min(sentence.size(), kMax);
  const auto continues = [&](std::size_t at) { return (static_cast<unsigned char>(sentence[at]) & 0xc0) == 0x80; };
  while (size < sentence.size() && size > 0 && continues(size)) --size;
  std::string line = "STATUS=" + std::string(sentence.substr(0, size));
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return line + "\n";
}

std::optional<Duration> watchdog_interval(const char* usec, const char* pid, pid_t self) {
  const auto allowed = parse_unsigned(usec != nullptr ? usec : "");
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max() / 1000);
  if (!allowed || *allowed == 0 || *allowed > kMost) return std::nullopt;
  if (pid != nullptr && parse_unsigned(pid) != static_cast<std::uint64_t>(self)) return std::nullopt;
  return Duration(std::chrono::microseconds(*allowed)) / 2;
}

ServiceManager::ServiceManager(const char* address) {
  const std::string_view name = address != nullptr ? address : "";
  const bool abstract = name.starts_with('@');
  // A path needs room for the zero byte behind it.
  if (name.size() < 2 || (!abstract && !name.starts_with('/')) ||
      name.size() + (abstract ? 0 : 1) > sizeof address_.sun_path)
    return;
  address_.sun_family = AF_UNIX;
  std::memcpy(address_.sun_path, name.data(), name.size());
  if (abstract) address_.sun_path[0] = '\0';
  size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + (abstract ? 0 : 1));
  socket_ = Fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

bool ServiceManager::tell(std::string_view lines) const {
  return socket_ && ::sendto(socket_.get(), lines.data(), lines.size(), MSG_NOSIGNAL,
                             reinterpret_cast<const sockaddr*>(&address_), size_) == static_cast<ssize_t>(lines.size());
}

}  // namespace nines::app
