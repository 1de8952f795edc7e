#include "backup/holders.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

#include "base/text.h"
#include "storage/files.h"

namespace nines::backup {
namespace {

namespace fs = std::filesystem;
using FileId = std::pair<dev_t, ino_t>;

std::optional<FileId> id_of(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return FileId{status.st_dev, status.st_ino};
}

std::string command_of(const std::string& process) {
  constexpr std::size_t kBytesMax = 1 << 20;
  std::string text = storage::read_file(process + "/comm", kBytesMax).value_or("");
  return std::string(trim(text));
}

}  // namespace

std::vector<Holder> holders_of(std::span<const std::string> databases) {
  std::map<FileId, std::string> wanted;
  for (const std::string& database : databases) {
    for (const char* const ending : {"", "-wal", "-shm", "-journal"}) {
      if (const auto id = id_of(database + ending)) wanted[*id] = database + ending;
    }
  }
  std::vector<Holder> holders;
  std::error_code error;
  for (const auto& process : fs::directory_iterator("/proc", error)) {
    const auto pid = parse_unsigned(process.path().filename().native());
    if (!pid || *pid == static_cast<std::uint64_t>(::getpid())) continue;
    std::error_code denied;
    for (const auto& fd : fs::directory_iterator(process.path() / "fd", denied)) {
      const auto id = id_of(fd.path().native());
      const auto found = id ? wanted.find(*id) : wanted.end();
      if (found == wanted.end()) continue;
      const auto number = static_cast<std::int64_t>(*pid);
      holders.push_back({.pid = number,
                         .session = ::getsid(static_cast<pid_t>(number)),
                         .command = command_of(process.path().native()),
                         .path = found->second});
      break;
    }
  }
  return holders;
}

}  // namespace nines::backup
