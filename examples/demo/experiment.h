// Kills replicas while clients use them, and finds out what became of it.
//
//   clients ════════════════════════════════════════════════════►   never retry, count everything
//            kill A    back      kill B    back      kill C   back
//   pidfd ───●─────────●─────────●─────────●─────────●────────●──
//
// What is measured, and how well:
//   failed, slowest     by the clients themselves, every request
//   noticed, ready      wall time of the service's events, in milliseconds
//   answered            the first answer that carries the new process's id, looked for every millisecond
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "history.h"
#include "load/load.h"
#include "recovery.h"
#include "service.h"

namespace nines::demo {

struct Kill {
  Mark mark;
  std::uint64_t in_flight = 0;         // requests on it, as the service counted just before
  std::vector<cli::PastEvent> events;  // from the kill until it was back
  Recovery recovery;
  std::optional<Duration> answered;  // a client got an answer from its successor
  std::uint64_t failed = 0;          // requests, from the kill until then
};

struct Findings {
  load::Snapshot clients;
  std::vector<Kill> kills;
  std::uint64_t replayed = 0;  // requests that another replica answered
  std::uint64_t restarts = 0;
  HistoryCount history;
};

struct Plan {
  Duration lasts = 10s;
  int kills = kReplicas;  // at most kReplicas: each another one
  unsigned connections = 24;
  std::uint64_t in_flight_min = 4;  // on the replica at the moment of its kill
};

class Experiment {
 public:
  // `samples`: classifications that were answered before. `on_kill` is called after each, once its replica is back
  // or will not come any more.
  Experiment(net::EpollLoop& loop, Service& service, Plan plan, std::uint64_t samples,
             std::function<void(const Kill&)> on_kill)
      : loop_(loop), service_(service), plan_(plan), samples_(samples), on_kill_(std::move(on_kill)) {}

  // An error means that it could not be carried out. That something claimed does not hold is a finding.
  Task<Result<Findings>> run();

 private:
  Task<Result<Kill>> kill(load::Load& clients, std::size_t index);
  Task<Result<Kill>> strike(std::size_t index);
  Task<Result<>> watch_recovery(load::Load& clients, Kill& kill, const load::Snapshot& before);
  Task<Result<>> look_back(Findings& findings);

  net::EpollLoop& loop_;
  Service& service_;
  Plan plan_;
  std::uint64_t samples_;
  std::function<void(const Kill&)> on_kill_;
  std::uint64_t next_event_ = 1;
};

}  // namespace nines::demo
