// Task<T>: a coroutine that produces one T. Lazy: it runs when awaited, and never before. Awaiting and
// returning are symmetric transfers, so a chain of any length costs no stack.
//
//   Task<Result<std::string>> fetch(Stream& s) {
//     auto n = co_await s.read(buffer);
//     if (!n) co_return failure(n.error());
//     …
//   }
//
// Cancellation is ambient: a task runs in the scope of whoever awaits it, unless started `under(scope)`.
// Leaf operations find the scope through their waiter's promise; `co_await current_scope()` names it.
//
// A Task owns its frame until it is finished. Destroying a task that is suspended in an operation is not
// allowed except at loop shutdown: cancel its scope and wait for it instead. An exception that leaves a
// task ends the program: operating errors are Results.
//
// Parameters are copied into the frame; a reference parameter must outlive the task. Never write a capturing
// lambda coroutine that outlives its full expression: the captures die with the closure.
//
// Thread: a task stays on the loop's thread it was started on.
#pragma once

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "base/cancel.h"
#include "base/check.h"
#include "base/frame_pool.h"
#include "base/intrusive_list.h"

namespace nines {

template <class T>
class Task;

namespace detail {

struct PromiseBase {
  std::coroutine_handle<> continuation = std::noop_coroutine();
  CancelScope* scope = nullptr;

  static void* operator new(std::size_t bytes) { return take_frame(bytes); }
  static void operator delete(void* frame, std::size_t bytes) { give_back_frame(frame, bytes); }

  std::suspend_always initial_suspend() noexcept { return {}; }
  struct FinalAwaiter {
    bool await_ready() noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> finished) noexcept {
      return finished.promise().continuation;
    }
    void await_resume() noexcept {}
  };
  FinalAwaiter final_suspend() noexcept { return {}; }
  [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
};

template <class T>
struct Promise : PromiseBase {
  std::optional<T> value;
  Task<T> get_return_object();
  template <class U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
  T take() { return std::move(*value); }
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object();
  void return_void() {}
  void take() {}
};

}  // namespace detail

template <class T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = detail::Promise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  explicit Task(Handle handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)), scope_(other.scope_) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  // Runs the task in `scope` rather than in its awaiter's.
  Task under(CancelScope& scope) && {
    scope_ = &scope;
    return std::move(*this);
  }

  struct Awaiter {
    Handle handle;
    CancelScope* scope;
    bool await_ready() noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> waiter) noexcept {
      handle.promise().continuation = waiter;
      handle.promise().scope = scope != nullptr ? scope : waiter.promise().scope;
      return handle;
    }
    T await_resume() { return handle.promise().take(); }
  };
  Awaiter operator co_await() && noexcept {
    INVARIANT(handle_ && !handle_.done());
    return Awaiter{handle_, scope_};
  }

 private:
  friend class TaskGroup;
  Handle handle_;
  CancelScope* scope_ = nullptr;
};

namespace detail {
template <class T>
Task<T> Promise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<Promise>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<Promise>::from_promise(*this));
}
}  // namespace detail

// co_await current_scope() -> CancelScope* (null where nobody can cancel).
struct current_scope {
  CancelScope* scope = nullptr;
  bool await_ready() noexcept { return false; }
  template <class P>
  bool await_suspend(std::coroutine_handle<P> waiter) noexcept {
    scope = waiter.promise().scope;
    return false;
  }
  CancelScope* await_resume() noexcept { return scope; }
};

// A place where tasks run side by side, and the only way to start one without awaiting it. `join()` returns
// when all have ended; `cancel()` asks them to. Whoever owns a group joins it before it dies.
//
// A started task runs at once, up to its first wait, in the caller's stack.
class TaskGroup {
 public:
  TaskGroup() = default;
  explicit TaskGroup(CancelScope* parent) : scope_(parent) {}
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;
  // REQUIRES: empty, or the loop that would have finished the tasks is gone; then their frames are freed.
  ~TaskGroup();

  void start(Task<void> task);
  void cancel() { scope_.cancel(); }
  bool empty() const { return running_ == 0; }
  std::size_t running() const { return running_; }
  CancelScope& scope() { return scope_; }

  // One joiner at a time. Not cancellable: it ends when the tasks do.
  auto join() {
    struct Awaiter {
      TaskGroup& group;
      bool await_ready() const noexcept { return group.running_ == 0; }
      void await_suspend(std::coroutine_handle<> waiter) noexcept {
        INVARIANT(!group.joiner_);
        group.joiner_ = waiter;
      }
      void await_resume() noexcept {}
    };
    return Awaiter{*this};
  }

 private:
  struct Root;  // the coroutine that owns one started task

  CancelScope scope_;
  IntrusiveList<ListLink> roots_;
  std::size_t running_ = 0;
  std::coroutine_handle<> joiner_;
};

}  // namespace nines
