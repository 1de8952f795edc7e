#include "app/tagged.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "app/containers.h"
#include "base/fd.h"
#include "base/text.h"
#include "net/timeout.h"
#include "supervise/procfs.h"

namespace nines::app {
namespace {

// By the hash alone: where RUN is depends on the environment, which is another one under cron.
std::string prefix_of(const Paths& paths) {
  const std::string name = std::filesystem::path(paths.run).filename().string();
  return "nines-" + name.substr(name.rfind('-') + 1) + "/";
}

std::string read_environment(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/environ", std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Inside execve(2), between two programs, a process has no environment. Of the children of ours, and those that our
// anchor got from the supervisor before us, none may be missed because of that.
bool may_be_between_programs(pid_t pid) {
  const auto stat = supervise::read_process_stat(pid);
  return stat && !stat->dead() && (stat->parent == ::getpid() || stat->parent == ::getppid());
}

std::string tag_of(pid_t pid) {
  constexpr int kTries = 100;  // there are programs without any environment
  constexpr timespec kPause{.tv_sec = 0, .tv_nsec = 1'000'000};
  std::string environment = read_environment(pid);
  for (int i = 0; environment.empty() && i < kTries && may_be_between_programs(pid); ++i) {
    ::nanosleep(&kPause, nullptr);
    environment = read_environment(pid);
  }
  const std::string name = "NINES_TAG=";
  for (std::size_t at = 0; at < environment.size();) {
    const std::string_view variable = std::string_view(environment).substr(at, environment.find('\0', at) - at);
    if (variable.starts_with(name)) return std::string(variable.substr(name.size()));
    at += variable.size() + 1;
  }
  return "";
}

// "PART/INCARNATION/PORT", read from its end: a part is a name without a slash.
bool read_tag(std::string_view text, supervise::Found& found) {
  const auto number_after_last_slash = [&]() -> std::optional<std::uint64_t> {
    const auto slash = text.rfind('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const auto number = parse_unsigned(text.substr(slash + 1));
    text = text.substr(0, slash);
    return number;
  };
  const auto port = number_after_last_slash();
  const auto incarnation = number_after_last_slash();
  if (!port || !incarnation || *port > UINT16_MAX) return false;
  found.port = static_cast<std::uint16_t>(*port);
  found.incarnation = *incarnation;
  found.part = text;
  return true;
}

std::optional<supervise::Found> look_at(pid_t pid, const std::string& prefix) {
  const std::string text = tag_of(pid);
  if (!text.starts_with(prefix)) return std::nullopt;
  const auto stat = supervise::read_process_stat(pid);
  if (!stat || stat->dead()) return std::nullopt;
  supervise::Found found{
      .pid = pid, .parent = stat->parent, .start_time = stat->start_time, .leader = stat->session == pid, .part = ""};
  if (!read_tag(std::string_view(text).substr(prefix.size()), found)) found.part = text;  // nobody's: to be ended
  return found;
}

int send(const Fd& process, int signal) {
  return static_cast<int>(::syscall(SYS_pidfd_send_signal, process.get(), signal, nullptr, 0));
}

Task<Result<>> wait_until_gone(net::EpollLoop& loop, int pidfd) {
  net::FdEvent ended(loop, pidfd);
  co_return co_await ended.readable();
}

Task<void> end_one(net::EpollLoop& loop, std::string prefix, supervise::Found found, Duration patience) {
  const Fd process(static_cast<int>(::syscall(SYS_pidfd_open, found.pid, 0)));
  // The pid may have been used again before we held it fast, so look once more.
  const auto now = look_at(found.pid, prefix);
  if (!process || !now || now->start_time != found.start_time) co_return;
  send(process, patience > 0ns ? SIGTERM : SIGKILL);
  send(process, SIGCONT);
  if (patience > 0ns && (co_await net::within(loop, patience, wait_until_gone(loop, process.get()))).has_value())
    co_return;
  send(process, SIGKILL);
  (void)co_await net::within(loop, 2s, wait_until_gone(loop, process.get()));
}

}  // namespace

std::string tag_prefix(const Paths& paths) { return prefix_of(paths); }

std::optional<supervise::Found> read_tag(const Paths& paths, std::string_view tag) {
  const std::string prefix = prefix_of(paths);
  supervise::Found found;
  if (!tag.starts_with(prefix) || !read_tag(tag.substr(prefix.size()), found)) return std::nullopt;
  return found;
}

std::string tag(const Paths& paths, const std::string& part, std::uint64_t incarnation, std::uint16_t port) {
  return prefix_of(paths) + part + "/" + std::to_string(incarnation) + "/" + std::to_string(port);
}

std::string group_prefix(const Paths& paths) {
  std::string prefix = prefix_of(paths);
  prefix.back() = '.';
  return prefix;
}

std::string group_name(const Paths& paths, const std::string& part, std::uint64_t incarnation) {
  return group_prefix(paths) + part + "." + std::to_string(incarnation);
}

std::vector<supervise::Found> find_tagged(const Paths& paths) {
  const std::string prefix = prefix_of(paths);
  std::vector<supervise::Found> all;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    const auto pid = parse_unsigned(entry.path().filename().string());
    if (!pid || static_cast<pid_t>(*pid) == ::getpid()) continue;
    auto found = look_at(static_cast<pid_t>(*pid), prefix);
    if (found && found->part != kAnchorPart) all.push_back(std::move(*found));
  }
  return all;
}

Task<void> end_tagged(net::EpollLoop& loop, const Paths& paths, std::span<const supervise::Found> processes,
                      Duration patience) {
  TaskGroup ending;
  for (const supervise::Found& found : processes) ending.start(end_one(loop, prefix_of(paths), found, patience));
  co_await ending.join();
}

Task<std::size_t> end_leftovers(net::EpollLoop& loop, const Paths& paths, Spare spare, Duration patience) {
  std::size_t ended = co_await end_containers(loop, paths, spare, patience);
  for (int round = 0; round < 5; ++round) {
    auto left = find_tagged(paths);
    std::erase_if(left, [&](const auto& found) { return spare && spare(found); });
    if (left.empty()) break;
    ended += round == 0 ? left.size() : 0;
    co_await end_tagged(loop, paths, left, round == 0 ? patience : 0ns);
  }
  co_return ended;
}

}  // namespace nines::app
