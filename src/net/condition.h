// Waiting for something that another task of the same loop brings about.
//
//   while (!there) if (auto waited = co_await condition.wait(deadline); !waited) …
#pragma once

#include "net/loop.h"

namespace nines::net {

class Condition {
 public:
  explicit Condition(Loop& loop) : loop_(loop) {}
  // REQUIRES: nobody waits any more.
  ~Condition() { INVARIANT(waiters_.empty()); }

  class Wait final : public Operation, private Timer {
   public:
    Wait(Condition& condition, Instant until)
        : Operation(condition.loop_), condition_(condition), until_(until), link_(*this) {}
    bool await_ready() {
      condition_.waiters_.push_back(link_);
      ++condition_.waiting_;
      loop_.timers().arm(*this, until_);
      return false;
    }
    // kTimedOut, kCancelled.
    Result<> await_resume() { return std::move(result_); }

   private:
    friend class Condition;
    struct Link : ListLink {
      explicit Link(Wait& w) : wait(w) {}
      Wait& wait;
    };
    void finish(Result<> result) {
      link_.unlink();
      --condition_.waiting_;
      disarm();
      result_ = std::move(result);
      complete();
    }
    void on_timer() override { finish(failure(Code::kTimedOut, "waited too long")); }
    void withdraw() override { finish(cancelled()); }

    Condition& condition_;
    Instant until_;
    Link link_;
    Result<> result_;
  };

  Wait wait(Instant until = Instant::never()) { return Wait(*this, until); }
  void notify_all() {
    while (!waiters_.empty()) waiters_.front().wait.finish({});
  }
  std::size_t waiting() const { return waiting_; }

 private:
  Loop& loop_;
  IntrusiveList<Wait::Link> waiters_;
  std::size_t waiting_ = 0;
};

}  // namespace nines::net
