#include "app/helper_process.h"

#include <csignal>

namespace nines::app {
namespace {

// A helper that has lived for a while is started again at once; one that dies again and again does not take the machine
// with it.
constexpr Duration kSettled = 5s;
constexpr Duration kPauseMax = 2s;

Duration pause_after(int quick_ends) {
  return quick_ends <= 1 ? 0ns : std::min<Duration>(25ms * (1 << std::min(quick_ends, 10)), kPauseMax);
}

Task<Result<>> sleep(net::Loop& loop, Duration d) { co_return co_await loop.sleep(d); }

}  // namespace

Task<void> HelperProcess::run() {
  int quick_ends = 0;
  while (!stopping_) {
    const Instant begun = loop_.now();
    auto process = supervise::spawn(hooks_.command());
    if (process) {
      process_.emplace(std::move(*process));
      hooks_.started(process_->pid());
      std::optional<supervise::Exit> exit;
      {
        net::FdEvent ended(loop_, process_->pidfd());
        while (!(exit = process_->try_reap())) {
          if (!co_await ended.readable()) co_return;
        }
      }
      const pid_t pid = process_->pid();
      process_.reset();
      hooks_.exited(*exit, pid);
    } else {
      hooks_.failed(process.error());
    }
    if (stopping_) break;
    quick_ends = loop_.now() - begun >= kSettled ? 0 : quick_ends + 1;
    if (const Duration pause = pause_after(quick_ends); pause > 0ns) (void)co_await sleep(loop_, pause).under(pause_);
  }
  escalation_.cancel();
  co_await escalation_.join();
}

void HelperProcess::stop(Duration patience) {
  if (stopping_) return;
  stopping_ = true;
  pause_.cancel();
  if (!process_) return;
  (void)process_->signal(SIGTERM);
  escalation_.start(escalate(patience));
}

Task<void> HelperProcess::escalate(Duration patience) {
  if (co_await loop_.sleep(patience)) kill();
}

void HelperProcess::kill() {
  stopping_ = true;
  pause_.cancel();
  if (process_) (void)process_->signal(SIGKILL);
}

}  // namespace nines::app
