// Starting, signalling and reaping one process group. Synchronous system calls, no event loop: the owner waits on
// pidfd() where it waits for everything else, then calls try_reap().
//
// Guarantees
//   A replica is the leader of its own session and process group: Ctrl-C at our terminal does not reach it,
//   and one signal reaches all of its workers. It outlives us (no PR_SET_PDEATHSIG).
//   It inherits descriptors 0, 1, 2 and those named in Command::inherit, and nothing else, whatever a library leaked.
//   It starts with every signal at its default and unblocked.
//   Nothing is allocated between fork and exec.
//   A signal goes to the group only while the leader is not reaped: until then the kernel keeps the number
//   from being used again.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace nines::supervise {

struct Command {
  std::vector<std::string> argv;
  std::vector<std::pair<std::string, std::string>> environment;  // added to ours; same name: replaces
  std::string directory;                                         // empty: ours
  int log = -1;                                                  // stdout and stderr; -1: /dev/null
  struct Inherited {
    int fd;
    int number;  // what the child sees; 3 or more, each once
  };
  std::vector<Inherited> inherit;
  std::optional<int> oom_score_adj;  // replicas: kReplicaOomScore. Best effort
  struct Limit {
    int resource;  // RLIMIT_NOFILE and the like
    std::uint64_t value;
  };
  std::vector<Limit> limits;       // both soft and hard
  std::vector<std::string> doors;  // of its control groups: Cgroup::doors()
  struct Identity {
    uid_t user;
    gid_t group;
    std::vector<gid_t> groups;
  };
  std::optional<Identity> identity;  // nullopt: ours
  std::optional<mode_t> umask;       // nullopt: ours
  std::string tag;                   // NINES_TAG=<tag> in its environment, by which a later supervisor knows it
};

// What systemd gave nines for itself. spawn() takes it out of what is inherited: a replica that speaks sd_notify would
// speak for all of nines. Command::environment may set them.
inline constexpr std::array<std::string_view, 3> kOwnVariables = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"};

// When memory runs out the kernel takes a replica, which is replaced in a second, before nines or a database.
inline constexpr int kReplicaOomScore = 500;

// The file that executing `command` would execute. A name without a slash is looked up in PATH (that of
// command.environment, if it sets one); one with a slash is relative to command.directory.
// Errors say what to do: kNotFound (no such command, directory or interpreter), kRefused (not executable),
// kInvalid (a directory, empty). spawn() calls this itself; call it first to refuse a bad configuration early.
Result<std::string> find_program(const Command& command);

struct Exit {
  enum class Kind : std::uint8_t {
    kStatus,
    kSignal,
    kUnknown,  // somebody else reaped it: never a guess
  };
  Kind kind = Kind::kUnknown;
  int value = 0;  // the status or the signal
  bool core = false;

  friend bool operator==(const Exit&, const Exit&) = default;
};

// "exit status 3", "killed by SIGKILL (9)", "killed by SIGSEGV (11), core dumped", "exit status unknown"
std::string text(const Exit& exit);

// Dropping a Process neither kills nor reaps it: replicas survive their supervisor.
class Process {
 public:
  // A process that runs already, child of somebody else: what a supervisor's successor goes on with. kNotFound when it
  // is gone or a zombie, or the pid is another process's by now.
  static Result<Process> adopt(pid_t pid, std::uint64_t start_time);

  pid_t pid() const { return pid_; }          // also the id of its group and session
  int pidfd() const { return pidfd_.get(); }  // readable once it has exited
  // Clock ticks since boot, field 22 of /proc/PID/stat. (pid, start time) names a process for ever; a pid alone does
  // not.
  std::uint64_t start_time() const { return start_time_; }

  // To the whole group. SIGTERM is followed by SIGCONT, or a stopped process would never see it.
  // Nothing happens when the leader was reaped. Errors: kRefused when it changed its user.
  Result<> signal(int number);

  // How the leader ended, once it has. What it leaves behind in its group and session is killed, as the end of a
  // container's first process ends the container: two incarnations never run at once. A child stays a zombie until
  // reap(), so that who dies in between leaves the exit for a successor to find. kUnknown when it is no child of ours:
  // only its parent can know.
  std::optional<Exit> look();
  // Forgets it, after look() has told how it ended.
  void reap();
  // Both at once.
  std::optional<Exit> try_reap();

  bool is_child() const { return child_; }

  // SIGKILL to every member of its group and of its session. Nothing when the leader was reaped (try_reap did it).
  void kill_group();

  bool reaped() const { return reaped_; }

 private:
  friend Result<Process> spawn(const Command& command);
  Process(pid_t pid, Fd pidfd);

  pid_t pid_;
  Fd pidfd_;
  std::uint64_t start_time_ = 0;
  bool child_ = true;
  bool reaped_ = false;
};

// "api", "1000", "api:models" looked up on this machine. kNotFound: there is no such user or group. May ask the
// network, where users come from there.
struct User {
  Command::Identity identity;
  std::string name, home;  // empty: a number nobody here has
};
Result<User> find_user(const std::string& text);

// Returns once the program is executing, or why it is not. Blocks for as long as exec takes (a program on a network
// file system may take long), never for the program itself.
Result<Process> spawn(const Command& command);

}  // namespace nines::supervise
