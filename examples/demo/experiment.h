// Kills replicas, then nines itself, while clients use the service, takes a backup, and finds out what became of it.
//
//   clients ════════════════════════════════════════════════════════════════════════════►   never retry, count all
//            replica   back     replica   back     keeper   supervisor   both     backup
//   pidfd ───●─────────●────────●─────────●────────●────────●────────────●────────│─────
//
// What is measured, and how well:
//   failed, slowest          by the clients themselves, every request
//   noticed, ready, gap      wall time of the service's events, in milliseconds
//   answered                 the first answer that carries the new process's id, looked for every millisecond
//   recorded                 rows of the ledger, after the keeper that writes it was killed twice
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "database.h"
#include "history.h"
#include "load/load.h"
#include "recorded.h"
#include "recovery.h"
#include "service.h"
#include "victim.h"

namespace nines::demo {

struct Kill {
  Mark mark;
  std::uint64_t in_flight = 0;         // requests on it, as the service counted just before
  std::vector<cli::PastEvent> events;  // from the kill until it was back
  Recovery recovery;
  std::optional<Duration> answered;  // a client got an answer from its successor
  std::uint64_t failed = 0;          // requests, from the kill until then
};

// One or several parts of nines at once.
struct PartKill {
  struct Killed {
    Part part{};
    std::uint64_t pid = 0;
    Succession succession;
  };
  std::vector<Killed> killed;
  WallTime at;                                        // just before the first signal
  std::vector<cli::PastEvent> events;                 // from the kill until all were back
  std::vector<std::uint64_t> replicas, replicas_now;  // pids before, and after
  std::uint64_t failed = 0;                           // requests, from the kill until then
};

struct Backup {
  std::string said;  // by `nines backup now`
  ArchiveInfo archive;
  Rows before;               // in the database, just before it began
  std::uint64_t failed = 0;  // requests meanwhile
};

struct Findings {
  load::Snapshot clients;
  std::vector<Kill> kills;
  std::vector<PartKill> part_kills;
  Backup backup;
  std::uint64_t replayed = 0;  // requests that another replica answered
  std::uint64_t restarts = 0;
  RecordedExits recorded;
  HistoryCount history;

  std::set<std::uint64_t> killed_pids() const;
};

struct Plan {
  Duration lasts = 10s;
  int kills = kReplicas;  // of replicas; at most kReplicas: each another one
  unsigned connections = 24;
  std::uint64_t in_flight_min = 4;  // on the replica at the moment of its kill
};

// Every step comes at its time, evenly spaced over Plan::lasts. An error means that it could not be carried out; that
// something claimed does not hold is a finding.
class Experiment {
 public:
  // `samples`: classifications that were answered before.
  Experiment(net::EpollLoop& loop, Service& service, Plan plan, std::uint64_t samples)
      : loop_(loop), service_(service), plan_(plan), samples_(samples) {}

  // In this order, each once. The callbacks are called after each kill, once what was killed is back or will not come
  // any more.
  Result<> begin();
  Task<Result<>> kill_replicas(std::function<void(const Kill&)> on_kill);
  Task<Result<>> kill_parts(std::function<void(const PartKill&)> on_kill);
  Task<Result<>> back_up(std::function<void(const Backup&)> on_backup);
  Task<Result<Findings>> end();

 private:
  Task<Result<>> next_step();
  Task<Result<>> forget_events();
  std::uint64_t failed_so_far() const { return clients_->snapshot().failed; }
  Task<Result<Kill>> kill(std::size_t index);
  Task<Result<Kill>> strike(std::size_t index);
  Task<Result<>> watch_recovery(Kill& kill, const load::Snapshot& before);
  Task<Result<PartKill>> kill(std::vector<Part> parts);
  Task<Result<PartKill>> strike(std::vector<Part> parts);
  Task<Result<>> watch_succession(PartKill& kill);
  Task<Result<>> look_back();

  net::EpollLoop& loop_;
  Service& service_;
  Plan plan_;
  std::uint64_t samples_;
  std::optional<load::Load> clients_;
  Instant began_;
  int steps_done_ = 0;
  std::uint64_t next_event_ = 1;
  Findings findings_;
};

}  // namespace nines::demo
