#include "app/anchor.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <utility>

#include "app/descriptors.h"
#include "app/notify.h"
#include "app/process_contract.h"
#include "app/vigil.h"
#include "net/epoll_loop.h"
#include "plane/plane.h"

namespace nines::app {
namespace {

using plane::EventKind;
using Leave = plane::Header::Leave;

constexpr Duration kSettled = 1s;     // one that lives so long costs nothing to start again
constexpr int kQuickEndsAtOnce = 10;  // and neither do a few that do not, as when somebody kills them
constexpr Duration kFirstPause = 25ms;
constexpr Duration kLastPause = 2s;

// Strings and the pointers execve() wants, made once.
class Words {
 public:
  explicit Words(std::vector<std::string> words) : words_(std::move(words)) {
    for (std::string& word : words_) pointers_.push_back(word.data());
    pointers_.push_back(nullptr);
  }
  char* const* get() { return pointers_.data(); }

 private:
  std::vector<std::string> words_;
  std::vector<char*> pointers_;
};

std::vector<std::string> command(const char* part, const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {"nines", part};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return words;
}

// The supervisor's: ours, with its tag in the place of our own.
std::vector<std::string> environment(const std::string& tag) {
  std::vector<std::string> variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    if (!std::string_view(*entry).starts_with("NINES_TAG=")) variables.emplace_back(*entry);
  }
  variables.push_back("NINES_TAG=" + tag);
  return variables;
}

class Anchor {
 public:
  Anchor(plane::Plane table, const std::vector<std::string>& arguments)
      : table_(std::move(table)),
        supervisor_(command("internal-supervisor", arguments)),
        successor_(command("internal-anchor", arguments)),
        environment_(environment(arguments.front())),
        manager_(std::getenv("NOTIFY_SOCKET")),
        ping_every_(watchdog_interval(std::getenv("WATCHDOG_USEC"), std::getenv("WATCHDOG_PID"), ::getpid())) {}

  int run() {
    // Stopped by a terminal's Ctrl-Z we would restart nobody.
    for (const int number : {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU})
      sigaddset(&signals_, number);
    ::sigprocmask(SIG_SETMASK, &signals_, nullptr);
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (!take_place()) {
      std::fputs("nines anchor: another one has taken the place of the one that died\n", stderr);
      return 1;
    }
    make_succession();
    write_part(table_->anchor, ::getpid());
    note(EventKind::kAnchorStarted, ::getpid(), 0);
    start_at_ = now();
    while (true) {
      reap();
      if (pid_ == 0) {
        const Leave leave = table_->header.leave.exchange(Leave::kDied);
        if (leave == Leave::kEnded) return static_cast<int>(table_->header.exit_status.load());
        if (leave == Leave::kSucceeded) {
          become_successor();
          reap();
        }
        if (now() >= start_at_) start();
      }
      look_at_supervisor();
      ping();
      hear();
    }
  }

 private:
  static Instant now() { return net::boot_time(); }

  // The supervisor that we were called by, since its anchor had died, leaves once it hears that we are here. False: it
  // has taken another one, or has died, and whoever starts us again will see.
  static bool take_place() {
    char byte = 1;
    if (::send(kSuccession, &byte, 1, MSG_NOSIGNAL) != 1) return errno == ENOTSOCK;  // there is no predecessor
    constexpr timeval kPatience{.tv_sec = 10, .tv_usec = 0};
    ::setsockopt(kSuccession, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
    if (::recv(kSuccession, &byte, 1, 0) != 1) return false;
    while (::recv(kSuccession, &byte, 1, 0) > 0) {
    }
    const int nothing = ::open("/dev/null", O_RDWR);
    ::dup2(nothing, kSuccession);
    ::close(nothing);
    return true;
  }

  // Without it there is no reload, and all else goes on.
  void make_succession() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) return;
    ours_ = Fd(::fcntl(ends[0], F_DUPFD_CLOEXEC, kAboveListeners));
    theirs_ = Fd(::fcntl(ends[1], F_DUPFD_CLOEXEC, kAboveListeners));
    ::close(ends[0]);
    ::close(ends[1]);
  }

  // What a supervisor has left for its successor: another configuration's snapshot, and all its listening sockets.
  bool take_succession() {
    ReceivedDescriptors left = receive_descriptors(ours_.get());
    if (left.outcome != ReceivedDescriptors::Outcome::kWhole) return false;
    bool whole = left.count > 1;
    for (std::size_t i = 0; i < left.count; ++i) {  // their numbers may be a listener's
      const int above = ::fcntl(left.descriptors[i], F_DUPFD_CLOEXEC, kAboveListeners);
      ::close(std::exchange(left.descriptors[i], above));
      whole = whole && above >= 0;
    }
    if (whole) {
      ::dup2(left.descriptors[0], kSnapshot);
      int next = kFirstListener;
      for (std::size_t i = 1; i < left.count; ++i) ::dup2(left.descriptors[i], next++);
      while (next < kAboveListeners) ::close(next++);  // addresses that are no more
    }
    for (std::size_t i = 0; i < left.count; ++i) ::close(left.descriptors[i]);
    return whole;
  }

  void start() {
    started_at_ = now();
    pid_ = ::fork();
    if (pid_ == 0) {
      if (theirs_) ::dup2(theirs_.get(), kSuccession);
      ::setsid();  // Ctrl-C at a terminal reaches it through us, once
      // Signals stay blocked until it hears them itself.
      ::execve("/proc/self/exe", supervisor_.get(), environment_.get());
      ::_exit(127);
    }
    if (pid_ < 0) {
      pid_ = 0;
      start_at_ = now() + kLastPause;
      return;
    }
    vigil_.begin(started_at_);
    hung_ = false;
    write_part(table_->supervisor, pid_);
    if (asked_ != 0 && table_->header.stopping == 0) ::kill(pid_, asked_);
  }

  // Same process, same children, same descriptors. Returns when that program cannot be executed.
  void become_successor() {
    if (asked_ != 0) ::raise(asked_);  // blocked, so it waits for that program
    ::execve(table_->header.successor, successor_.get(), environ);
    note(EventKind::kAnchorStarted, ::getpid(), 0, "the new program cannot be executed; the old one goes on");
  }

  // One that lives and does not work, halted or waiting for ever, is replaced as if it had died.
  void look_at_supervisor() {
    if (pid_ == 0 || now() < vigil_.next()) return;
    if (!vigil_.hangs(Instant{Duration(table_->header.heartbeat_ns.load())}, now())) return;
    hung_ = true;
    ::kill(pid_, SIGKILL);
    vigil_.begin(now());  // again, should it not go
  }

  // systemd's watchdog is about us: a supervisor that hangs is our business.
  void ping() {
    if (!ping_every_ || now() < ping_at_) return;
    manager_.tell("WATCHDOG=1\n");
    ping_at_ = now() + *ping_every_;
  }

  // Blocks until a signal comes, or something is due.
  void hear() {
    const Instant due = std::min(pid_ != 0 ? vigil_.next() : start_at_, ping_every_ ? ping_at_ : Instant::never());
    const Duration wait = std::max<Duration>(due - now(), 0ns);
    const auto seconds = std::chrono::floor<std::chrono::seconds>(wait);
    const timespec limit{.tv_sec = seconds.count(), .tv_nsec = (wait - seconds).count()};
    const int number = ::sigtimedwait(&signals_, nullptr, &limit);
    if (number != SIGTERM && number != SIGINT && number != SIGQUIT) return;
    const int forwarded = number == SIGQUIT ? SIGTERM : number;
    asked_ = forwarded;
    if (pid_ != 0) ::kill(pid_, forwarded);  // it is our child and not reaped, so it is still the same process
  }

  // Who ends while the supervisor leaves for another program stays a zombie: that program may have another table, and
  // could not read here how it ended.
  void reap() {
    while (true) {
      const bool leaving = table_->header.leave == Leave::kSucceeded;
      if (leaving && pid_ == 0) return;
      siginfo_t info{};
      if (::waitid(leaving ? P_PID : P_ALL, static_cast<id_t>(leaving ? pid_ : 0), &info,
                   WEXITED | WNOHANG | WNOWAIT) != 0 ||
          info.si_pid == 0)
        return;
      const bool supervisor = info.si_pid == pid_;
      supervisor ? supervisor_ended(info) : orphan_ended(info);
      siginfo_t reaped{};
      ::waitid(P_PID, static_cast<id_t>(info.si_pid), &reaped, WEXITED | WNOHANG);
      if (!supervisor) net::Doorbell::ring(kBellToSupervisor);
    }
  }

  void supervisor_ended(const siginfo_t& info) {
    pid_ = 0;
    const bool succeeded = take_succession();
    quick_ends_ = succeeded || now() - started_at_ >= kSettled ? 0 : quick_ends_ + 1;
    const int doubled = std::min(quick_ends_ - kQuickEndsAtOnce - 1, 10);
    start_at_ = now() + (doubled < 0 ? 0ns : std::min<Duration>(kFirstPause * (1 << doubled), kLastPause));
    char how[96];
    if (info.si_code == CLD_EXITED) {
      std::snprintf(how, sizeof how, "exit status %d", info.si_status);
    } else {
      std::snprintf(how, sizeof how, "killed by SIG%s (%d)%s", ::sigabbrev_np(info.si_status), info.si_status,
                    hung_ ? ", since it gave no sign of life for 10 s" : "");
    }
    const bool died = table_->header.leave == Leave::kDied && !succeeded;
    note(EventKind::kSupervisorExited, info.si_pid, died ? 1 : 0, how);
    table_->supervisor.store({.pid = 0, .starts = starts_, .since_ns = now().since_boot.count()});
  }

  // What lost its parent: a replica or a helper of a supervisor that died, or what one of them left behind.
  void orphan_ended(const siginfo_t& info) {
    const auto pid = static_cast<std::uint32_t>(info.si_pid);
    for (const auto& record : table_->routes) {
      const auto route = record.load();
      // As long as it is a zombie nobody else can have its group's number.
      if (route && route->pid == pid && ::getpgid(info.si_pid) == info.si_pid) ::kill(-info.si_pid, SIGKILL);
    }
    table_->anchor_events.push({.at_ns = now().since_boot.count(),
                                .kind = EventKind::kReaped,
                                .pid = pid,
                                .a = info.si_code,
                                .b = info.si_status});
  }

  void write_part(plane::Seqlock<plane::Part>& part, pid_t pid) {
    const auto before = part.load();
    starts_ = (before ? before->starts : 0) + 1;
    part.store({.pid = static_cast<std::uint32_t>(pid), .starts = starts_, .since_ns = now().since_boot.count()});
  }

  void note(EventKind kind, pid_t pid, std::int64_t unasked, const char* text = "") {
    plane::Event event{
        .at_ns = now().since_boot.count(), .kind = kind, .pid = static_cast<std::uint32_t>(pid), .b = unasked};
    event.set_text(text);
    table_->anchor_events.push(event);
  }

  plane::Plane table_;
  Words supervisor_, successor_, environment_;
  ServiceManager manager_;
  std::optional<Duration> ping_every_;
  Instant ping_at_{};
  Vigil vigil_;
  bool hung_ = false;  // the supervisor was killed for that
  sigset_t signals_{};
  pid_t pid_ = 0;  // the supervisor's
  std::uint32_t starts_ = 0;
  Instant started_at_{};
  Instant start_at_{};
  int quick_ends_ = 0;
  // The last signal that asked us to end. A supervisor may die before it hears it: the next one is told again.
  int asked_ = 0;
  // The ends of kSuccession: the supervisor's is kept for the next one.
  Fd ours_, theirs_;
};

// The table we were left with; a fresh one when it has another layout, the old one beside it.
Result<plane::Plane> table_for_us() {
  auto table = plane::Plane::attach(Fd(::fcntl(kPlane, F_DUPFD_CLOEXEC, kAboveListeners)));
  if (table || table.error().code() != Code::kExists) return table;
  auto old = plane::ForeignTable::attach(Fd(::fcntl(kPlane, F_DUPFD_CLOEXEC, kAboveListeners)));
  if (!old) return failure(std::move(old.error()));
  auto fresh = plane::Plane::create();
  if (!fresh) return fresh;
  old->continue_numbers_in(**fresh);
  ::dup2(kPlane, kOldPlane);
  ::dup2(fresh->fd(), kPlane);
  return fresh;
}

}  // namespace

int anchor_main(const std::vector<std::string>& arguments) {
  ::prctl(PR_SET_NAME, "nines-anchor");
  auto table = arguments.size() > 1 ? table_for_us() : failure(Code::kInvalid, "this is a part of `nines up`");
  if (!table) {
    std::fprintf(stderr, "nines anchor: %s\n", table.error().text().c_str());
    return 1;
  }
  return Anchor(std::move(*table), arguments).run();
}

}  // namespace nines::app
