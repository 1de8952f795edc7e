#include "experiment.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "sentences.h"

namespace nines::demo {
namespace {

constexpr const char* kProcessHeader = "X-Process-Id";  // the server names the process that answered
constexpr Duration kPatience = 15s;                     // for a replica to come back, or to have enough to do

// Half asks for health, half for a classification, each of another sentence.
load::Options clients_of(const std::string& address, unsigned connections) {
  load::Options options{.address = address, .connections = connections, .count_header = kProcessHeader};
  for (const Sentence& sentence : sentences()) {
    options.templates.push_back({.method = "GET", .path = "/health"});
    options.templates.push_back({.method = "POST", .path = "/classify", .body = classify_body(sentence.text)});
  }
  return options;
}

// Answers by processes that had given none before.
bool somebody_new(const load::Snapshot& now, const load::Snapshot& before) {
  return std::ranges::any_of(now.values, [&](const auto& value) { return !before.values.contains(value.first); });
}

}  // namespace

Task<Result<Findings>> Experiment::run() {
  auto clients = load::Load::start(clients_of(service_.address(), plan_.connections));
  if (!clients) co_return failure(std::move(clients.error()));
  const Instant began = loop_.now();
  Findings findings;
  for (int i = 0; i < plan_.kills; ++i) {
    if (auto slept = co_await loop_.sleep_until(began + plan_.lasts * (2 * i + 1) / (2 * plan_.kills)); !slept)
      co_return failure(slept.error());
    auto struck = co_await kill(*clients, static_cast<std::size_t>(i));
    if (!struck) co_return failure(std::move(struck.error()));
    on_kill_(*struck);
    findings.kills.push_back(std::move(*struck));
  }
  if (auto slept = co_await loop_.sleep_until(began + plan_.lasts); !slept) co_return failure(slept.error());
  findings.clients = clients->stop();
  if (auto looked = co_await look_back(findings); !looked) co_return failure(std::move(looked.error()));
  co_return findings;
}

Task<Result<Kill>> Experiment::kill(load::Load& clients, std::size_t index) {
  const auto past = co_await service_.events(next_event_);
  if (!past) co_return failure(past.error());
  if (!past->empty()) next_event_ = past->back().event.number + 1;
  // Before the kill, so that nothing is missed: the same processes give answers from here to there.
  const load::Snapshot before = clients.snapshot();
  auto kill = co_await strike(index);
  if (!kill) co_return failure(std::move(kill.error()));
  if (auto watched = co_await watch_recovery(clients, *kill, before); !watched)
    co_return failure(std::move(watched.error()));
  kill->failed = clients.snapshot().failed - before.failed;
  co_return kill;
}

// Waits until the replica has enough in flight, and kills it.
Task<Result<Kill>> Experiment::strike(std::size_t index) {
  Fd process;
  Mark mark;
  for (const Instant until = loop_.now() + kPatience; loop_.now() < until;) {
    const auto status = co_await service_.status();
    if (!status) co_return failure(status.error());
    if (index >= status->replicas.size()) co_return failure(Code::kNotFound, "there are too few replicas to kill");
    const cli::ReplicaStatus& replica = status->replicas[index];
    const std::uint64_t pid = replica.pid.value_or(0);
    if (pid != 0 && process && pid == mark.pid && replica.in_flight >= plan_.in_flight_min) {
      mark.at = net::wall_time();
      if (::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0) != 0)
        co_return failure(os_error(errno, "kill " + replica.name));
      co_return Kill{.mark = mark, .in_flight = replica.in_flight};
    }
    // Held fast, then looked at again: the signal can reach no other process.
    if (pid != 0 && pid != mark.pid) {
      process.reset(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0)));
      mark = {.replica = replica.name, .pid = pid};
    }
    if (auto slept = co_await loop_.sleep(2ms); !slept) co_return failure(slept.error());
  }
  co_return failure(Code::kTimedOut, "replica " + std::to_string(index + 1) + " never had " +
                                         std::to_string(plan_.in_flight_min) + " requests in flight");
}

// Until a client has an answer from its successor and the service has said that it is ready, or neither comes.
Task<Result<>> Experiment::watch_recovery(load::Load& clients, Kill& kill, const load::Snapshot& before) {
  const Instant killed = net::boot_time();
  const Instant until = killed + kPatience;
  while (true) {
    if (auto slept = co_await loop_.sleep(1ms); !slept) co_return failure(slept.error());
    const bool last = loop_.now() >= until;
    if (!kill.answered && somebody_new(clients.snapshot(), before)) kill.answered = net::boot_time() - killed;
    if (!kill.answered && !last) continue;
    auto events = co_await service_.events(next_event_);
    if (!events) co_return failure(std::move(events.error()));
    kill.events = std::move(*events);
    kill.recovery = recovery_of(kill.mark, kill.events);
    if (kill.recovery.ready || last) co_return Result<>{};
  }
}

Task<Result<>> Experiment::look_back(Findings& findings) {
  const auto status = co_await service_.status();
  if (!status) co_return failure(status.error());
  findings.replayed = status->replayed;
  std::vector<std::uint16_t> ports;
  for (const cli::ReplicaStatus& replica : status->replicas) {
    findings.restarts += replica.restarts;
    if (replica.state == "ready") ports.push_back(static_cast<std::uint16_t>(replica.port.value_or(0)));
  }
  std::uint64_t answered = samples_;
  for (const auto& [process, count] : findings.clients.values) answered += count;
  const auto count = co_await count_history(loop_, service_.database(), std::move(ports), answered);
  if (!count) co_return failure(count.error());
  findings.history = *count;
  co_return Result<>{};
}

}  // namespace nines::demo
