#include "net/timer.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace nines::net {

void Timer::disarm() {
  if (queue_ != nullptr) queue_->remove(*this);
}

void TimerQueue::arm(Timer& timer, Instant due) {
  INVARIANT(timer.queue_ == nullptr || timer.queue_ == this);
  timer.disarm();
  if (due == Instant::never()) return;
  timer.queue_ = this;
  timer.due_ = due;
  heap_.push_back(&timer);
  timer.index_ = heap_.size() - 1;
  sift_up(timer.index_);
}

void TimerQueue::fire(Instant now) {
  if (next() > now) return;
  // Only those due now: a timer that re-arms itself for now would otherwise keep the loop here for good. Each is
  // looked up again before it fires, since an earlier one may have disarmed or destroyed it.
  std::size_t due_count = 0;
  for (const Timer* timer : heap_) due_count += timer->due_ <= now ? 1 : 0;
  for (; due_count > 0 && !heap_.empty() && heap_.front()->due_ <= now; --due_count) {
    Timer* const timer = heap_.front();
    remove(*timer);
    timer->on_timer();
  }
}

void TimerQueue::remove(Timer& timer) {
  const std::size_t index = timer.index_;
  INVARIANT(index < heap_.size() && heap_[index] == &timer);
  Timer* const last = heap_.back();
  heap_.pop_back();
  timer.queue_ = nullptr;
  if (last == &timer) return;
  place(last, index);
  sift_up(index);
  sift_down(last->index_);
}

void TimerQueue::place(Timer* timer, std::size_t index) {
  heap_[index] = timer;
  timer->index_ = index;
}

void TimerQueue::sift_up(std::size_t index) {
  Timer* const timer = heap_[index];
  while (index > 0) {
    const std::size_t parent = (index - 1) / 2;
    if (heap_[parent]->due_ <= timer->due_) break;
    place(heap_[parent], index);
    index = parent;
  }
  place(timer, index);
}

void TimerQueue::sift_down(std::size_t index) {
  Timer* const timer = heap_[index];
  while (true) {
    std::size_t child = 2 * index + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1]->due_ < heap_[child]->due_) ++child;
    if (timer->due_ <= heap_[child]->due_) break;
    place(heap_[child], index);
    index = child;
  }
  place(timer, index);
}

}  // namespace nines::net
