#include "app/lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "app/control_client.h"
#include "base/text.h"

namespace nines::app {
namespace {

// Somebody who asks whether the lock is free (holder_of) has it for an instant: that is no service.
constexpr int kTries = 10;
constexpr timespec kBetweenTries{.tv_sec = 0, .tv_nsec = 5'000'000};

bool lock(int fd) {
  for (int left = kTries; ::flock(fd, LOCK_EX | LOCK_NB) != 0; --left) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK || left <= 1) return false;
    ::nanosleep(&kBetweenTries, nullptr);
    errno = EWOULDBLOCK;
  }
  return true;
}

bool is_still_at(const std::string& path, int fd) {
  struct stat by_name{}, by_fd{};
  return ::stat(path.c_str(), &by_name) == 0 && ::fstat(fd, &by_fd) == 0 && by_name.st_ino == by_fd.st_ino &&
         by_name.st_dev == by_fd.st_dev;
}

std::int64_t pid_in(int fd) {
  std::array<char, 32> text;
  const ssize_t size = ::pread(fd, text.data(), text.size(), 0);
  const auto pid = parse_unsigned(trim({text.data(), size > 0 ? static_cast<std::size_t>(size) : 0}));
  return pid && *pid <= INT32_MAX ? static_cast<std::int64_t>(*pid) : 0;
}

}  // namespace

Result<StateLock> StateLock::take(const std::string& path) {
  while (true) {
    Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640));
    if (!fd) return failure(os_error(errno, "open the lock " + path));
    if (!lock(fd.get())) {
      if (errno != EWOULDBLOCK) return failure(os_error(errno, "lock " + path));
      const std::int64_t pid = pid_in(fd.get());
      return failure(Code::kExists, "already running" + (pid != 0 ? ", as pid " + std::to_string(pid) : std::string()) +
                                        ": `nines status` shows it, `nines down` ends it");
    }
    if (!is_still_at(path, fd.get())) continue;  // somebody removed the state folder meanwhile
    StateLock taken(std::move(fd));
    sign_lock(taken.fd_.get());
    return taken;
  }
}

// The pid is for people: who cannot write it still holds the lock.
void sign_lock(int fd) {
  const std::string text = std::to_string(::getpid()) + "\n";
  if (::ftruncate(fd, 0) != 0) return;
  [[maybe_unused]] const ssize_t written = ::pwrite(fd, text.data(), text.size(), 0);
}

std::optional<std::int64_t> holder_of(const std::string& lock_file) {
  const Fd fd(::open(lock_file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd || ::flock(fd.get(), LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK) return std::nullopt;
  return pid_in(fd.get());
}

}  // namespace nines::app
