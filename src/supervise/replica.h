// One supervised replica as a state machine: events and `now` in, orders out. It never forks, signals or
// sleeps; the owner does that with process.h, or a simulator does. So every crash loop, hang and slow
// start can be played in a unit test.
//
//              spawn              healthy            unhealthy
//   waiting ----------> starting ----------> ready <------------> unready
//      ^                    |                  |      healthy        |
//      |                    | a person's stop or restart             |
//      |                    +--------> draining <--------------------+
//      |                    |              | no request left, or waited long enough: terminate
//      |                    +--------> stopping      grace over: kill
//      |                      startup deadline: kill
//      |                      given up: terminate
//      |                      not listening yet: nothing to drain
//      |
//      +---- exit, from any of the five with a process ----> stopped, if a person or its restart policy wants it so
//
// Every state has at most one order due at one instant, so there is one timer to set: `wake_at()`.
//
// Events must be those of the present incarnation: an owner that learns of health through shared memory
// drops what carries an older incarnation(). One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/time.h"

namespace nines::supervise {

enum class State : std::uint8_t { kWaiting, kStarting, kReady, kUnready, kDraining, kStopping, kStopped };
// The names of the JSON contract: waiting|starting|ready|unready|draining|stopping|stopped.
std::string_view name_of(State state);

enum class Order : std::uint8_t {
  kNone,
  kSpawn,      // answer with on_spawned or on_spawn_failed
  kDrain,      // stop routing to it; answer with on_drained once no request is in flight
  kTerminate,  // SIGTERM to the whole group
  kKill,       // SIGKILL to the whole group
};
std::string_view name_of(Order order);

// Why a process ended, as far as the owner of the process can tell.
enum class ExitCause : std::uint8_t {
  kItself,     // status, signal, out of memory, or nobody knows
  kPortInUse,  // somebody else had its port (listening.h says so): picks another, is no crash
  kSuccess,    // status 0: a server should not end at all, so it depends on the policy what this means
};

// What an exit meant. An ordered exit is never a crash, whatever its status.
enum class Ending : std::uint8_t { kOrdered, kCrash, kPortInUse, kFinished };

// What follows an exit that nobody ordered. A person's stop holds whatever the policy; how long, the owner decides.
enum class RestartPolicy : std::uint8_t {
  kAlways,     // another start; `unless-stopped` too
  kOnFailure,  // kSuccess is its end: it stays stopped until a person starts it
  kNever,      // every exit is
};
struct Ended {
  Ending ending;
  Duration lived;  // since on_spawned
};

// Defaults: docs/internals/supervision.md.
struct ReplicaLimits {
  Duration startup = 600s;  // loading a model is slow; a load that hangs must end all the same
  Duration drain_wait = 30s;
  Duration stop_grace = 10s;  // from SIGTERM to SIGKILL; then SIGKILL again at this interval
  // The promise is a first retry within 25 ms; 5 ms of it are for the loop and the fork.
  Duration first_retry = 20ms;
  Duration backoff_min = 100ms;
  Duration backoff_max = 30s;
  Duration settled_after = 60s;  // ready this long without a break: the next crash is a new story
  RestartPolicy restart = RestartPolicy::kAlways;
};

// So many crashes without having settled between them are a crash loop: some 2 s of back-off by then, which a bad
// moment does not last.
inline constexpr int kCrashLoop = 5;

// What is to be known of a replica to go on with it: a supervisor leaves it behind, its successor resumes from it.
struct ReplicaMemory {
  State state = State::kWaiting;
  bool wanted = true;
  bool ordered = false;
  bool listening = false;
  int crashes_in_row = 0;
  std::uint64_t restarts = 0;
  Instant spawned{};
  Instant since{};  // in this state
};

class Replica {
 public:
  // `wanted` false: a person stopped it before this supervisor began, and that wish persists.
  Replica(ReplicaLimits limits, Instant now, bool wanted = true);

  // Goes on where another supervisor was: `has_process` says whether the process is still known (it may have ended
  // since: then on_exit() follows). REQUIRES that nothing happened to this machine yet.
  void resume(const ReplicaMemory& memory, bool has_process, Instant now);

  // Events. `jitter` is uniform in [0, 1) and comes from the owner's seeded Random.
  void on_spawned(Instant now);                      // REQUIRES an unanswered kSpawn
  void on_spawn_failed(Instant now, double jitter);  // REQUIRES an unanswered kSpawn
  void on_listening(Instant now);                    // its listening socket was proven to be its own
  void on_healthy(Instant now);                      // the gateway's verdict; ignored before on_listening
  void on_unhealthy(Instant now);
  void on_drained(Instant now);  // no request is in flight any more; ignored unless draining
  Ended on_exit(Instant now, double jitter, ExitCause cause = ExitCause::kItself);  // REQUIRES alive()

  // It has not answered for too long (liveness.h): it is ended without a drain, and its exit is a crash. Ignored unless
  // unready.
  void give_up(Instant now);

  // A person's wishes; the latest wins. Each may come at any time.
  void stop(Instant now);     // drain, terminate, stay stopped
  void start(Instant now);    // also ends a backoff at once. While it is being stopped: comes back right after
  void restart(Instant now);  // drain, terminate, start at once; what has no process is started

  // What to do now. Call it after every event and when `wake_at()` comes due, until it says kNone.
  Order next(Instant now);
  std::optional<Instant> wake_at() const;

  State state() const { return state_; }
  bool wanted() const { return wanted_; }  // persist this: it outlives supervisors and reboots
  bool alive() const;                      // a process exists or may exist
  // The gateway may check it and, when healthy, send it requests.
  bool wants_route() const;
  std::uint64_t incarnation() const { return incarnation_; }  // 1 is the first process
  std::uint64_t restarts() const { return restarts_; }        // crashes that were followed by a new process
  int crashes_in_row() const { return crashes_in_row_; }
  // It ends again and again: a person should look at it. It is tried on all the same.
  bool crash_loops(Instant now) const { return crashes_in_row_ >= kCrashLoop && !settled(now); }
  bool ordered() const { return ordered_; }
  bool listening() const { return listening_; }

 private:
  void enter(State state, Order order, Instant at);
  void begin_stop(Instant now);
  void spawn_at_once(Instant now);
  bool follows(ExitCause cause) const;
  void note_settled(Instant now);
  bool settled(Instant now) const { return state_ == State::kReady && now >= settled_at_; }
  Duration delay(int failures_in_row, double jitter) const;
  bool spawn_is_out() const { return state_ == State::kWaiting && due_ == Instant::never(); }

  ReplicaLimits limits_;
  State state_ = State::kStopped;
  Order order_ = Order::kNone;  // what next() says once due_ has come
  Instant due_ = Instant::never();
  Instant spawned_at_{};
  Instant settled_at_ = Instant::never();
  bool wanted_ = true;
  bool listening_ = false;
  bool ordered_ = false;  // a person wants the present process gone: its exit is no crash
  bool crashed_ = false;  // the process before was lost to a crash
  int crashes_in_row_ = 0;
  // Counted apart: clashes must not lengthen the backoff of crashes, yet a program that meets a taken port
  // again and again (its fixed metrics port, say) must not storm either.
  int port_clashes_in_row_ = 0;
  std::uint64_t incarnation_ = 0;
  std::uint64_t restarts_ = 0;
};

}  // namespace nines::supervise
