#include "supervise/process.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstddef>
#include <set>

#include <doctest/doctest.h>

#include "supervise/procfs.h"
#include "supervise/test_support.h"

namespace nines::supervise {
namespace {

using testing::eventually, testing::Folder, testing::read_all, testing::Running, testing::shell;

// Runs to its end and returns what it wrote.
std::string output_of(Command command) {
  const Folder folder;
  const Fd log(::open((folder / "log").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  command.log = log.get();
  Running running(spawn(command));
  REQUIRE(running.wait());
  return read_all(folder / "log");
}

bool lives(pid_t pid) {
  const auto stat = read_process_stat(pid);
  return stat && !stat->dead();
}

std::string status_line(pid_t pid, const std::string& field) {
  std::istringstream status(read_all("/proc/" + std::to_string(pid) + "/status"));
  for (std::string line; std::getline(status, line);)
    if (line.starts_with(field + ":\t")) return line.substr(field.size() + 2);
  return "";
}

TEST_CASE("process: how it ended, in words") {
  struct Row {
    std::string script;
    Exit exit;
    const char* text;
  };
  const Row rows[] = {
      {"exit 0", {Exit::Kind::kStatus, 0, false}, "exit status 0"},
      {"exit 3", {Exit::Kind::kStatus, 3, false}, "exit status 3"},
      {"kill -KILL $$", {Exit::Kind::kSignal, SIGKILL, false}, "killed by SIGKILL (9)"},
      {"ulimit -c 0; kill -SEGV $$", {Exit::Kind::kSignal, SIGSEGV, false}, "killed by SIGSEGV (11)"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.script);
    Running running(spawn(shell(row.script)));
    const auto exit = running.wait();
    REQUIRE(exit);
    CHECK(*exit == row.exit);
    CHECK(text(*exit) == row.text);
    CHECK(running->try_reap() == std::nullopt);  // once
  }
  CHECK(text(Exit{Exit::Kind::kSignal, SIGABRT, true}) == "killed by SIGABRT (6), core dumped");
  CHECK(text(Exit{Exit::Kind::kSignal, 40, false}) == "killed by signal 40");
  CHECK(text(Exit{}) == "exit status unknown");
}

TEST_CASE("process: what it is given") {
  const Folder folder;
  CHECK(output_of(shell("echo out; echo err >&2; cat")) == "out\nerr\n");  // and stdin is empty
  CHECK(output_of({.argv = {"pwd"}, .directory = folder.path()}) == folder.path() + "\n");
  CHECK(output_of({.argv = {"sh", "-c", "echo $NINES_TAG"}, .tag = "web/2"}) == "web/2\n");
  CHECK(output_of({.argv = {"sh", "-c", "echo $A-$HOME"}, .environment = {{"A", "1"}, {"HOME", "/x"}}}) == "1-/x\n");
  CHECK(output_of({.argv = {"sh", "-c", "echo ${PATH:+kept}"}}) == "kept\n");
  const std::string all = "\n" + output_of({.argv = {"env"}, .environment = {{"HOME", "/x"}}});
  CHECK(all.find("\nHOME=") == all.rfind("\nHOME="));  // replaced, not doubled
}

TEST_CASE("process: what systemd told nines alone is not passed on") {
  for (const std::string_view name : kOwnVariables) ::setenv(std::string(name).c_str(), "1", 1);
  ::setenv("WATCHDOG", "kept", 1);
  const std::string all = "\n" + output_of({.argv = {"env"}});
  const std::string given = "\n" + output_of({.argv = {"env"}, .environment = {{"NOTIFY_SOCKET", "/of/mine"}}});
  for (const std::string_view name : kOwnVariables) {
    CHECK(!all.contains("\n" + std::string(name) + "="));
    ::unsetenv(std::string(name).c_str());
  }
  ::unsetenv("WATCHDOG");
  CHECK(all.contains("\nWATCHDOG=kept\n"));
  CHECK(given.contains("\nNOTIFY_SOCKET=/of/mine\n"));
}

TEST_CASE("process: leads a session of its own, with signals as a program expects them") {
  struct sigaction ignore{}, before{};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &before);
  sigset_t blocked, mask_before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &mask_before);

  Command command{.argv = {"sleep", "1000"}, .oom_score_adj = kReplicaOomScore};
  Running running(spawn(command));
  const pid_t pid = running->pid();
  const auto stat = read_process_stat(pid);
  REQUIRE(stat);
  CHECK(stat->group == pid);
  CHECK(stat->session == pid);
  CHECK(stat->start_time == running->start_time());
  CHECK(running->start_time() > 0);
  CHECK(status_line(pid, "SigBlk") == "0000000000000000");
  CHECK(status_line(pid, "SigIgn") == "0000000000000000");
  CHECK(read_all("/proc/" + std::to_string(pid) + "/oom_score_adj") == "500\n");
  sigset_t mask_after;
  ::pthread_sigmask(SIG_SETMASK, &mask_before, &mask_after);
  CHECK(::sigismember(&mask_after, SIGTERM) == 1);  // ours is as it was
  CHECK(::sigismember(&mask_after, SIGINT) == 0);
  ::sigaction(SIGPIPE, &before, nullptr);
}

TEST_CASE("process: inherits what is named, nothing else, each under its number") {
  const Folder folder;
  const int leaked = ::open("/dev/null", O_RDONLY);  // no O_CLOEXEC, as libraries do
  const Fd a(::open(folder.file("a", "").c_str(), O_RDONLY | O_CLOEXEC));
  const Fd b(::open(folder.file("b", "").c_str(), O_RDONLY | O_CLOEXEC));
  // Crosswise, and one twice: the order of copying must not matter.
  Command command{.argv = {"sleep", "1000"}, .inherit = {{a.get(), b.get()}, {b.get(), a.get()}, {a.get(), 77}}};
  const Fd stdin_before(::fcntl(0, F_DUPFD_CLOEXEC, 3));
  ::dup2(a.get(), 0);
  Running running(spawn(command));
  ::dup2(stdin_before.get(), 0);
  ::close(leaked);

  const std::string descriptors = "/proc/" + std::to_string(running->pid()) + "/fd";
  const std::set<std::string> expected{"0", "1", "2", "77", std::to_string(a.get()), std::to_string(b.get())};
  CHECK(eventually([&] {  // once the loader has read its libraries
    std::set<std::string> seen;
    for (const auto& entry : std::filesystem::directory_iterator(descriptors))
      seen.insert(entry.path().filename().string());
    return seen == expected;
  }));
  const auto target = [&](int fd) { return std::filesystem::read_symlink(descriptors + "/" + std::to_string(fd)); };
  CHECK(target(a.get()) == folder / "b");
  CHECK(target(b.get()) == folder / "a");
  CHECK(target(77) == folder / "a");
  for (int fd : {0, 1, 2}) CHECK(target(fd) == "/dev/null");

  // Numbers that are free here, where copies made on the way might come to lie.
  command.inherit.clear();
  const int next = std::max(a.get(), b.get()) + 1;
  for (int i = 0; i < 10; ++i) command.inherit.push_back({i % 2 == 0 ? a.get() : b.get(), next + 9 - i});
  Running many(spawn(command));
  for (int i = 0; i < 10; ++i) {
    const auto link = "/proc/" + std::to_string(many->pid()) + "/fd/" + std::to_string(next + 9 - i);
    CHECK(std::filesystem::read_symlink(link) == folder / (i % 2 == 0 ? "a" : "b"));
  }

  for (const std::vector<Command::Inherited>& bad :
       {std::vector<Command::Inherited>{{a.get(), 2}}, {{a.get(), 5}, {b.get(), 5}}}) {
    command.inherit = bad;
    const auto refused = spawn(command);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == Code::kInvalid);
  }
  command.inherit = {{9999, 3}};
  CHECK_FALSE(spawn(command));
}

TEST_CASE("process: its pidfd is its own, and alive it has no exit") {
  Running running(spawn({.argv = {"sleep", "1000"}}));
  const auto pid = std::to_string(running->pid());
  CHECK(read_all("/proc/self/fdinfo/" + std::to_string(running->pidfd())).contains("\nPid:\t" + pid + "\n"));
  CHECK((::fcntl(running->pidfd(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(running->try_reap() == std::nullopt);
  running->kill_group();
  CHECK(running.wait() == Exit{Exit::Kind::kSignal, SIGKILL, false});
}

TEST_CASE("process: a signal reaches the whole group") {
  Running running(spawn(shell("sleep 1000 & sleep 1000 & sleep 1000 & wait")));
  REQUIRE(eventually([&] { return followers_of(running->pid()).size() == 3; }));
  const auto followers = followers_of(running->pid());
  REQUIRE(running->signal(SIGSTOP));
  for (const pid_t pid : followers) CHECK(eventually([&] { return read_process_stat(pid)->state == 'T'; }));
  REQUIRE(running->signal(SIGTERM));
  CHECK(running.wait() == Exit{Exit::Kind::kSignal, SIGTERM, false});
  for (const pid_t pid : followers) CHECK(eventually([&] { return !lives(pid); }));
  CHECK(running->signal(SIGTERM));  // too late is no error
}

TEST_CASE("process: a stopped one hears SIGTERM") {
  Running running(spawn({.argv = {"sleep", "1000"}}));
  REQUIRE(running->signal(SIGSTOP));
  REQUIRE(eventually([&] { return read_process_stat(running->pid())->state == 'T'; }));
  REQUIRE(running->signal(SIGTERM));
  CHECK(running.wait() == Exit{Exit::Kind::kSignal, SIGTERM, false});
}

TEST_CASE("process: workers do not outlive their leader, not even in a group of their own") {
  for (const std::string own_group : {"", "os.setpgid(0, 0);"}) {
    CAPTURE(own_group);
    const std::string workers = "import os, time\nfor i in range(2):\n  if not os.fork(): " + own_group +
                                " os.execlp('sleep', 'sleep', '1000')\ntime.sleep(1000)";
    Running running(spawn({.argv = {"python3", "-c", workers}}));
    const auto sleeping = [&] {
      const auto pids = followers_of(running->pid());
      return std::ranges::count_if(pids, [](pid_t pid) { return status_line(pid, "Name") == "sleep"; }) == 2;
    };
    REQUIRE(eventually(sleeping));
    const auto followers = followers_of(running->pid());
    ::kill(running->pid(), SIGKILL);  // the leader alone
    CHECK(running.wait() == Exit{Exit::Kind::kSignal, SIGKILL, false});
    for (const pid_t pid : followers) CHECK(eventually([&] { return !lives(pid); }));
  }
}

TEST_CASE("process: who was reaped by somebody else ended for a reason nobody knows") {
  Running running(spawn(shell("exit 3")));
  REQUIRE(::waitpid(running->pid(), nullptr, 0) == running->pid());
  CHECK(running->try_reap() == Exit{});
  CHECK(running->reaped());
}

TEST_CASE("process: outlives the one who started it") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const pid_t starter = ::fork();
  if (starter == 0) {
    const auto started = spawn({.argv = {"sleep", "1000"}});
    const pid_t pid = started ? started->pid() : -1;
    ::_exit(::write(ends[1], &pid, sizeof pid) == sizeof pid ? 0 : 1);
  }
  ::close(ends[1]);
  const Fd reader(ends[0]);
  pid_t pid = -1;
  REQUIRE(::read(reader.get(), &pid, sizeof pid) == sizeof pid);
  REQUIRE(pid > 1);
  REQUIRE(::waitpid(starter, nullptr, 0) == starter);
  CHECK(lives(pid));
  CHECK(status_line(pid, "Name") == "sleep");
  ::kill(pid, SIGKILL);
  CHECK(eventually([&] { return !lives(pid); }));
}

// A grandchild of ours: as a supervisor's successor meets the replicas.
struct Orphan {
  pid_t pid = -1;

  explicit Orphan(const std::string& script) {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const pid_t starter = ::fork();
    if (starter == 0) {
      const auto started = spawn(shell(script));
      const pid_t child = started ? started->pid() : -1;
      ::_exit(::write(ends[1], &child, sizeof child) == sizeof child ? 0 : 1);
    }
    ::close(ends[1]);
    const Fd reader(ends[0]);
    REQUIRE(::read(reader.get(), &pid, sizeof pid) == sizeof pid);
    REQUIRE(pid > 1);
    REQUIRE(::waitpid(starter, nullptr, 0) == starter);
  }
  ~Orphan() {
    ::kill(pid, SIGKILL);
    // It, and its workers, which are ours as well now.
    eventually([] { return ::waitpid(-1, nullptr, WNOHANG) == -1; });
    ::prctl(PR_SET_CHILD_SUBREAPER, 0);
  }
  std::uint64_t start_time() const { return read_process_stat(pid)->start_time; }
};

TEST_CASE("process: one that runs is adopted, with all that can be done to it") {
  // Another process than ours stands between: what it spawned is not our child.
  Running parent(spawn(shell("sleep 1000 & wait")));
  REQUIRE(eventually([&] { return followers_of(parent->pid()).size() == 1; }));
  const pid_t pid = followers_of(parent->pid()).front();
  const auto stat = read_process_stat(pid);
  auto adopted = Process::adopt(pid, stat->start_time);
  REQUIRE(adopted);
  CHECK_FALSE(adopted->is_child());
  CHECK(adopted->pid() == pid);
  CHECK(adopted->start_time() == stat->start_time);
  CHECK_FALSE(adopted->look());
  ::kill(pid, SIGKILL);
  REQUIRE(eventually([&] { return adopted->look().has_value(); }));
  CHECK(adopted->look() == Exit{});  // only its parent can know
  CHECK_FALSE(adopted->reaped());
  adopted->reap();
  CHECK_FALSE(adopted->look());  // once
  CHECK(adopted->signal(SIGTERM));
}

TEST_CASE("process: the pid of another process is not adopted, nor is a zombie") {
  Running running(spawn({.argv = {"sleep", "1000"}}));
  const auto start = running->start_time();
  for (const std::uint64_t other : {start - 1, start + 1, std::uint64_t{0}}) {
    const auto refused = Process::adopt(running->pid(), other);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == Code::kNotFound);
  }
  CHECK(Process::adopt(running->pid(), start));
  ::kill(running->pid(), SIGKILL);
  REQUIRE(eventually([&] { return read_process_stat(running->pid())->dead(); }));
  CHECK_FALSE(Process::adopt(running->pid(), start));
  running.wait();
  CHECK_FALSE(Process::adopt(running->pid(), start));  // nobody has it any more
}

TEST_CASE("process: signals reach the group of one that is adopted, and end with it") {
  Orphan orphan("sleep 1000 & sleep 1000 & wait");
  REQUIRE(eventually([&] { return followers_of(orphan.pid).size() == 2; }));
  const auto followers = followers_of(orphan.pid);
  auto adopted = Process::adopt(orphan.pid, orphan.start_time());
  REQUIRE(adopted);
  REQUIRE(adopted->is_child());  // we are the subreaper, so its exit is ours to know
  REQUIRE(adopted->signal(SIGTERM));
  for (const pid_t pid : followers) CHECK(eventually([&] { return !lives(pid); }));
  std::optional<Exit> exit;
  REQUIRE(eventually([&] { return (exit = adopted->look()).has_value(); }));
  CHECK(exit == Exit{Exit::Kind::kSignal, SIGTERM, false});
}

TEST_CASE("process: looked at, a child stays a zombie until it is reaped") {
  Running running(spawn(shell("sleep 1000 & exit 3")));
  std::optional<Exit> exit;
  REQUIRE(eventually([&] { return (exit = running->look()).has_value(); }));
  const pid_t pid = running->pid();
  for (int i = 0; i < 3; ++i) {
    CHECK(running->look() == Exit{Exit::Kind::kStatus, 3, false});
    REQUIRE(read_process_stat(pid));
    CHECK(read_process_stat(pid)->state == 'Z');
  }
  CHECK(followers_of(pid).empty());  // and what it left behind is killed before
  CHECK_FALSE(running->reaped());
  running->reap();
  CHECK(running->reaped());
  CHECK_FALSE(read_process_stat(pid));
  CHECK_FALSE(running->look());
}

// Where clone3 is forbidden, as by older container engines.
TEST_CASE("process: starts without clone3") {
  const pid_t tester = ::fork();
  if (tester == 0) {
    sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program{.len = std::size(rules), .filter = rules};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) ::_exit(42);
    if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) ::_exit(42);
    auto started = spawn(shell("exit 7"));
    if (!started) ::_exit(1);
    std::optional<Exit> exit;
    eventually([&] { return (exit = started->try_reap()).has_value(); });
    ::_exit(exit == Exit{Exit::Kind::kStatus, 7, false} ? 0 : 2);
  }
  int status = 0;
  REQUIRE(::waitpid(tester, &status, 0) == tester);
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) != 42) CHECK(WEXITSTATUS(status) == 0);  // 42: no filters on this machine
}

TEST_CASE("process: what exec refuses is an error of spawn, and leaves no process behind") {
  const Folder folder;
  const auto program = folder.file("data", "neither program nor script\n");
  auto refused = spawn({.argv = {program}});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Code::kInvalid);
  refused = spawn({.argv = {"true", std::string(4 << 20, 'x')}});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().text().contains("too long"));
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
  CHECK(errno == ECHILD);

  std::string alien = read_all("/bin/true");
  const auto loader = alien.find("/lib64/ld-linux-x86-64.so.2");
  if (loader == std::string::npos) return;  // another architecture
  alien.replace(loader, 8, "/libXX/l");
  refused = spawn({.argv = {folder.file("alien", alien)}});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Code::kNotFound);
}

}  // namespace
}  // namespace nines::supervise
