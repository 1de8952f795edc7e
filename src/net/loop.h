// The event loop, seen from above: time, timers, tasks, and operations that complete.
//
// Two loops implement it. `EpollLoop` (epoll_loop.h) touches the world; `MemoryLoop` (memory_loop.h) is its
// twin in memory with simulated time, for tests and the simulator. Nothing above net/ can tell them apart.
//
// A turn: gather what the world has to say, fire what is due, resume what is ready, write what they want written.
// `now()` is read once a turn, so everything in one turn happens at one instant.
//
// Thread: everything here belongs to the thread that runs the loop, but for EpollLoop::post().
#pragma once

#include <coroutine>
#include <memory>
#include <optional>

#include "base/cancel.h"
#include "base/error.h"
#include "base/intrusive_list.h"
#include "base/task.h"
#include "base/time.h"
#include "net/address.h"
#include "net/timer.h"

namespace nines::net {

class Loop;
class Stream;
class Listener;

// Something a coroutine waits for. It completes exactly once, by itself or because its scope was cancelled;
// its waiter is resumed by the loop, never in the middle of somebody else's work.
class Operation : public ListLink {
 public:
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  template <class P>
  void await_suspend(std::coroutine_handle<P> waiter) {
    waiter_ = waiter;
    if (waiter.promise().scope != nullptr) waiter.promise().scope->add(hook_);
  }

  // Called by whoever performs the operation, once its result is set. Safe at any time: nothing runs at once.
  void complete();

  // For operations that could finish without waiting: true lets them, false makes them wait a turn, so that one
  // always-ready pair of sockets cannot keep the loop from everybody else.
  bool may_finish_at_once();

  // For writes: true postpones it until all who are ready have been resumed, then perform() is called. False: nobody
  // else is, do it now. A turn's writes go out in a row, so that whoever reads them is woken once, not for each of
  // them: under load that is a fifth of what a request costs, here and at its replica.
  bool postpone();

 protected:
  explicit Operation(Loop& loop) : loop_(loop), hook_(*this) {}
  ~Operation() = default;

  // The scope was cancelled while this waited: withdraw, set the result to kCancelled, complete().
  virtual void withdraw() = 0;
  // It was postponed, and is due.
  virtual void perform() {}

  Loop& loop_;

 private:
  friend class Loop;
  struct Hook final : CancelHook {
    explicit Hook(Operation& o) : operation(o) {}
    void on_cancel() override {
      if (!operation.completed_) operation.withdraw();
    }
    Operation& operation;
  };

  Hook hook_;
  std::coroutine_handle<> waiter_;
  bool completed_ = false;
};

inline std::unexpected<Error> cancelled() { return failure(Code::kCancelled, "cancelled"); }

class Sleep final : public Operation, private Timer {
 public:
  Sleep(Loop& loop, Instant until) : Operation(loop), until_(until) {}
  bool await_ready();
  // kCancelled is the only error.
  Result<> await_resume() { return std::move(result_); }

 private:
  void on_timer() override { complete(); }
  void withdraw() override;

  Instant until_;
  Result<> result_;
};

class Loop {
 public:
  Loop() = default;
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  virtual ~Loop() = default;

  Instant now() const { return now_; }
  virtual WallTime wall_now() const = 0;

  Sleep sleep(Duration d) { return Sleep(*this, now_ + d); }
  Sleep sleep_until(Instant t) { return Sleep(*this, t); }

  // Waits for somebody to answer at `to`: kRefused, kNotFound (no such Unix socket), kTimedOut, kCancelled …
  virtual Task<Result<std::unique_ptr<Stream>>> connect(Address to, Duration timeout) = 0;
  virtual Result<std::unique_ptr<Listener>> listen(const Address& at) = 0;

  // Starts a task that nobody waits for. It is cancelled when the loop ends.
  void start(Task<void> task) { tasks_.start(std::move(task)); }

  // Runs turns until stop().
  void run();
  void stop() { stopped_ = true; }

  // Runs turns until the task has ended, and returns what it returned.
  template <class T>
  T run(Task<T> task);

  // One turn; waits for an event until `until` at most. False when nothing can ever happen again.
  bool turn(Instant until = Instant::never());

  TimerQueue& timers() { return timers_; }

 protected:
  // Collects what happened and moves `now_`. Waits at most until `until`, not at all when that has passed.
  // False when there is nothing to wait for.
  virtual bool poll(Instant until) = 0;

  // Ends all tasks started here: for the destructors of the implementations, while poll() still works.
  void end_tasks();

  Instant now_{};

 private:
  friend class Operation;
  void resume_ready();

  TimerQueue timers_;
  IntrusiveList<Operation> ready_;
  IntrusiveList<Operation> batch_;  // of ready_, what is resumed in this turn
  IntrusiveList<Operation> postponed_;
  int at_once_ = 0;  // operations that finished without waiting since the last resumption
  bool stopped_ = false;
  TaskGroup tasks_;
};

template <class T>
T Loop::run(Task<T> task) {
  if constexpr (std::is_void_v<T>) {
    TaskGroup group;
    group.start(std::move(task));
    while (!group.empty()) INVARIANT(turn());
  } else {
    std::optional<T> result;
    TaskGroup group;
    struct Store {
      static Task<void> run(Task<T> task, std::optional<T>& into) { into.emplace(co_await std::move(task)); }
    };
    group.start(Store::run(std::move(task), result));
    while (!group.empty()) INVARIANT(turn());
    return std::move(*result);
  }
}

}  // namespace nines::net
