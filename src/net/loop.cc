#include "net/loop.h"

namespace nines::net {
namespace {

// Enough for a whole small exchange; few enough that a turn stays short.
constexpr int kAtOnceMax = 64;

}  // namespace

void Operation::complete() {
  INVARIANT(!completed_);
  completed_ = true;
  unlink();
  loop_.ready_.push_back(*this);
}

bool Operation::may_finish_at_once() {
  if (loop_.at_once_ >= kAtOnceMax) return false;
  ++loop_.at_once_;
  return true;
}

bool Operation::postpone() {
  if (loop_.batch_.empty() && loop_.postponed_.empty()) return false;
  loop_.postponed_.push_back(*this);
  return true;
}

bool Sleep::await_ready() {
  // Also a sleep that is over already takes a turn: `while (…) co_await loop.sleep(0s)` must let others run.
  loop_.timers().arm(*this, until_);
  return false;
}

void Sleep::withdraw() {
  disarm();
  result_ = cancelled();
  complete();
}

void Loop::resume_ready() {
  // Only what is ready now: what becomes ready meanwhile waits for the next turn, after the world was asked.
  batch_.take_all(ready_);
  while (!batch_.empty()) {
    Operation& operation = batch_.pop_front();
    at_once_ = 0;
    operation.hook_.unlink();
    operation.waiter_.resume();
  }
  while (!postponed_.empty()) postponed_.pop_front().perform();
  at_once_ = 0;
}

bool Loop::turn(Instant until) {
  const bool some_ready = !ready_.empty();
  const bool alive = poll(some_ready ? now_ : std::min(until, timers_.next()));
  timers_.fire(now_);
  resume_ready();
  return alive || some_ready;
}

void Loop::run() {
  stopped_ = false;
  while (!stopped_) INVARIANT(turn());
}

void Loop::end_tasks() {
  tasks_.cancel();
  // Bounded: a task that ignores its cancellation is freed as it stands.
  for (int turns = 0; turns < 10'000 && !tasks_.empty(); ++turns) turn(now_);
}

}  // namespace nines::net
