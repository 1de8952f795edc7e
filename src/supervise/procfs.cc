#include "supervise/procfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <memory>
#include <string_view>

#include "base/fd.h"
#include "base/text.h"

namespace nines::supervise {
namespace {

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

// The fields of a stat line are numbers from the third on, separated by one space.
template <class T>
bool skip_or_read(std::string_view& line, int skip, T& value) {
  for (; skip > 0; --skip) {
    const auto space = line.find(' ');
    if (space == std::string_view::npos) return false;
    line.remove_prefix(space + 1);
  }
  return std::from_chars(line.data(), line.data() + line.size(), value).ec == std::errc{};
}

}  // namespace

std::optional<ProcessStat> read_process_stat(pid_t pid) {
  std::array<char, 32> path;
  std::snprintf(path.data(), path.size(), "/proc/%d/stat", pid);
  const Fd file(::open(path.data(), O_RDONLY | O_CLOEXEC));
  if (!file) return std::nullopt;
  std::array<char, 1024> buffer;
  const ssize_t size = ::read(file.get(), buffer.data(), buffer.size());
  if (size <= 0) return std::nullopt;

  // Field 2 is the name in parentheses, and the name may hold spaces and parentheses itself.
  std::string_view line(buffer.data(), static_cast<std::size_t>(size));
  const auto name_end = line.rfind(") ");
  if (name_end == std::string_view::npos || name_end + 2 >= line.size()) return std::nullopt;
  line.remove_prefix(name_end + 2);

  ProcessStat stat;
  stat.state = line.front();
  if (!skip_or_read(line, 1, stat.parent)) return std::nullopt;       // field 4
  if (!skip_or_read(line, 1, stat.group)) return std::nullopt;        // field 5
  if (!skip_or_read(line, 1, stat.session)) return std::nullopt;      // field 6
  if (!skip_or_read(line, 16, stat.start_time)) return std::nullopt;  // field 22
  return stat;
}

std::vector<pid_t> followers_of(pid_t leader) {
  std::vector<pid_t> followers;
  const std::unique_ptr<DIR, CloseDirectory> proc(::opendir("/proc"));
  if (!proc) return followers;
  while (const dirent* entry = ::readdir(proc.get())) {
    const auto number = parse_unsigned(entry->d_name);
    if (!number) continue;
    const auto pid = static_cast<pid_t>(*number);
    if (pid == leader) continue;
    const auto stat = read_process_stat(pid);
    if (stat && !stat->dead() && stat->belongs_to(leader)) followers.push_back(pid);
  }
  return followers;
}

}  // namespace nines::supervise
