#include "app/durable_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "base/fd.h"

namespace nines::app {
namespace {

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

Result<> replace_file(const std::string& path, std::string_view content, Durably durably) {
  const bool durable = durably == Durably::kOnDisk;
  const std::string fresh = path + ".new";
  const Fd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640));
  if (!file || !write_all(file.get(), content) || (durable && ::fsync(file.get()) != 0) ||
      ::rename(fresh.c_str(), path.c_str()) != 0)
    return failure(os_error(errno, "write " + path));
  if (!durable) return {};
  const Fd folder(::open(std::filesystem::path(path).parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder || ::fsync(folder.get()) != 0) return failure(os_error(errno, "write " + path + " to the disk"));
  return {};
}

}  // namespace nines::app
