#include "backup/run_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "base/text.h"

namespace nines::backup {

Result<RunLock> RunLock::take(const std::string& state) {
  std::error_code error;
  std::filesystem::create_directories(state, error);
  if (error) return failure(os_error(error.value(), "make the folder " + state));
  const std::string path = state + "/backup.lock";
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640));
  if (!fd) return failure(os_error(errno, "open the lock " + path));
  int locked = 0;
  do {
    locked = ::flock(fd.get(), LOCK_EX | LOCK_NB);
  } while (locked != 0 && errno == EINTR);
  if (locked != 0 && errno != EWOULDBLOCK) return failure(os_error(errno, "lock " + path));
  if (locked != 0) {
    std::array<char, 32> text{};
    const ssize_t size = ::pread(fd.get(), text.data(), text.size(), 0);
    const auto pid = parse_unsigned(trim({text.data(), size > 0 ? static_cast<std::size_t>(size) : 0}));
    return failure(Code::kExists, "another backup or restore of this service is running" +
                                      (pid ? ", as pid " + std::to_string(*pid) : std::string()) +
                                      ": try again when it is done");
  }
  // The pid is for people: who cannot write it still holds the lock.
  const std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd.get(), 0) == 0) {
    [[maybe_unused]] const ssize_t written = ::pwrite(fd.get(), pid.data(), pid.size(), 0);
  }
  return RunLock(std::move(fd));
}

}  // namespace nines::backup
