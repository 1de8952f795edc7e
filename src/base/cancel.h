// Cancellation as a tree. A CancelScope covers a piece of work; cancelling it cancels every scope opened
// below it and wakes every operation that waits in it, which then returns Code::kCancelled.
//
// Nothing is destroyed from outside: a cancelled task runs on, sees the error like any other, and cleans up
// after itself. So buffers handed to an operation stay alive until the operation has answered, which is
// what a completion-based back end (io_uring) needs.
//
// Not thread-safe: a scope lives and is cancelled on one loop's thread.
#pragma once

#include "base/intrusive_list.h"

namespace nines {

// What is told when a scope is cancelled. `on_cancel` must not run foreign code at once (no resumption):
// an operation marks itself done and lets the loop resume its waiter.
class CancelHook : public ListLink {
 public:
  virtual void on_cancel() = 0;

 protected:
  ~CancelHook() = default;
};

class CancelScope final : private CancelHook {
 public:
  CancelScope() = default;
  // A null parent is allowed: the scope then stands alone.
  explicit CancelScope(CancelScope* parent) { join(parent); }

  // Becomes a part of `parent`, once.
  void join(CancelScope* parent) {
    if (parent != nullptr) parent->add(*this);
  }

  void cancel() {
    if (cancelled_) return;
    cancelled_ = true;
    while (!hooks_.empty()) hooks_.pop_front().on_cancel();
  }
  bool cancelled() const { return cancelled_; }

  // The hook is told once, at once if the scope is cancelled already. It unlinks itself when it dies.
  void add(CancelHook& hook) {
    if (cancelled_) {
      hook.on_cancel();
    } else {
      hooks_.push_back(hook);
    }
  }

 private:
  void on_cancel() override { cancel(); }

  bool cancelled_ = false;
  IntrusiveList<CancelHook> hooks_;
};

}  // namespace nines
