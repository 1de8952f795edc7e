#include "app/snapshot.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace nines::app {

Result<config::Config> config_of_snapshot(int fd) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return failure(os_error(errno, "read the configuration's snapshot"));
  std::string text(static_cast<std::size_t>(status.st_size), '\0');
  if (::pread(fd, text.data(), text.size(), 0) != status.st_size)
    return failure(os_error(errno, "read the configuration's snapshot"));
  auto config = config::parse(text);
  if (config) return *std::move(config);
  return failure(Code::kInvalid,
                 "the configuration's snapshot cannot be read: " + config::format(config.error().front(), "snapshot"));
}

}  // namespace nines::app
