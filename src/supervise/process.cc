#include "supervise/process.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <pwd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>

#include "base/text.h"
#include "supervise/procfs.h"

namespace nines::supervise {
namespace {

int pidfd_open(pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); }

enum class Step : int { kSession, kCgroup, kLimits, kUser, kDirectory, kDescriptors, kExec };

struct StartFailure {
  Step step;
  int error;
};

// All that the child needs, made before the fork, because after it nothing may allocate or lock.
struct Plan {
  std::string program;
  std::string directory;
  std::string oom_score_adj;
  std::vector<Command::Limit> limits;
  std::vector<Fd> doors;
  std::optional<Command::Identity> identity;
  std::optional<mode_t> umask;
  std::vector<std::string> strings;  // environment; argv points into the Command
  std::vector<char*> argv, envp;
  // Copies of every descriptor the child keeps, above all the numbers it will have, so that putting one in
  // its place never overwrites another.
  struct Placed {
    Fd copy;
    int number;
  };
  std::vector<Placed> descriptors;
  Fd report;  // closed by a successful exec; otherwise says what failed
};

Result<> check_strings(const Command& command) {
  const auto bad = [](std::string_view text) { return text.find('\0') != std::string_view::npos; };
  bool broken = bad(command.directory) || bad(command.tag) || std::ranges::any_of(command.argv, bad);
  for (const auto& [name, value] : command.environment)
    broken = broken || bad(name) || bad(value) || name.empty() || name.find('=') != std::string::npos;
  if (broken) return failure(Code::kInvalid, "the command or its environment holds a zero byte or a bad variable name");
  return {};
}

std::vector<std::string> environment_for(const Command& command) {
  std::vector<std::pair<std::string, std::string>> ours = command.environment;
  ours.emplace_back("NINES_TAG", command.tag);
  std::vector<std::string> all;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view line(*entry);
    const auto name = line.substr(0, line.find('='));
    const bool replaced = std::ranges::any_of(ours, [&](const auto& pair) { return pair.first == name; });
    if (!replaced && std::ranges::find(kOwnVariables, name) == kOwnVariables.end()) all.emplace_back(line);
  }
  for (const auto& [name, value] : ours) all.push_back(name + "=" + value);
  return all;
}

Result<> place_descriptors(const Command& command, const Fd& null, Fd report, Plan& plan) {
  int highest = 2;
  for (auto it = command.inherit.begin(); it != command.inherit.end(); ++it) {
    const bool twice = std::any_of(command.inherit.begin(), it, [&](const auto& o) { return o.number == it->number; });
    if (it->number < 3 || twice)
      return failure(Code::kInvalid, "an inherited descriptor needs a number of its own, 3 or more");
    highest = std::max(highest, it->number);
  }
  const auto copy_of = [&](int fd) { return Fd(::fcntl(fd, F_DUPFD_CLOEXEC, highest + 1)); };
  const auto place = [&](int fd, int number) {
    plan.descriptors.push_back({copy_of(fd), number});
    return static_cast<bool>(plan.descriptors.back().copy);
  };
  const int output = command.log >= 0 ? command.log : null.get();
  bool placed = place(null.get(), 0) && place(output, 1) && place(output, 2);
  for (const auto& [fd, number] : command.inherit) placed = placed && place(fd, number);
  if (placed) plan.report = copy_of(report.get());
  if (!placed || !plan.report) return failure(os_error(errno, "duplicate descriptors for " + command.argv.front()));
  return {};
}

Result<> fill(Plan& plan, const Command& command, Fd report) {
  if (auto checked = check_strings(command); !checked) return checked;
  auto program = find_program(command);
  if (!program) return failure(std::move(program.error()));
  plan.program = std::move(*program);
  plan.directory = command.directory;
  if (command.oom_score_adj) plan.oom_score_adj = std::to_string(*command.oom_score_adj);
  plan.limits = command.limits;
  plan.identity = command.identity;
  plan.umask = command.umask;
  for (const std::string& door : command.doors) {
    plan.doors.emplace_back(::open(door.c_str(), O_WRONLY | O_CLOEXEC));
    if (!plan.doors.back()) return failure(os_error(errno, "open " + door));
  }
  plan.strings = environment_for(command);
  for (std::string& entry : plan.strings) plan.envp.push_back(entry.data());
  plan.envp.push_back(nullptr);
  for (const std::string& argument : command.argv) plan.argv.push_back(const_cast<char*>(argument.c_str()));
  plan.argv.push_back(nullptr);
  const Fd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!null) return failure(os_error(errno, "open /dev/null"));
  return place_descriptors(command, null, std::move(report), plan);
}

// ---- In the child, between fork and exec: system calls only. ----

[[noreturn]] void give_up(const Plan& plan, Step step) {
  const StartFailure failure{step, errno};
  [[maybe_unused]] const auto written = ::write(plan.report.get(), &failure, sizeof failure);
  ::_exit(127);
}

void reset_signals() {
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number)
    ::sigaction(number, &action, nullptr);  // fails for KILL, STOP, and libc's own
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Descriptors a library opened without O_CLOEXEC must not reach the replica.
void close_the_rest_on_exec() {
  if (::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) == 0) return;
  // Before Linux 5.11. A table of a million entries would cost seconds; leaks sit at the low numbers.
  struct rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  for (int fd = 3; fd < static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 65'536)); ++fd)
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
}

// The raw system calls: libc's would have every thread of the process change, and this one has only us.
bool take_identity(const Command::Identity& identity) {
  return ::syscall(SYS_setgroups, identity.groups.size(), identity.groups.data()) == 0 &&
         ::syscall(SYS_setresgid, identity.group, identity.group, identity.group) == 0 &&
         ::syscall(SYS_setresuid, identity.user, identity.user, identity.user) == 0;
}

[[noreturn]] void become(const Plan& plan) {
  if (::setsid() < 0) give_up(plan, Step::kSession);
  for (const Fd& door : plan.doors)
    if (::write(door.get(), "0", 1) != 1) give_up(plan, Step::kCgroup);
  if (!plan.oom_score_adj.empty()) {
    const int file = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    // May fail in a container. It only weighs whom the kernel kills first.
    [[maybe_unused]] const auto written = ::write(file, plan.oom_score_adj.data(), plan.oom_score_adj.size());
  }
  for (const auto& [resource, value] : plan.limits) {
    const struct rlimit limit{value, value};
    if (::setrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0) give_up(plan, Step::kLimits);
  }
  if (plan.umask) ::umask(*plan.umask);
  if (plan.identity && !take_identity(*plan.identity)) give_up(plan, Step::kUser);
  if (!plan.directory.empty() && ::chdir(plan.directory.c_str()) != 0) give_up(plan, Step::kDirectory);
  close_the_rest_on_exec();
  for (const Plan::Placed& placed : plan.descriptors)
    if (::dup2(placed.copy.get(), placed.number) < 0) give_up(plan, Step::kDescriptors);
  reset_signals();
  ::execve(plan.program.c_str(), plan.argv.data(), plan.envp.data());
  give_up(plan, Step::kExec);
}

// ---- In the parent again. ----

struct Child {
  pid_t pid;
  Fd pidfd;
};

Result<Child> fork_and_become(const Plan& plan) {
  // A handler of ours that ran in the child would act on our state, with our descriptors.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);

  int pidfd = -1;
  clone_args arguments{};
  arguments.flags = CLONE_PIDFD;
  arguments.pidfd = reinterpret_cast<std::uintptr_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  auto pid = static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
  // Containers often forbid clone3, because their filters cannot look into its argument.
  const bool forbidden = pid < 0 && (errno == ENOSYS || errno == EPERM);
  if (forbidden) pid = ::fork();
  if (pid == 0) become(plan);
  const int fork_error = errno;
  if (pid > 0 && forbidden) pidfd = pidfd_open(pid);  // not reaped yet, so it is still the same process
  const int pidfd_error = errno;

  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return failure(os_error(fork_error, "fork a process"));
  if (pidfd < 0) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return failure(os_error(pidfd_error, "open a pidfd, which needs Linux 5.3 and no filter against it"));
  }
  return Child{pid, Fd(pidfd)};
}

Error start_error(const Plan& plan, const StartFailure& failed) {
  const std::string program = "`" + plan.program + "`";
  switch (failed.step) {
    case Step::kSession: return os_error(failed.error, "make a session for " + program);
    case Step::kCgroup: return os_error(failed.error, "move " + program + " into its control group");
    case Step::kLimits:
      return os_error(failed.error, "set the limits of " + program + ", which only root may raise above its own");
    case Step::kUser: return os_error(failed.error, "run " + program + " as its user, which needs nines to be root");
    case Step::kDirectory: return os_error(failed.error, "enter the working directory `" + plan.directory + "`");
    case Step::kDescriptors: return os_error(failed.error, "hand descriptors to " + program);
    case Step::kExec: break;
  }
  // find_program saw the file, so what is missing is what the file needs.
  if (failed.error == ENOENT)
    return Error(
        Code::kNotFound,
        program + " cannot be loaded: the loader it names does not exist here; was it built for another system?");
  if (failed.error == ENOEXEC)
    return Error(Code::kInvalid, program + " is neither a program for this machine nor a script that begins with #!");
  if (failed.error == ETXTBSY)
    return Error(Code::kUnavailable, program + " is being written at this moment: try again");
  return os_error(failed.error, "execute " + program);
}

// Blocks until the exec has succeeded (end of file) or the child says why not.
std::optional<StartFailure> wait_for_exec(const Fd& report) {
  StartFailure failed{};
  ssize_t size = 0;
  do size = ::read(report.get(), &failed, sizeof failed);
  while (size < 0 && errno == EINTR);
  if (size != sizeof failed) return std::nullopt;
  return failed;
}

int wait_for(const Fd& pidfd, siginfo_t& info, int options) {
  int status = 0;
  do status = ::waitid(P_PIDFD, static_cast<id_t>(pidfd.get()), &info, WEXITED | options);
  while (status != 0 && errno == EINTR);
  return status;
}

int send_through(const Fd& pidfd, int number) {
  return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd.get(), number, nullptr, 0));
}

Exit exit_of(const siginfo_t& info) {
  if (info.si_code == CLD_EXITED) return {Exit::Kind::kStatus, info.si_status, false};
  return {Exit::Kind::kSignal, info.si_status, info.si_code == CLD_DUMPED};
}

// Members of the session that made a process group of their own. Their pids may be used again at any moment, unlike
// the group's, so each is pinned by a pidfd before it is looked at again.
bool kill_session_once(pid_t session) {
  bool any = false;
  for (const pid_t pid : followers_of(session)) {
    const Fd pinned(pidfd_open(pid));
    const auto stat = read_process_stat(pid);
    if (!pinned || !stat || stat->dead() || !stat->belongs_to(session)) continue;
    any = send_through(pinned, SIGKILL) == 0 || any;
  }
  return any;
}

template <class Entry, class Look>
bool look_up(Entry& entry, std::vector<char>& space, const Look& look) {
  space.resize(16 * 1024);
  Entry* found = nullptr;
  while (look(&entry, space.data(), space.size(), &found) == ERANGE && space.size() < (1U << 20U))
    space.resize(space.size() * 2);
  return found != nullptr;
}

}  // namespace

Result<User> find_user(const std::string& text) {
  const auto colon = text.find(':');
  const std::string name = text.substr(0, colon);
  const std::string group = colon == std::string::npos ? "" : text.substr(colon + 1);
  // -1 means "as it is" to the kernel, and a larger one would be cut.
  const auto number = [](const std::string& word) {
    const auto id = parse_unsigned(word);
    return id && *id < UINT32_MAX ? id : std::nullopt;
  };
  struct passwd entry{};
  std::vector<char> space;
  const bool known =
      number(name) ? look_up(entry, space,
                             [&](auto... rest) { return ::getpwuid_r(static_cast<uid_t>(*number(name)), rest...); })
                   : look_up(entry, space, [&](auto... rest) { return ::getpwnam_r(name.c_str(), rest...); });
  if (!known && !number(name)) return failure(Code::kNotFound, "this machine has no user " + name);
  User user;
  user.identity.user = known ? entry.pw_uid : static_cast<uid_t>(*number(name));
  user.identity.group = known ? entry.pw_gid : static_cast<gid_t>(*number(name));
  if (known) {
    user.name = entry.pw_name;
    user.home = entry.pw_dir;
    int count = 64;
    std::vector<gid_t> groups(static_cast<std::size_t>(count));
    if (::getgrouplist(entry.pw_name, entry.pw_gid, groups.data(), &count) < 0) {
      groups.resize(static_cast<std::size_t>(count));
      ::getgrouplist(entry.pw_name, entry.pw_gid, groups.data(), &count);
    }
    groups.resize(static_cast<std::size_t>(count));
    user.identity.groups = std::move(groups);
  }
  if (group.empty()) return user;
  if (const auto gid = number(group)) {
    user.identity.group = static_cast<gid_t>(*gid);
    return user;
  }
  struct group found{};
  std::vector<char> more;
  if (!look_up(found, more, [&](auto... rest) { return ::getgrnam_r(group.c_str(), rest...); }))
    return failure(Code::kNotFound, "this machine has no group " + group);
  user.identity.group = found.gr_gid;
  return user;
}

std::string text(const Exit& exit) {
  if (exit.kind == Exit::Kind::kUnknown) return "exit status unknown";
  const std::string number = std::to_string(exit.value);
  if (exit.kind == Exit::Kind::kStatus) return "exit status " + number;
  const char* name = ::sigabbrev_np(exit.value);
  std::string result =
      name != nullptr ? "killed by SIG" + std::string(name) + " (" + number + ")" : "killed by signal " + number;
  if (exit.core) result += ", core dumped";
  return result;
}

Process::Process(pid_t pid, Fd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {
  if (const auto stat = read_process_stat(pid)) start_time_ = stat->start_time;
}

Result<> Process::signal(int number) {
  // What is no child of ours may have been reaped by its parent since we looked; the number of its group would be
  // somebody else's only after all others were used.
  if (reaped_ || (!child_ && send_through(pidfd_, 0) != 0)) return {};
  if (::kill(-pid_, number) != 0 && errno != ESRCH)
    return failure(
        os_error(errno, "send signal " + std::to_string(number) + " to process group " + std::to_string(pid_)));
  if (number == SIGTERM) ::kill(-pid_, SIGCONT);
  return {};
}

void Process::kill_group() {
  if (reaped_ || (!child_ && send_through(pidfd_, 0) != 0)) return;
  ::kill(-pid_, SIGKILL);
  // What forks while we look is found by the next walk; a fork bomb is left to its limits.
  for (int walk = 0; walk < 5 && kill_session_once(pid_); ++walk) {
  }
}

Result<Process> Process::adopt(pid_t pid, std::uint64_t start_time) {
  Fd pidfd(pidfd_open(pid));
  // Looked at after the pidfd holds it fast.
  const auto stat = read_process_stat(pid);
  if (!pidfd || !stat || stat->dead() || stat->start_time != start_time)
    return failure(Code::kNotFound, "process " + std::to_string(pid) + " is gone");
  Process process(pid, std::move(pidfd));
  process.child_ = stat->parent == ::getpid();
  return process;
}

std::optional<Exit> Process::look() {
  if (reaped_) return std::nullopt;
  if (!child_) {
    const auto stat = read_process_stat(pid_);
    if (stat && !stat->dead() && stat->start_time == start_time_) return std::nullopt;
    // No descriptor left to look with is no proof of an end.
    if (!stat && send_through(pidfd_, 0) == 0) return std::nullopt;
    return Exit{};
  }
  siginfo_t info{};
  if (wait_for(pidfd_, info, WNOHANG | WNOWAIT) != 0) {
    if (send_through(pidfd_, 0) == 0 || errno != ESRCH) return std::nullopt;
    reaped_ = true;  // by somebody else, so its group's number may belong to others already
    return Exit{};
  }
  if (info.si_pid == 0) return std::nullopt;
  kill_group();  // before reaping: afterwards nothing holds the number of the group
  return exit_of(info);
}

void Process::reap() {
  if (reaped_) return;
  siginfo_t info{};
  if (child_) wait_for(pidfd_, info, WNOHANG);
  reaped_ = true;
}

std::optional<Exit> Process::try_reap() {
  const auto exit = look();
  if (exit) reap();
  return exit;
}

Result<Process> spawn(const Command& command) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return failure(os_error(errno, "make a pipe"));
  const Fd reader(ends[0]);
  Fd writer(ends[1]);
  Plan plan;
  if (auto filled = fill(plan, command, std::move(writer)); !filled) return failure(std::move(filled.error()));
  auto child = fork_and_become(plan);
  if (!child) return failure(std::move(child.error()));
  plan.report.reset();
  if (const auto failed = wait_for_exec(reader)) {
    siginfo_t info{};
    wait_for(child->pidfd, info, 0);
    return failure(start_error(plan, *failed));
  }
  return Process(child->pid, std::move(child->pidfd));
}

}  // namespace nines::supervise
