#include "app/backup_schedule.h"

#include <fcntl.h>

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <system_error>
#include <thread>

#include "app/process_contract.h"
#include "app/tagged.h"
#include "net/timeout.h"
#include "supervise/process.h"

namespace nines::app {
namespace {

// The clock may jump, and archives may come and go without us.
constexpr Duration kLookAgain = 60s;
// How long the others wait for a destination that may hang.
constexpr Duration kPatience = 5s;
constexpr std::size_t kShown = 10;

Task<Result<>> rung(net::Doorbell& bell) { co_return co_await bell.rung(); }

Fd another(const Fd& fd) { return Fd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3)); }

}  // namespace

// Shared with its thread, which may outlive everything else here.
struct BackupSchedule::Look {
  std::shared_ptr<storage::Destination> destination;
  std::string catalogue;
  Fd bell;
  std::mutex mutex;
  bool ended = false;  // these three: guarded by mutex
  std::vector<backup::Archive> archives;
  std::optional<backup::Failure> failed;

  void perform() {
    const auto known = backup::Catalogue::load(catalogue);
    auto listed = backup::list(*destination, known);
    const backup::Failure* const failure = known.failure_of(destination->where());
    {
      const std::lock_guard lock(mutex);
      if (listed) archives = std::move(*listed);
      if (failure != nullptr) failed = *failure;
      ended = true;
    }
    net::Doorbell::ring(bell.get());
  }
};

BackupSchedule::BackupSchedule(net::EpollLoop& loop, const Service& service, const Open& open)
    : loop_(loop), service_(service), bell_(net::Doorbell::make()) {
  for (const config::Backup& backup : service_.config.backups) {
    const std::filesystem::path folder = std::filesystem::path(service_.paths.folder) / backup.to;
    std::string where = folder.lexically_normal().native();
    while (where.size() > 1 && where.ends_with('/')) where.pop_back();
    Entry entry{.destination = open(std::move(where))};
    for (const config::TimeOfDay& at : backup.archive) entry.times.push_back({at.hour, at.minute});
    entries_.push_back(std::move(entry));
  }
}

Task<void> BackupSchedule::run() {
  if (entries_.empty()) co_return;
  net::Doorbell bell(loop_, another(bell_));
  while (true) {
    co_await look_around(bell);
    if ((co_await current_scope())->cancelled()) co_return;
    const Duration wait = until_next();
    if (wait <= 0ns && due_ != nullptr) {
      co_await run_due();
      if ((co_await current_scope())->cancelled()) co_return;
      continue;
    }
    if (!co_await loop_.sleep(std::min(wait, kLookAgain))) co_return;
  }
}

Task<void> BackupSchedule::look_around(net::Doorbell& bell) {
  const Instant until = loop_.now() + kPatience;
  for (Entry& entry : entries_) {
    entry.fresh = false;
    // One that came back after its round shows what was, and not what is.
    if (!entry.look || take_look(entry)) begin_look(entry);
    entry.fresh = false;
  }
  while (true) {
    bool all = true;
    for (Entry& entry : entries_) all = (entry.fresh || take_look(entry)) && all;
    show();
    if (all || loop_.now() >= until || (co_await current_scope())->cancelled()) co_return;
    (void)co_await net::within(loop_, until - loop_.now(), rung(bell));
  }
}

void BackupSchedule::begin_look(Entry& entry) {
  entry.look = std::make_shared<Look>();
  entry.look->destination = entry.destination;
  entry.look->catalogue = backup::catalogue_file(service_.paths.state);
  entry.look->bell = another(bell_);
  try {
    std::thread([look = entry.look] { look->perform(); }).detach();
  } catch (const std::system_error&) {
    entry.look.reset();  // no thread to be had: in the next round
  }
}

bool BackupSchedule::take_look(Entry& entry) {
  if (!entry.look) return false;
  const auto look = entry.look;
  const std::lock_guard lock(look->mutex);
  if (!look->ended) return false;
  entry.archives = std::move(look->archives);
  entry.failed = std::move(look->failed);
  entry.fresh = true;
  entry.look.reset();
  return true;
}

void BackupSchedule::show() {
  archives_.clear();
  for (const Entry& entry : entries_) {
    for (const backup::Archive& archive : entry.archives) {
      const auto verified = !archive.proof       ? web::Verified::kNotYet
                            : archive.verified() ? web::Verified::kYes
                                                 : web::Verified::kNo;
      archives_.push_back({archive.object.name, archive.time, archive.object.bytes, verified});
    }
  }
  std::ranges::sort(archives_, std::greater(), &web::Backup::at);
  archives_.resize(std::min(archives_.size(), kShown));
}

Duration BackupSchedule::until_next() {
  const WallTime now = loop_.wall_now();
  Duration shortest = kLookAgain;
  due_ = nullptr;
  for (Entry& entry : entries_) {
    if (entry.times.empty() || !entry.fresh) continue;
    const backup::Past past = backup::past_of(entry.archives, entry.failed ? &*entry.failed : nullptr, now);
    const WallTime at = backup::next_run(entry.times, now, past, backup::system_offset);
    const Duration wait = std::max(std::chrono::duration_cast<Duration>(at - now), entry.not_before - loop_.now());
    if (due_ != nullptr && wait >= shortest) continue;
    if (wait < shortest || wait <= 0ns) {
      shortest = wait;
      due_ = &entry;
    }
  }
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
  entry.not_before = well ? Instant{} : loop_.now() + backup::kRetry;
}

}  // namespace nines::app
