#include "app/helper_process.h"

#include <csignal>

#include "net/timeout.h"

namespace nines::app {
namespace {

// A helper that has lived for a while is started again at once, and so are a few that have not, as when somebody kills
// them; one that dies again and again does not take the machine with it.
constexpr Duration kSettled = 1s;
constexpr int kQuickEndsAtOnce = 10;
constexpr Duration kPauseMax = 2s;

Duration pause_after(int quick_ends) {
  const int doubled = std::min(quick_ends - kQuickEndsAtOnce - 1, 10);
  return doubled < 0 ? 0ns : std::min<Duration>(25ms * (1 << doubled), kPauseMax);
}

Task<Result<>> sleep(net::Loop& loop, Duration d) { co_return co_await loop.sleep(d); }

Task<Result<>> wait_readable(net::FdEvent& event) { co_return co_await event.readable(); }

}  // namespace

void HelperProcess::inherit(const supervise::Adoption& adoption) {
  const auto before = part_.load();
  if (before && before->since_ns > 0) begun_ = Instant{Duration(before->since_ns)};
  if (adoption.process) {
    if (auto process = supervise::Process::adopt(adoption.process->pid, adoption.process->start_time)) {
      process_.emplace(std::move(*process));
      return;
    }
    lost_ = adoption.process->pid;
  } else if (adoption.exit_due && before) {
    lost_ = static_cast<pid_t>(before->pid);
  }
}

Task<void> HelperProcess::run() {
  int quick_ends = 0;
  if (lost_) hooks_.exited(co_await hooks_.obituary(*lost_, begun_), *lost_, false);
  while (!stopping_) {
    if (!process_) co_await begin();
    if (process_) {
      const pid_t pid = process_->pid();
      present_.emplace();
      const auto exit = co_await end_of(*process_).under(*present_);
      if (exit) {
        process_.reset();
        write_part(0);
        hooks_.exited(*exit, pid, stopping_);
      } else if (replacement_) {
        const Replacement replacement = *std::exchange(replacement_, std::nullopt);
        (void)process_->signal(replacement.signal);
        leaving_.start(leave(std::move(*process_), replacement.patience));
        process_.reset();
        co_await replacement.room(pid);
        continue;
      } else {
        break;  // let go
      }
    }
    if (stopping_) break;
    quick_ends = loop_.now() - begun_ >= kSettled ? 0 : quick_ends + 1;
    if (const Duration pause = pause_after(quick_ends); pause > 0ns) (void)co_await sleep(loop_, pause).under(pause_);
  }
  escalation_.cancel();
  co_await escalation_.join();
  if (let_go_) leaving_.cancel();
  co_await leaving_.join();
}

Task<void> HelperProcess::begin() {
  begun_ = loop_.now();
  auto process = supervise::spawn(hooks_.command());
  if (!process) {
    hooks_.failed(process.error());
    co_return;
  }
  process_.emplace(std::move(*process));
  const auto before = part_.load();
  write_part((before ? before->starts : 0) + 1);
  hooks_.started(process_->pid());
}

// nullopt: cancelled.
Task<std::optional<supervise::Exit>> HelperProcess::end_of(supervise::Process& process) {
  net::FdEvent ended(loop_, process.pidfd());
  std::optional<supervise::Exit> exit;
  while (!(exit = process.try_reap())) {
    if (!co_await ended.readable()) co_return std::nullopt;
  }
  if (!process.is_child()) exit = co_await hooks_.obituary(process.pid(), begun_);
  co_return exit;
}

Task<void> HelperProcess::leave(supervise::Process process, Duration patience) {
  struct Listed {
    Listed(std::vector<supervise::Process*>& all, supervise::Process& one) : list(all), process(&one) {
      list.push_back(process);
    }
    ~Listed() { std::erase(list, process); }
    std::vector<supervise::Process*>& list;
    supervise::Process* process;
  };
  const Listed listed(left_, process);
  net::FdEvent ended(loop_, process.pidfd());
  if (!co_await net::within(loop_, patience, wait_readable(ended))) {
    if ((co_await current_scope())->cancelled()) co_return;
    process.kill_group();
    if (!co_await wait_readable(ended)) co_return;
  }
  supervise::Exit exit = process.try_reap().value_or(supervise::Exit{});
  if (!process.is_child()) exit = co_await hooks_.obituary(process.pid(), begun_);
  hooks_.exited(exit, process.pid(), true);
}

void HelperProcess::write_part(std::uint32_t starts) {
  plane::Part part = part_.load().value_or(plane::Part{});
  part.pid = static_cast<std::uint32_t>(pid());
  part.start_time = process_ ? process_->start_time() : 0;
  part.since_ns = loop_.now().since_boot.count();
  if (starts > 0) part.starts = starts;
  part_.store(part);
}

void HelperProcess::replace(Replacement replacement) {
  if (stopping_ || !process_) return;
  replacement_ = std::move(replacement);
  if (present_) present_->cancel();
}

void HelperProcess::see_off(supervise::Process process, Duration patience) {
  leaving_.start(leave(std::move(process), patience));
}

void HelperProcess::let_go() {
  stopping_ = let_go_ = true;
  pause_.cancel();
  if (present_) present_->cancel();
  leaving_.cancel();
}

void HelperProcess::stop(Duration patience) {
  if (stopping_) return;
  stopping_ = true;
  pause_.cancel();
  for (supervise::Process* const process : left_) (void)process->signal(SIGTERM);
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
  for (supervise::Process* const process : left_) (void)process->signal(SIGKILL);
  if (process_) (void)process_->signal(SIGKILL);
}

}  // namespace nines::app
