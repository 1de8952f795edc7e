#include "base/task.h"

namespace nines {

struct TaskGroup::Root {
  struct promise_type : ListLink {
    TaskGroup* group = nullptr;
    CancelScope* scope = nullptr;

    static void* operator new(std::size_t bytes) { return take_frame(bytes); }
    static void operator delete(void* frame, std::size_t bytes) { give_back_frame(frame, bytes); }

    Root get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    struct FinalAwaiter {
      bool await_ready() noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> finished) noexcept {
        TaskGroup& owner = *finished.promise().group;
        finished.destroy();
        if (--owner.running_ == 0 && owner.joiner_) return std::exchange(owner.joiner_, nullptr);
        return std::noop_coroutine();
      }
      void await_resume() noexcept {}
    };
    FinalAwaiter final_suspend() noexcept { return {}; }
    void return_void() {}
    [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
  };

  static Root run(Task<void> task) { co_await std::move(task); }

  std::coroutine_handle<promise_type> handle;
};

void TaskGroup::start(Task<void> task) {
  const Root root = Root::run(std::move(task));
  root.handle.promise().group = this;
  root.handle.promise().scope = &scope_;
  roots_.push_back(root.handle.promise());
  ++running_;
  root.handle.resume();
}

TaskGroup::~TaskGroup() {
  while (!roots_.empty()) {
    auto& promise = static_cast<Root::promise_type&>(roots_.front());
    std::coroutine_handle<Root::promise_type>::from_promise(promise).destroy();
  }
}

}  // namespace nines
