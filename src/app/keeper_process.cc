// The keeper as a process: drains the replicas' output from their FIFOs into rotated log files. A replica is never
// blocked by it for longer than the FIFO holds, and loses nothing when it dies: what was written meanwhile waits in the
// FIFO.
//
// Arguments: a FIFO and a log file for every replica, alternating.
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

#include "app/service.h"
#include "net/epoll_loop.h"
#include "supervise/log_file.h"

namespace nines::app {
namespace {

class LogPump {
 public:
  LogPump(net::EpollLoop& loop, Fd fifo, supervise::RotatingLog log)
      : loop_(loop), fifo_(std::move(fifo)), event_(loop, fifo_.get()), log_(std::move(log)) {}

  Task<void> run() {
    do {
      while (drain_some()) (void)co_await loop_.sleep(0ns);
    } while (co_await event_.readable());
    while (drain_some()) {
    }
  }

 private:
  // True: there may be more. Bounded, so that a replica that writes without end does not keep the others' output
  // waiting.
  bool drain_some() {
    constexpr int kPiecesMax = 16;
    std::array<char, 64 * 1024> buffer;
    for (int i = 0; i < kPiecesMax; ++i) {
      const ssize_t n = ::read(fifo_.get(), buffer.data(), buffer.size());
      if (n <= 0) return false;
      log_.append({buffer.data(), static_cast<std::size_t>(n)});
    }
    return true;
  }

  net::EpollLoop& loop_;
  Fd fifo_;
  net::FdEvent event_;
  supervise::RotatingLog log_;
};

}  // namespace

int keeper_main(const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments.size() % 2 != 0) {
    std::fprintf(stderr, "nines keeper: this is a part of `nines up`, not a command of its own\n");
    return 1;
  }
  std::signal(SIGPIPE, SIG_IGN);
  net::EpollLoop loop;
  std::vector<std::unique_ptr<LogPump>> pumps;
  for (std::size_t i = 0; i < arguments.size(); i += 2) {
    auto fifo = supervise::open_log_fifo(arguments[i]);
    auto log = supervise::RotatingLog::open({.path = arguments[i + 1]});
    // One that cannot be written, or read, must not keep the others' replicas waiting: its output is drained and
    // dropped.
    if (!fifo) std::fprintf(stderr, "nines keeper: %s\n", fifo.error().text().c_str());
    if (!log) std::fprintf(stderr, "nines keeper: %s\n", log.error().text().c_str());
    if (!fifo) continue;
    pumps.push_back(std::make_unique<LogPump>(
        loop, std::move(*fifo),
        log ? std::move(*log) : supervise::RotatingLog(supervise::RotatingLog::Options{.path = arguments[i + 1]})));
  }
  struct Serve {
    static Task<void> run(net::EpollLoop& l, std::vector<std::unique_ptr<LogPump>>& all) {
      net::Signals signals(l, {SIGTERM, SIGINT});
      TaskGroup pumping;
      for (const auto& pump : all) pumping.start(pump->run());
      while (const auto signal = co_await signals.next()) {
        if (*signal == SIGTERM) break;
      }
      pumping.cancel();
      co_await pumping.join();
    }
  };
  loop.run(Serve::run(loop, pumps));
  return 0;
}

}  // namespace nines::app
