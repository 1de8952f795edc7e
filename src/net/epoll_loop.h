// The loop over real sockets: epoll, each descriptor registered once and edge-triggered. Besides streams it
// tells when a child exits (a pidfd), a signal arrives, another process rings (an eventfd) or a FIFO has
// something: anything with a descriptor, through FdEvent.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/fd.h"
#include "net/loop.h"
#include "net/stream.h"

namespace nines::net {

// CLOCK_BOOTTIME, read from the system. Loops read it once a turn; everybody else takes Loop::now().
Instant boot_time();
WallTime wall_time();

class EpollLoop final : public Loop {
 public:
  // Ends the program when the kernel refuses an epoll or event descriptor: nothing can run then.
  EpollLoop();
  ~EpollLoop() override;

  WallTime wall_now() const override { return wall_time(); }
  Task<Result<std::unique_ptr<Stream>>> connect(Address to, Duration timeout) override;
  Result<std::unique_ptr<Listener>> listen(const Address& at) override;

  // A listener over a socket that listens already, shared with other loops and processes: each connection wakes
  // one of them. Borrows the descriptor.
  std::unique_ptr<Listener> adopt_listener(int fd);

  // From any thread: runs `f` on this loop's thread, in its next turn.
  void post(std::move_only_function<void()> f);

  // What epoll tells about one descriptor.
  class Pollable {
   public:
    virtual void on_events(std::uint32_t events) = 0;

   protected:
    ~Pollable() = default;
  };
  void add(int fd, std::uint32_t events, Pollable& pollable);
  void remove(int fd);

 private:
  bool poll(Instant until) override;
  void run_posted();

  Fd epoll_;
  Fd wake_;
  std::mutex mutex_;
  std::vector<std::move_only_function<void()>> posted_;  // guarded by mutex_
};

// A socket that listens; the caller hands it to loops and to child processes. `text` in errors is the address.
// kExists: the port is taken.
Result<Fd> open_listener(const Address& at, int backlog = 4096);

// Readiness of a descriptor that is no stream: one waiter. An edge that comes while nobody waits is kept.
// Borrows the descriptor, which must outlive it.
class FdEvent final : private EpollLoop::Pollable {
 public:
  FdEvent(EpollLoop& loop, int fd);
  ~FdEvent();

  class Wait final : public Operation {
   public:
    explicit Wait(FdEvent& event) : Operation(event.loop_), event_(event) {}
    ~Wait() {
      if (event_.waiter_ == this) event_.waiter_ = nullptr;
    }
    bool await_ready();
    Result<> await_resume() { return std::move(result_); }

   private:
    friend class FdEvent;
    void withdraw() override;
    FdEvent& event_;
    Result<> result_;
  };
  // Completes on the next edge, or on the one that came since the last wait. Read until EAGAIN before waiting.
  Wait readable() { return Wait(*this); }

 private:
  void on_events(std::uint32_t events) override;

  EpollLoop& loop_;
  int fd_;
  bool pending_ = false;
  Wait* waiter_ = nullptr;
};

// A doorbell between threads or processes: rings are counted, not queued.
class Doorbell {
 public:
  // Takes an eventfd that exists, for instance one inherited.
  Doorbell(EpollLoop& loop, Fd fd) : fd_(std::move(fd)), event_(loop, fd_.get()) {}
  static Fd make();
  static void ring(int fd);

  // Returns when it has been rung since the last time. kCancelled.
  Task<Result<>> rung();

 private:
  Fd fd_;
  FdEvent event_;
};

// Signals as events. They are blocked for the whole process (call it before threads are started), and unblocked in
// children by whoever spawns them.
class Signals {
 public:
  Signals(EpollLoop& loop, std::initializer_list<int> signals);
  // The next signal's number. kCancelled.
  Task<Result<int>> next();
  // Who sent the last one; 0: the kernel, for a terminal.
  pid_t sender() const { return sender_; }

 private:
  pid_t sender_ = 0;
  Fd fd_;
  FdEvent event_;
};

}  // namespace nines::net
