#include "experiment.h"

#include <algorithm>

#include "sentences.h"

namespace nines::demo {
namespace {

constexpr const char* kProcessHeader = "X-Process-Id";  // the server names the process that answered
constexpr Duration kPatience = 15s;                     // for a process to come back, or to have enough to do
constexpr Duration kAftermath = 100ms;
constexpr int kPartKills = 3;

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

std::uint64_t pid_of(Part part, const cli::ServiceStatus& status) {
  return (part == Part::kKeeper ? status.keeper_pid : status.supervisor_pid).value_or(0);
}

std::vector<std::uint64_t> replicas_of(const cli::ServiceStatus& status) {
  std::vector<std::uint64_t> pids;
  for (const cli::ReplicaStatus& replica : status.replicas) pids.push_back(replica.pid.value_or(0));
  return pids;
}

}  // namespace

std::set<std::uint64_t> Findings::killed_pids() const {
  std::set<std::uint64_t> pids;
  for (const Kill& kill : kills) pids.insert(kill.mark.pid);
  for (const PartKill& kill : part_kills) {
    for (const PartKill::Killed& killed : kill.killed) pids.insert(killed.pid);
  }
  return pids;
}

Result<> Experiment::begin() {
  auto clients = load::Load::start(clients_of(service_.address(), plan_.connections));
  if (!clients) return failure(std::move(clients.error()));
  clients_.emplace(std::move(*clients));
  began_ = loop_.now();
  return {};
}

// In the middle of its share of the time.
Task<Result<>> Experiment::next_step() {
  const int steps = plan_.kills + kPartKills + 1;
  co_return co_await loop_.sleep_until(began_ + plan_.lasts * (2 * steps_done_++ + 1) / (2 * steps));
}

Task<Result<>> Experiment::kill_replicas(std::function<void(const Kill&)> on_kill) {
  for (int i = 0; i < plan_.kills; ++i) {
    if (auto slept = co_await next_step(); !slept) co_return slept;
    auto struck = co_await kill(static_cast<std::size_t>(i));
    if (!struck) co_return failure(std::move(struck.error()));
    on_kill(*struck);
    findings_.kills.push_back(std::move(*struck));
  }
  co_return Result<>{};
}

Task<Result<>> Experiment::kill_parts(std::function<void(const PartKill&)> on_kill) {
  // The supervisor first: then nobody is there to see the keeper end.
  const std::vector<std::vector<Part>> turns = {
      {Part::kKeeper}, {Part::kSupervisor}, {Part::kSupervisor, Part::kKeeper}};
  for (const std::vector<Part>& parts : turns) {
    if (auto slept = co_await next_step(); !slept) co_return slept;
    auto struck = co_await kill(parts);
    if (!struck) co_return failure(std::move(struck.error()));
    on_kill(*struck);
    findings_.part_kills.push_back(std::move(*struck));
  }
  co_return Result<>{};
}

Task<Result<>> Experiment::back_up(std::function<void(const Backup&)> on_backup) {
  if (auto slept = co_await next_step(); !slept) co_return slept;
  Backup& backup = findings_.backup;
  const std::uint64_t failed_before = failed_so_far();
  const auto rows = rows_of(service_.database());
  if (!rows) co_return failure(rows.error());
  backup.before = *rows;
  auto said = co_await service_.back_up();
  if (!said) co_return failure(std::move(said.error()));
  backup.said = std::move(*said);
  const auto archives = co_await service_.archives();
  if (!archives) co_return failure(archives.error());
  if (archives->size() != 1)
    co_return failure(Code::kProtocol, "there are " + std::to_string(archives->size()) + " archives, and not one");
  backup.archive = archives->front();
  backup.failed = failed_so_far() - failed_before;
  on_backup(backup);
  co_return Result<>{};
}

Task<Result<Findings>> Experiment::end() {
  if (auto slept = co_await loop_.sleep_until(began_ + plan_.lasts); !slept) co_return failure(slept.error());
  findings_.clients = clients_->stop();
  if (auto looked = co_await look_back(); !looked) co_return failure(std::move(looked.error()));
  co_return std::move(findings_);
}

// What happened so far is not of the next kill.
Task<Result<>> Experiment::forget_events() {
  const auto past = co_await service_.events(next_event_);
  if (!past) co_return failure(past.error());
  if (!past->empty()) next_event_ = past->back().event.number + 1;
  co_return Result<>{};
}

// ---- a replica ----

Task<Result<Kill>> Experiment::kill(std::size_t index) {
  if (auto forgot = co_await forget_events(); !forgot) co_return failure(std::move(forgot.error()));
  // Before the kill, so that nothing is missed: the same processes give answers from here to there.
  const load::Snapshot before = clients_->snapshot();
  auto kill = co_await strike(index);
  if (!kill) co_return failure(std::move(kill.error()));
  if (auto watched = co_await watch_recovery(*kill, before); !watched) co_return failure(std::move(watched.error()));
  kill->failed = failed_so_far() - before.failed;
  co_return kill;
}

// Waits until the replica has enough in flight, and kills it.
Task<Result<Kill>> Experiment::strike(std::size_t index) {
  Victim victim;
  for (const Instant until = loop_.now() + kPatience; loop_.now() < until;) {
    const auto status = co_await service_.status();
    if (!status) co_return failure(status.error());
    if (index >= status->replicas.size()) co_return failure(Code::kNotFound, "there are too few replicas to kill");
    const cli::ReplicaStatus& replica = status->replicas[index];
    const std::uint64_t pid = replica.pid.value_or(0);
    if (victim.held() && pid == victim.pid() && replica.in_flight >= plan_.in_flight_min) {
      const Mark mark{.replica = replica.name, .pid = pid, .at = net::wall_time()};
      if (auto killed = victim.kill(); !killed) co_return failure(std::move(killed.error()));
      co_return Kill{.mark = mark, .in_flight = replica.in_flight};
    }
    if (pid != victim.pid()) victim = Victim(pid);
    if (auto slept = co_await loop_.sleep(2ms); !slept) co_return failure(slept.error());
  }
  co_return failure(Code::kTimedOut, "replica " + std::to_string(index + 1) + " never had " +
                                         std::to_string(plan_.in_flight_min) + " requests in flight");
}

// Until a client has an answer from its successor and the service has said that it is ready, or neither comes.
Task<Result<>> Experiment::watch_recovery(Kill& kill, const load::Snapshot& before) {
  const Instant killed = net::boot_time();
  const Instant until = killed + kPatience;
  while (true) {
    if (auto slept = co_await loop_.sleep(1ms); !slept) co_return failure(slept.error());
    const bool last = loop_.now() >= until;
    if (!kill.answered && somebody_new(clients_->snapshot(), before)) kill.answered = net::boot_time() - killed;
    if (!kill.answered && !last) continue;
    auto events = co_await service_.events(next_event_);
    if (!events) co_return failure(std::move(events.error()));
    kill.events = std::move(*events);
    kill.recovery = recovery_of(kill.mark, kill.events);
    if (kill.recovery.ready || last) co_return Result<>{};
  }
}

// ---- parts of nines ----

Task<Result<PartKill>> Experiment::kill(std::vector<Part> parts) {
  if (auto forgot = co_await forget_events(); !forgot) co_return failure(std::move(forgot.error()));
  const std::uint64_t failed_before = failed_so_far();
  auto kill = co_await strike(std::move(parts));
  if (!kill) co_return failure(std::move(kill.error()));
  if (auto watched = co_await watch_succession(*kill); !watched) co_return failure(std::move(watched.error()));
  // Longer than any request takes: what this kill did to one of them is known then.
  if (auto slept = co_await loop_.sleep(kAftermath); !slept) co_return failure(slept.error());
  const auto status = co_await service_.status();
  if (!status) co_return failure(status.error());
  kill->replicas_now = replicas_of(*status);
  kill->failed = failed_so_far() - failed_before;
  co_return kill;
}

Task<Result<PartKill>> Experiment::strike(std::vector<Part> parts) {
  std::vector<Victim> victims(parts.size());
  for (const Instant until = loop_.now() + kPatience; loop_.now() < until;) {
    const auto status = co_await service_.status();
    if (!status) co_return failure(status.error());
    bool held = true;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const std::uint64_t pid = pid_of(parts[i], *status);
      held = held && victims[i].held() && victims[i].pid() == pid;
      if (victims[i].pid() != pid) victims[i] = Victim(pid);
    }
    if (held) {
      PartKill kill{.at = net::wall_time(), .replicas = replicas_of(*status)};
      for (std::size_t i = 0; i < parts.size(); ++i) {
        if (auto killed = victims[i].kill(); !killed) co_return failure(std::move(killed.error()));
        kill.killed.push_back({.part = parts[i], .pid = victims[i].pid()});
      }
      co_return kill;
    }
    if (auto slept = co_await loop_.sleep(2ms); !slept) co_return failure(slept.error());
  }
  co_return failure(Code::kTimedOut, "the " + std::string(name_of(parts.front())) + " is never there to be killed");
}

// Until the service has said that all are there again, or they do not come. Until then it may say nothing.
Task<Result<>> Experiment::watch_succession(PartKill& kill) {
  for (const Instant until = loop_.now() + kPatience;;) {
    if (auto slept = co_await loop_.sleep(1ms); !slept) co_return failure(slept.error());
    auto events = co_await service_.events(next_event_);
    if (events) {
      kill.events = std::move(*events);
      bool all = true;
      for (PartKill::Killed& killed : kill.killed) {
        killed.succession = succession_of(killed.part, killed.pid, kill.at, kill.events);
        all = all && killed.succession.successor;
      }
      if (all) co_return Result<>{};
    }
    if (loop_.now() < until) continue;
    if (!events) co_return failure(std::move(events.error()));
    co_return Result<>{};
  }
}

// ---- afterwards ----

Task<Result<>> Experiment::look_back() {
  const auto status = co_await service_.status();
  if (!status) co_return failure(status.error());
  findings_.replayed = status->replayed;
  for (const cli::ReplicaStatus& replica : status->replicas) findings_.restarts += replica.restarts;
  auto recorded = co_await recorded_exits(loop_, service_.ledger(), findings_.killed_pids());
  if (!recorded) co_return failure(std::move(recorded.error()));
  findings_.recorded = std::move(*recorded);
  std::uint64_t answered = samples_;
  for (const auto& [process, count] : findings_.clients.values) answered += count;
  const auto count = co_await count_history(loop_, service_.database(), ready_ports(*status), answered);
  if (!count) co_return failure(count.error());
  findings_.history = *count;
  co_return Result<>{};
}

}  // namespace nines::demo
