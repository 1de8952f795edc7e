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

#include "app/estate.h"
#include "app/handover.h"
#include "app/process_contract.h"
#include "app/snapshot.h"
#include "base/version.h"
#include "cli/event_line.h"
#include "cli/line_writer.h"
#include "cli/terminal.h"
#include "net/epoll_loop.h"

namespace nines::cli {
namespace {

WallTime wall_time_of(const plane::Event& event) { return net::wall_time() - (net::boot_time() - event.at()); }

std::string header(const app::Service& service) {
  const config::Config& config = service.config;
  const int count = config.replicas.count;
  std::string line = "nines " + std::string(kVersion) + " · " + *config.service + " · " + std::to_string(count);
  line += !config.replicas.endpoints.empty()
              ? (count == 1 ? " endpoint" : " endpoints")
              : (count == 1 ? " replica of " : " replicas of ") + config.replicas.program();
  line += " · listening on ";
  for (std::size_t i = 0; i < config.listen.size(); ++i) line += (i > 0 ? ", " : "") + config.listen[i].text();
  return line;
}

// A terminal shows today; a file is read on another day.
LineStyle style_of_output() {
  struct stat status{};
  const bool file = ::fstat(STDOUT_FILENO, &status) == 0 && S_ISREG(status.st_mode);
  return {.colour = wants_colour(STDOUT_FILENO), .date = file};
}

// --- the supervisor ---

// To whoever waits for the service to be up: one message, a digit, the exit status, then the text to print. The first
// one counts; later ones find nobody, or another supervisor of the same service has said it already.
void give_verdict(int socket, int exit_status, const std::string& text) {
  const std::string message = std::to_string(exit_status) + text;
  [[maybe_unused]] const ssize_t sent = ::send(socket, message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

app::Outcome supervise_and_print(const app::Service& service) {
  LineWriter out(STDOUT_FILENO);
  const LineStyle style = style_of_output();
  const app::Listener listener{
      .event = [&](const plane::Event& event,
                   const std::string& replica) { out.line(event_line(event, replica, wall_time_of(event), style)); },
      .up =
          [&](const std::vector<std::string>& addresses, std::size_t ready, bool again) {
            const std::string line = up_line(*service.config.service, addresses, ready, service.config.replicas.count);
            if (!again) out.line(Style{.colour = style.colour}.paint(Colour::kGreen, line));
            give_verdict(app::kVerdict, kDone, line + "\n");
          },
      .warning = [&](const std::string& warning) { out.line(warning_line(warning, net::wall_time(), style)); },
  };
  app::Outcome outcome = app::run_supervisor(service, listener);
  if (outcome.exit_status == 0 && !outcome.goes_on)
    out.line(clock_text(net::wall_time(), style) + "  " + *service.config.service + " is down");
  return outcome;
}

// --- in the background ---

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

void wait_for(pid_t child) {
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
}

int wait_for_verdict(pid_t child, const Fd& socket, const app::Paths& paths) {
  forward_signals_to(child);
  std::array<char, 64 * 1024> buffer;
  ssize_t size = 0;
  do size = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
  while (size < 0 && errno == EINTR);
  if (size <= 0) {
    wait_for(child);
    std::fprintf(stderr, "nines: the service ended without a word; what it said before is in %s\n",
                 paths.own_log().c_str());
    return kNo;
  }
  const std::string message(buffer.data(), static_cast<std::size_t>(size));
  const int exit_status = message.front() - '0';
  std::fputs(message.c_str() + 1, exit_status == kDone ? stdout : stderr);
  if (exit_status != kDone) wait_for(child);  // so that nothing of it is left when we return
  return exit_status;
}

using MakeEstate = std::function<Result<app::Estate>(const std::function<void(const std::string&)>& warn)>;

// Returns when it cannot: what to say.
std::string become_anchor(const MakeEstate& make, const app::Paths& paths, Fd verdict) {
  const auto warn = [](const std::string& text) {
    LineWriter(STDOUT_FILENO).line(warning_line(text, net::wall_time(), style_of_output()));
  };
  auto estate = make(warn);
  if (!estate) return "nines: " + estate.error().text() + "\n";
  estate->verdict = std::move(verdict);
  return "nines: " + app::become_anchor(std::move(*estate), paths).text() + "\n";
}

int in_background(const MakeEstate& make, const app::Paths& paths) {
  auto log = open_own_log(paths.own_log());
  std::array<int, 2> ends{};
  if (!log || ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
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
    leave_terminal(*log);
    const int socket = ::fcntl(childs.get(), F_DUPFD_CLOEXEC, 3);
    const std::string why = become_anchor(make, paths, std::move(childs));
    std::fputs(why.c_str(), stderr);
    give_verdict(socket, kNo, why);
    return kNo;
  }
  childs.reset();
  return wait_for_verdict(child, ours, paths);
}

int in_foreground(const MakeEstate& make, const app::Paths& paths) {
  // Whoever reads our output may leave; that is no reason to.
  ::signal(SIGPIPE, SIG_IGN);
  const std::string why = become_anchor(make, paths, Fd());
  std::fputs(why.c_str(), stderr);
  return kNo;
}

}  // namespace

void keep_signals_for_anchor() {
  if (::getpid() != 1) return;
  sigset_t ends;
  ::sigemptyset(&ends);
  for (const int number : {SIGTERM, SIGINT, SIGQUIT}) ::sigaddset(&ends, number);
  ::sigprocmask(SIG_BLOCK, &ends, nullptr);
}

int start_service(Prepared prepared, const StartOptions& options) {
  const app::Paths paths = prepared.service.paths;
  const std::string first_line = header(prepared.service);
  const MakeEstate make = [&](const auto& warn) {
    LineWriter out(STDOUT_FILENO);
    out.line(first_line);
    if (!options.hint.empty()) out.line(options.hint);
    auto estate = app::found_estate(prepared.service, std::move(prepared.lock), warn);
    if (!estate) app::remove_run_folder(paths);
    return estate;
  };
  return options.detach ? in_background(make, paths) : in_foreground(make, paths);
}

int take_over_service(const app::Paths& paths, const StartOptions& options) {
  const MakeEstate make = [&](const auto&) {
    constexpr Duration kPatience = 5s;
    return app::take_over(paths, kPatience);
  };
  if (!options.detach) return in_foreground(make, paths);
  // Asked for here first, so that a refusal is said to whoever typed it; the child keeps what it got.
  return in_background(make, paths);
}

// We have left our place to a successor, and whoever would start it is gone: we are the successor, with what we were
// given. Returns when that cannot be.
void succeed_ourselves(const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {"nines", "internal-supervisor"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv("/proc/self/exe", argv.data());
}

int supervisor_main(const std::vector<std::string>& arguments) {
  const pid_t anchor = ::getppid();
  auto paths = app::read_anchor_arguments(arguments);
  auto config = app::config_of_snapshot(app::kSnapshot);
  if (!paths || !config) {
    std::fprintf(stderr, "nines: %s\n", (paths ? config.error() : paths.error()).text().c_str());
    return kNo;
  }
  const app::Service service{std::move(*config), std::move(*paths)};
  const app::Outcome outcome = supervise_and_print(service);
  if (outcome.by_the_anchor && ::getppid() != anchor) succeed_ourselves(arguments);
  if (outcome.goes_on) return kDone;
  const std::string text = outcome_text(outcome);
  std::fputs(text.c_str(), stderr);
  // Counts only where it was never up. Ended as somebody wished, and still not what the waiting parent was asked for.
  if (outcome.exit_status == 0) {
    give_verdict(app::kVerdict, kNo, "nines: " + *service.config.service + " was ended before it was up\n");
  } else {
    give_verdict(app::kVerdict, outcome.exit_status, text);
  }
  return outcome.exit_status;
}

}  // namespace nines::cli
