#include "victim.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace nines::demo {

Victim::Victim(std::uint64_t pid) : pid_(pid) {
  if (pid != 0) process_.reset(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0)));
}

Result<> Victim::kill() const {
  if (::syscall(SYS_pidfd_send_signal, process_.get(), SIGKILL, nullptr, 0) != 0)
    return failure(os_error(errno, "kill -9 " + std::to_string(pid_)));
  return {};
}

}  // namespace nines::demo
