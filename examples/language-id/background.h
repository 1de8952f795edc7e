// One thread for what blocks, so that the loop never does: reading a file, asking a database. A task awaits the result
// and goes on where it was, on the loop's thread.
//
//   Result<Rows> rows = co_await background.run([&history] { return history.newest(20); });
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>

#include "base/task.h"
#include "net/epoll_loop.h"

namespace nines::language_id {

class Background {
 public:
  static constexpr std::size_t kWaitingMax = 64;

  explicit Background(net::EpollLoop& loop) : loop_(loop), thread_([this](std::stop_token stop) { work(stop); }) {}
  // Ends after the job under way; jobs that still wait never run. REQUIRES: nobody awaits one.
  ~Background() = default;

  // Runs `job`, which returns some Result<T>, on the thread. Further errors: kLimit when too many jobs wait;
  // kCancelled, and then the job runs nevertheless, and its result is dropped. What it captures must live that long.
  template <class Job>
  Task<std::invoke_result_t<Job&>> run(Job job) {
    using R = std::invoke_result_t<Job&>;
    auto slot = std::make_shared<Slot<R>>();
    const bool taken = add([this, slot, work = std::move(job)]() mutable {
      slot->result.emplace(work());
      loop_.post([slot] {
        if (slot->waiter != nullptr) std::exchange(slot->waiter, nullptr)->complete();
      });
    });
    if (!taken) co_return failure(Code::kLimit, "too much waits for the background thread");
    co_return co_await Arrival<R>(loop_, *slot);
  }

 private:
  template <class R>
  class Arrival;

  // Written by the thread, then read by the loop: the loop's queue of posts is the fence between the two.
  template <class R>
  struct Slot {
    std::optional<R> result;
    Arrival<R>* waiter = nullptr;  // the loop's alone
  };

  template <class R>
  class Arrival final : public net::Operation {
   public:
    Arrival(net::Loop& loop, Slot<R>& slot) : Operation(loop), slot_(slot) {}
    ~Arrival() { slot_.waiter = nullptr; }
    bool await_ready() {
      slot_.waiter = this;
      return false;
    }
    R await_resume() {
      if (cancelled_) return net::cancelled();
      return std::move(*slot_.result);
    }

   private:
    void withdraw() override {
      slot_.waiter = nullptr;
      cancelled_ = true;
      complete();
    }

    Slot<R>& slot_;
    bool cancelled_ = false;
  };

  bool add(std::move_only_function<void()> job) {
    {
      const std::lock_guard lock(mutex_);
      if (jobs_.size() >= kWaitingMax) return false;
      jobs_.push_back(std::move(job));
    }
    wake_.notify_one();
    return true;
  }

  void work(const std::stop_token& stop) {
    while (true) {
      std::move_only_function<void()> job;
      {
        std::unique_lock lock(mutex_);
        if (!wake_.wait(lock, stop, [this] { return !jobs_.empty(); }) || stop.stop_requested()) return;
        job = std::move(jobs_.front());
        jobs_.pop_front();
      }
      job();
    }
  }

  net::EpollLoop& loop_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<std::move_only_function<void()>> jobs_;  // guarded by mutex_
  std::jthread thread_;                               // last: it uses all of the above
};

}  // namespace nines::language_id
