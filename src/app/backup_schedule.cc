#include "app/backup_schedule.h"

#include <algorithm>
#include <filesystem>

#include "app/process_contract.h"
#include "app/tagged.h"
#include "storage/directory.h"
#include "supervise/process.h"

namespace nines::app {
namespace {

// The clock may jump, and archives may come and go without us.
constexpr Duration kLookAgain = 60s;
constexpr std::size_t kShown = 10;

}  // namespace

BackupSchedule::BackupSchedule(net::EpollLoop& loop, const Service& service) : loop_(loop), service_(service) {
  for (const config::Backup& backup : service_.config.backups) {
    const std::filesystem::path folder = std::filesystem::path(service_.paths.folder) / backup.to;
    std::string where = folder.lexically_normal().native();
    while (where.size() > 1 && where.ends_with('/')) where.pop_back();
    Entry entry{.destination = storage::open_directory(std::move(where)), .times = {}};
    for (const config::TimeOfDay& at : backup.archive) entry.times.push_back({at.hour, at.minute});
    entries_.push_back(std::move(entry));
  }
}

Task<void> BackupSchedule::run() {
  if (entries_.empty()) co_return;
  while (true) {
    const Duration wait = until_next();
    if (wait <= 0ns && due_ != nullptr) {
      co_await run_due();
      if ((co_await current_scope())->cancelled()) co_return;
      continue;
    }
    if (!co_await loop_.sleep(std::min(wait, kLookAgain))) co_return;
  }
}

Duration BackupSchedule::until_next() {
  const WallTime now = loop_.wall_now();
  const backup::Catalogue catalogue = backup::Catalogue::load(backup::catalogue_file(service_.paths.state));
  Duration shortest = kLookAgain;
  due_ = nullptr;
  archives_.clear();
  for (Entry& entry : entries_) {
    const auto archives = backup::list(*entry.destination, catalogue);
    for (const backup::Archive& archive : archives.value_or(std::vector<backup::Archive>())) {
      const auto verified = !archive.proof       ? web::Verified::kNotYet
                            : archive.verified() ? web::Verified::kYes
                                                 : web::Verified::kNo;
      archives_.push_back({archive.object.name, archive.time, archive.object.bytes, verified});
    }
    if (entry.times.empty()) continue;
    const std::string where = entry.destination->where();
    const backup::Past past =
        backup::past_of(archives.value_or(std::vector<backup::Archive>()), catalogue.failure_of(where));
    const WallTime at = std::max(backup::next_run(entry.times, now, past, backup::system_offset), entry.not_before);
    const Duration wait = std::chrono::duration_cast<Duration>(at - now);
    if (due_ != nullptr && wait >= shortest) continue;
    if (wait < shortest || wait <= 0ns) {
      shortest = wait;
      due_ = &entry;
    }
  }
  std::ranges::sort(archives_, std::greater(), &web::Backup::at);
  archives_.resize(std::min(archives_.size(), kShown));
  return shortest;
}

Task<void> BackupSchedule::run_due() {
  Entry& entry = *due_;
  const Paths& paths = service_.paths;
  auto process = supervise::spawn({.argv = {"/proc/self/exe", "internal-backup", "-c", paths.config_file, "--state",
                                            paths.state, "--to", entry.destination->where()},
                                   .directory = paths.folder,
                                   .inherit = {{kSnapshot, kSnapshot}},
                                   .tag = tag(paths, std::string(kBackupPart), ++runs_)});
  std::optional<supervise::Exit> exit;
  if (process) {
    net::FdEvent ended(loop_, process->pidfd());
    while (!(exit = process->try_reap())) {
      if (!co_await ended.readable()) co_return;  // it goes on without us
    }
  }
  const bool well = exit && exit->kind == supervise::Exit::Kind::kStatus && exit->value == 0;
  entry.not_before = well ? WallTime() : loop_.wall_now() + backup::kRetry;
}

}  // namespace nines::app
