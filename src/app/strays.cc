#include "app/strays.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/fd.h"
#include "base/text.h"
#include "net/timeout.h"

namespace nines::app {
namespace {

std::string tag_of(const std::string& process_folder) {
  std::ifstream file(process_folder + "/environ", std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  const std::string environment = text.str();
  const std::string name = "NINES_TAG=";
  for (std::size_t at = 0; at < environment.size();) {
    const std::string_view variable = std::string_view(environment).substr(at, environment.find('\0', at) - at);
    if (variable.starts_with(name)) return std::string(variable.substr(name.size()));
    at += variable.size() + 1;
  }
  return "";
}

}  // namespace

std::string tag_prefix(const Paths& paths) { return std::filesystem::path(paths.run).filename().string() + "/"; }

std::string tag(const Paths& paths, const std::string& part, std::uint64_t incarnation) {
  return tag_prefix(paths) + part + "/" + std::to_string(incarnation);
}

std::vector<Stray> find_strays(const Paths& paths) {
  const std::string prefix = tag_prefix(paths);
  std::vector<Stray> strays;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const auto pid = parse_unsigned(entry.path().filename().string());
    if (!pid || static_cast<pid_t>(*pid) == ::getpid()) continue;
    const std::string found = tag_of(entry.path().string());
    if (found.starts_with(prefix)) strays.push_back({static_cast<pid_t>(*pid), found});
  }
  return strays;
}

Task<std::size_t> end_strays(net::EpollLoop& loop, const Paths& paths, Duration patience) {
  struct Gone {
    static Task<Result<>> wait(net::EpollLoop& l, int pidfd) {
      net::FdEvent ended(l, pidfd);
      co_return co_await ended.readable();
    }
  };
  std::size_t ended = 0;
  // Several rounds: a process may have started another between our look and its end.
  for (int round = 0; round < 5; ++round) {
    const auto strays = find_strays(paths);
    if (strays.empty()) break;
    ended += round == 0 ? strays.size() : 0;
    for (const Stray& stray : strays) {
      const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, stray.pid, 0)));
      if (!process) continue;
      // The pid may have been used again before we held it fast, so look once more.
      if (tag_of("/proc/" + std::to_string(stray.pid)) != stray.tag) continue;
      ::syscall(SYS_pidfd_send_signal, process.get(), round == 0 ? SIGTERM : SIGKILL, nullptr, 0);
      ::syscall(SYS_pidfd_send_signal, process.get(), SIGCONT, nullptr, 0);
      (void)co_await net::within(loop, patience, Gone::wait(loop, process.get()));
    }
  }
  co_return ended;
}

}  // namespace nines::app
