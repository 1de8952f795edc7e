// Timers of one loop: a binary heap over intrusive nodes. Arming, moving and disarming cost O(log n) and
// allocate only when the heap grows. Not thread-safe.
#pragma once

#include <cstddef>
#include <vector>

#include "base/time.h"

namespace nines::net {

class TimerQueue;

// Fires once per arming. Disarms itself when it dies.
class Timer {
 public:
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  bool armed() const { return queue_ != nullptr; }
  Instant due() const { return due_; }
  void disarm();

 protected:
  ~Timer() { disarm(); }

 private:
  friend class TimerQueue;
  virtual void on_timer() = 0;

  TimerQueue* queue_ = nullptr;
  Instant due_{};
  std::size_t index_ = 0;
};

class TimerQueue {
 public:
  // Arms the timer, or moves it. `Instant::never()` disarms it.
  void arm(Timer& timer, Instant due);

  // Fires everything due at `now`, earliest first; what is armed meanwhile for `now` or earlier fires next time.
  void fire(Instant now);
  Instant next() const { return heap_.empty() ? Instant::never() : heap_.front()->due_; }
  std::size_t size() const { return heap_.size(); }

 private:
  friend class Timer;
  void remove(Timer& timer);
  void place(Timer* timer, std::size_t index);
  void sift_up(std::size_t index);
  void sift_down(std::size_t index);

  std::vector<Timer*> heap_;
};

}  // namespace nines::net
