// The keeper as a process: what a service needs around it and no request waits for. It drains the replicas' output from
// their FIFOs into rotated log files, measures and records what happened, shows the dashboard, takes backups on time,
// and guards model files.
//
// A replica is never blocked by it for longer than the FIFO holds, and loses nothing when it dies: what was written
// meanwhile waits in the FIFO, what was read from there in the spool (log_spool.h), what happened in the log of the
// shared table.
//
// Inherited: kPlane, kBellToSupervisor, kSnapshot, kBellToKeeper, kFirstLogPipe…. Arguments: the configuration's file,
// FOLDER, STATE, RUN.
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

#include "app/backup_schedule.h"
#include "app/dashboard.h"
#include "app/measurement.h"
#include "app/model_guard.h"
#include "app/process_contract.h"
#include "app/recorder.h"
#include "app/service.h"
#include "app/snapshot.h"
#include "net/epoll_loop.h"
#include "supervise/log_pump.h"

namespace nines::app {
namespace {

class LogReader {
 public:
  LogReader(net::EpollLoop& loop, supervise::LogPump pump)
      : loop_(loop), pump_(std::move(pump)), event_(loop, pump_.pipe()) {}

  Task<void> run() {
    do {
      while (pump_.pump(loop_.wall_now())) (void)co_await loop_.sleep(0ns);
    } while (co_await event_.readable());
    while (pump_.pump(loop_.wall_now())) {
    }
  }

 private:
  net::EpollLoop& loop_;
  supervise::LogPump pump_;
  net::FdEvent event_;
};

// One that cannot be written, or read, must not keep the others' replicas waiting: its output is drained and dropped.
std::unique_ptr<LogReader> reader_for(net::EpollLoop& loop, int pipe, const Paths& paths, const std::string& replica) {
  using supervise::LogPump, supervise::LogSpool, supervise::RotatingLog;
  const std::string file = paths.replica_log(replica);
  auto fifo = supervise::reopen_log_fifo(pipe);
  auto log = RotatingLog::open({.path = file});
  auto spool = LogSpool::open(paths.replica_spool(replica));
  if (!fifo) std::fprintf(stderr, "nines keeper: %s\n", fifo.error().text().c_str());
  if (!log) std::fprintf(stderr, "nines keeper: %s\n", log.error().text().c_str());
  if (!spool) std::fprintf(stderr, "nines keeper: %s\n", spool.error().text().c_str());
  if (!fifo) return nullptr;
  return std::make_unique<LogReader>(
      loop, LogPump(std::move(*fifo), spool ? std::move(*spool) : LogSpool(),
                    log ? std::move(*log) : RotatingLog(RotatingLog::Options{.path = file}), loop.wall_now()));
}

struct Keeper {
  Keeper(plane::Plane memory, Service what)
      : table(std::move(memory)), service(std::move(what)), names(slot_names(service.config)) {
    const bool elsewhere = !service.config.replicas.endpoints.empty();  // their output goes where they run
    for (std::size_t i = 0; i < names.size() && !elsewhere; ++i) {
      auto reader = reader_for(loop, kFirstLogPipe + static_cast<int>(i), service.paths, names[i]);
      if (reader) readers.push_back(std::move(reader));
    }
  }

  Task<void> run() {
    net::Signals signals(loop, {SIGTERM, SIGINT});
    TaskGroup reading, serving;
    for (const auto& reader : readers) reading.start(reader->run());
    Recorder recorder(*table, service.paths, names);
    serving.start(hear_bell(recorder));
    Prober prober(loop, *table, service.config);
    serving.start(prober.run());
    Measurement measurement(loop, *table, prober, recorder, service.paths);
    serving.start(measurement.run());
    const ModelGuard guard(service);
    BackupSchedule backups(loop, service);
    serving.start(backups.run());
    Dashboard dashboard(loop, *table, service, {.recorder = &recorder, .backups = &backups});
    serving.start(dashboard.run());
    // SIGINT is for the anchor alone, though a terminal sends it to all of us.
    while (const auto signal = co_await signals.next()) {
      if (*signal == SIGTERM) break;
    }
    serving.cancel();
    co_await serving.join();
    reading.cancel();
    co_await reading.join();
  }

  Task<void> hear_bell(Recorder& recorder) {
    net::Doorbell bell(loop, Fd(::fcntl(kBellToKeeper, F_DUPFD_CLOEXEC, 3)));
    while (co_await bell.rung()) recorder.wake();
  }

  net::EpollLoop loop;
  plane::Plane table;
  Service service;
  std::vector<std::string> names;
  std::vector<std::unique_ptr<LogReader>> readers;
};

int give_up(const std::string& why) {
  std::fprintf(stderr, "nines keeper: %s\n", why.c_str());
  return 1;
}

}  // namespace

int keeper_main(const std::vector<std::string>& arguments) {
  if (arguments.size() != 4) return give_up("this is a part of `nines up`, not a command of its own");
  ::prctl(PR_SET_NAME, "nines-keeper");
  std::signal(SIGPIPE, SIG_IGN);
  auto table = plane::Plane::attach(Fd(::fcntl(kPlane, F_DUPFD_CLOEXEC, kFirstLogPipe)));
  if (!table) return give_up(table.error().text());
  auto config = config_of_snapshot(kSnapshot);
  if (!config) return give_up(config.error().text());
  // Before any thread exists, so that every thread has them blocked and only the main loop hears them.
  sigset_t blocked;
  sigemptyset(&blocked);
  for (const int number : {SIGTERM, SIGINT}) sigaddset(&blocked, number);
  pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
  Keeper keeper(std::move(*table),
                {std::move(*config),
                 {.config_file = arguments[0], .folder = arguments[1], .state = arguments[2], .run = arguments[3]}});
  keeper.loop.run(keeper.run());
  return 0;
}

}  // namespace nines::app
