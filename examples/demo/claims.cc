#include "claims.h"

#include <algorithm>

#include "cli/backup_setup.h"
#include "cli/terminal.h"

namespace nines::demo {
namespace {

using cli::with_commas;

// Far above what is usual, since a slow machine breaks no promise: a claim that fails is a fault.
constexpr Duration kNoticedMax = 1s;
constexpr Duration kBackMax = 10s;
constexpr Duration kReplacedMax = 2s;

// The slowest of all kills, by one of their times; nullopt when one of them has none.
template <class F>
std::optional<Duration> slowest(const std::vector<Kill>& kills, F time_of) {
  Duration most{0};
  for (const Kill& kill : kills) {
    const std::optional<Duration> time = time_of(kill);
    if (!time) return std::nullopt;
    most = std::max(most, *time);
  }
  return most;
}

Claim answered_claim(const Findings& f) {
  const std::uint64_t sent = f.clients.requests();
  return {with_commas(f.clients.failed) + " of " + count_of(sent, "request") + " failed",
          f.clients.failed == 0 && sent > 0};
}

Claim in_use_claim(const Findings& f) {
  std::uint64_t least = UINT64_MAX;
  for (const Kill& kill : f.kills) least = std::min(least, kill.in_flight);
  return {"each kill hit a replica with requests in flight: at least " + with_commas(least), least > 0};
}

Claim noticed_claim(const Findings& f) {
  const auto time = slowest(f.kills, [](const Kill& kill) { return kill.recovery.noticed; });
  return {time ? "every kill was noticed, the slowest in " + milliseconds(*time) : "not every kill was noticed",
          time && *time <= kNoticedMax};
}

Claim back_claim(const Findings& f) {
  const auto time =
      slowest(f.kills, [](const Kill& kill) { return kill.recovery.ready ? kill.answered : std::nullopt; });
  return {time ? "every killed replica came back by itself and answered clients, the slowest in " + milliseconds(*time)
               : "not every killed replica came back and answered clients",
          time && *time <= kBackMax};
}

Claim restarts_claim(const Findings& f) {
  return {count_of(f.kills.size(), "replica") + " killed, " + count_of(f.restarts, "restart") + ": nothing else ended",
          f.restarts == f.kills.size()};
}

Claim succession_claim(const Findings& f) {
  Duration most{0}, gap_most{0};
  for (const PartKill& kill : f.part_kills) {
    for (const PartKill::Killed& killed : kill.killed) {
      const Succession& s = killed.succession;
      if (!s.back || !s.gap) return {"not every keeper and supervisor that was killed was replaced", false};
      most = std::max(most, *s.back);
      if (killed.part == Part::kSupervisor) gap_most = std::max(gap_most, *s.gap);
    }
  }
  return {"keeper, supervisor and both at once were replaced in " + milliseconds(most) +
              " at most; without a supervisor for " + milliseconds(gap_most) + " at most",
          most <= kReplacedMax};
}

Claim same_replicas_claim(const Findings& f) {
  const bool same =
      std::ranges::all_of(f.part_kills, [](const PartKill& kill) { return kill.replicas == kill.replicas_now; });
  return {same ? "the replicas ran on meanwhile, the same processes before and after"
               : "there are other replicas than before the supervisor or the keeper was killed",
          same};
}

Claim recorded_claim(const Findings& f) {
  const std::set<std::uint64_t> killed = f.killed_pids();
  std::uint64_t recorded = 0;
  for (const auto& [pid, rows] : f.recorded) recorded += static_cast<std::uint64_t>(rows);
  const bool all = std::ranges::all_of(killed, [&](std::uint64_t pid) { return f.recorded.contains(pid); });
  return {count_of(killed.size(), "kill") + " of all sorts, " + count_of(recorded, "such end") +
              " in the ledger: each once",
          all && recorded == killed.size()};
}

Claim backup_claim(const Findings& f) {
  const Backup& b = f.backup;
  if (!b.archive.verified) return {"the backup was not verified", false};
  return {"the backup was taken while clients wrote, and read back: " + cli::format_bytes(b.archive.bytes) + ", " +
              with_commas(b.failed) + " requests failed meanwhile",
          b.failed == 0};
}

Claim history_claim(const Findings& f) {
  const HistoryCount& h = f.history;
  std::string text = with_commas(h.rows) + " of " + count_of(h.answered, "answered classification") +
                     " are in the server's SQLite file";
  // A request that failed may have been classified all the same.
  if (h.rows > h.answered + f.clients.failed) return {text + ": a replayed one is there twice", false};
  if (h.unwritten > 0) return {text + ", and " + with_commas(h.unwritten) + " are waiting or were dropped", false};
  text += ", none twice";
  if (h.rows < h.answered)
    text +=
        " (the server writes after it answers: " + with_commas(h.answered - h.rows) + " died unwritten with a process)";
  return {text, true};
}

}  // namespace

std::string count_of(std::uint64_t n, const std::string& what) {
  return with_commas(n) + " " + what + (n == 1 ? "" : "s");
}

std::string milliseconds(Duration d) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(d);
  return ms < 1ms ? "under 1 ms" : with_commas(static_cast<std::uint64_t>(ms.count())) + " ms";
}

std::vector<Claim> claims_of(const Findings& f) {
  return {answered_claim(f),   in_use_claim(f),        noticed_claim(f),  back_claim(f),   restarts_claim(f),
          succession_claim(f), same_replicas_claim(f), recorded_claim(f), backup_claim(f), history_claim(f)};
}

std::vector<Claim> claims_of(const Aftermath& a) {
  const Repair& r = a.repair;
  return {
      {"the database was destroyed: SQLite's integrity_check finds it damaged", a.damage.integrity != "ok"},
      {r.integrity == "ok" ? "after the restore its integrity_check says ok"
                           : "after the restore its integrity_check says: " + r.integrity,
       r.integrity == "ok"},
      {with_commas(r.kept) + " of the " + count_of(r.before.count, "row") +
           " that it had when the backup began are there",
       r.kept == r.before.count && r.before.count > 0},
      {"the service answers again: " + with_commas(r.answered) + " of " + count_of(r.asked, "sentence") + ", and " +
           with_commas(r.added) + " new rows in the history",
       r.answered == r.asked && r.added == r.asked},
  };
}

std::string broken(const std::vector<Claim>& claims) {
  std::string lines;
  for (const Claim& claim : claims) lines += claim.holds ? "" : "\n  " + claim.text;
  return lines;
}

}  // namespace nines::demo
