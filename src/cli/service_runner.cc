#include "cli/service_runner.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <optional>

#include "cli/event_line.h"
#include "cli/line_writer.h"
#include "cli/terminal.h"
#include "cli/version.h"
#include "net/epoll_loop.h"

namespace nines::cli {
namespace {

WallTime wall_time_of(const plane::Event& event) { return net::wall_time() - (net::boot_time() - event.at()); }

std::string header(const app::Service& service) {
  const config::Config& config = service.config;
  std::string line = "nines " + std::string(kVersion) + " · " + *config.service + " · " +
                     std::to_string(config.replicas.count) + (config.replicas.count == 1 ? " replica" : " replicas") +
                     " of " + config.replicas.command.front() + " · listening on ";
  for (std::size_t i = 0; i < config.listen.size(); ++i) line += (i > 0 ? ", " : "") + config.listen[i].text();
  return line;
}

// Runs the service and prints what happens; `up` is told the line that says so.
app::Outcome run_and_print(const app::Service& service, const LineStyle& style, const std::string& hint,
                           const std::function<void(const std::string&)>& up) {
  // Whoever reads our output may leave; that is no reason to.
  ::signal(SIGPIPE, SIG_IGN);
  LineWriter out(STDOUT_FILENO);
  ReadyCount count;
  out.line(header(service));
  if (!hint.empty()) out.line(hint);
  const app::Listener listener{
      .event =
          [&](const plane::Event& event, const std::string& replica) {
            count.on_event(event);
            out.line(event_line(event, replica, wall_time_of(event), style));
          },
      .up =
          [&](const std::vector<std::string>& addresses) {
            const std::string line =
                up_line(*service.config.service, addresses, count.ready(), service.config.replicas.count);
            out.line(Style{.colour = style.colour}.paint(Colour::kGreen, line));
            if (up) up(line);
          },
      .warning = [&](const std::string& warning) { out.line(warning_line(warning, net::wall_time(), style)); },
  };
  app::Outcome outcome = app::run_service(service, listener);
  if (outcome.exit_status == 0)
    out.line(clock_text(net::wall_time(), style) + "  " + *service.config.service + " is down");
  return outcome;
}

// --- in the background ---

// The child's word to the waiting parent: one digit, the exit status, then the text to print. A socket, since a pipe
// whose reader has left would kill the writer.
class Verdict {
 public:
  explicit Verdict(Fd fd) : fd_(std::move(fd)) {}
  // The first one counts.
  void give(int exit_status, const std::string& text) {
    if (!fd_) return;
    const std::string message = std::to_string(exit_status) + text;
    std::size_t sent = 0;
    while (sent < message.size()) {
      const ssize_t size = ::send(fd_.get(), message.data() + sent, message.size() - sent, MSG_NOSIGNAL);
      if (size < 0 && errno != EINTR) break;
      if (size > 0) sent += static_cast<std::size_t>(size);
    }
    fd_.reset();
  }

 private:
  Fd fd_;
};

// Output of the supervisor itself is little, but a year is long: begins anew at each start once it is large.
Result<Fd> open_own_log(const std::string& path) {
  constexpr off_t kMaxBytes = 1 << 20;
  struct stat status{};
  if (::stat(path.c_str(), &status) == 0 && status.st_size > kMaxBytes)
    std::rename(path.c_str(), (path + ".1").c_str());
  Fd log(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640));
  if (!log) return failure(os_error(errno, "open " + path));
  return log;
}

void leave_terminal(const Fd& log) {
  ::setsid();
  const Fd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  ::dup2(nothing.get(), STDIN_FILENO);
  ::dup2(log.get(), STDOUT_FILENO);
  ::dup2(log.get(), STDERR_FILENO);
}

int run_as_child(Prepared prepared, Fd log, Verdict verdict) {
  leave_terminal(log);
  log.reset();
  prepared.lock.sign();
  const auto up = [&](const std::string& line) { verdict.give(kDone, line + "\n"); };
  const app::Outcome outcome = run_and_print(prepared.service, {.date = true}, "", up);
  const std::string text = outcome_text(outcome);
  std::fputs(text.c_str(), stderr);
  // Counts only where it was never up. Ended as somebody wished, and still not what the waiting parent was asked for.
  if (outcome.exit_status == 0) {
    verdict.give(1, "nines: " + *prepared.service.config.service + " was ended before it was up\n");
  } else {
    verdict.give(outcome.exit_status, text);
  }
  return outcome.exit_status;
}

std::atomic<pid_t> child_to_end = 0;

void end_child(int /*signal*/) { ::kill(child_to_end, SIGTERM); }

void forward_signals_to(pid_t child) {
  child_to_end = child;
  struct sigaction action{};
  action.sa_handler = end_child;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

std::string read_all(int fd) {
  std::string text;
  std::array<char, 4096> buffer;
  while (true) {
    const ssize_t size = ::read(fd, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
}

void wait_for(pid_t child) {
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
}

int wait_for_verdict(pid_t child, Fd fd, const app::Paths& paths) {
  forward_signals_to(child);
  const std::string message = read_all(fd.get());
  if (message.empty()) {
    wait_for(child);
    std::fprintf(stderr, "nines: the supervisor ended without a word; what it said before is in %s\n",
                 paths.own_log().c_str());
    return kNo;
  }
  const int exit_status = message.front() - '0';
  const bool up = exit_status == kDone && message.size() > 1;
  std::fputs(message.c_str() + 1, exit_status == kDone ? stdout : stderr);
  if (!up) wait_for(child);  // so that nothing of it is left when we return
  return exit_status;
}

}  // namespace

int run_in_foreground(Prepared prepared, const std::string& hint) {
  const LineStyle style{.colour = wants_colour(STDOUT_FILENO)};
  const app::Outcome outcome = run_and_print(prepared.service, style, hint, nullptr);
  std::fputs(outcome_text(outcome).c_str(), stderr);
  return outcome.exit_status;
}

int run_detached(Prepared prepared) {
  const app::Paths paths = prepared.service.paths;
  auto log = open_own_log(paths.own_log());
  std::array<int, 2> ends{};
  if (!log || ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    std::fprintf(stderr, "nines: %s\n", (log ? os_error(errno, "make a socket") : log.error()).text().c_str());
    return kNo;
  }
  Fd ours(ends[0]), childs(ends[1]);
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child < 0) {
    std::fprintf(stderr, "nines: %s\n", os_error(errno, "start a process").text().c_str());
    return kNo;
  }
  if (child == 0) {
    ours.reset();
    return run_as_child(std::move(prepared), std::move(*log), Verdict(std::move(childs)));
  }
  childs.reset();
  return wait_for_verdict(child, std::move(ours), paths);
}

}  // namespace nines::cli
