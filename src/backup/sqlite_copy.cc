#include "backup/sqlite_copy.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "backup/sqlite_file.h"
#include "base/fd.h"
#include "storage/files.h"

namespace nines::backup {
namespace {

constexpr std::size_t kBlock = 1 << 20;

bool is_busy(int code) { return (code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_LOCKED; }

std::unexpected<Error> locked_too_long(const std::string& path, Duration waited) {
  return failure(Code::kUnavailable, path + " was locked by another process for " + format_duration(waited) +
                                         "; an application with PRAGMA locking_mode=EXCLUSIVE never lets go");
}

struct FinishBackup {
  void operator()(sqlite3_backup* backup) const { sqlite3_backup_finish(backup); }
};
using Backup = std::unique_ptr<sqlite3_backup, FinishBackup>;

// As many bytes as there are, fewer only at the end of the file.
Result<std::size_t> read_block(int fd, std::vector<char>& block, std::uint64_t offset) {
  std::size_t size = 0;
  while (size < block.size()) {
    const ssize_t got = ::pread(fd, block.data() + size, block.size() - size, static_cast<off_t>(offset + size));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure(os_error(errno, "read the database"));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  return size;
}

class Copier {
 public:
  Copier(const std::string& from, const std::string& to, const Clock& clock, const CopyOptions& options)
      : from_(from), to_(to), clock_(clock), options_(options) {}

  Result<CopyReport> run() {
    const Instant began = clock_.boot();
    auto source = Sqlite::open(from_, Sqlite::Mode::kLive);
    if (!source) return failure(std::move(source.error()));
    auto mode = begin_read(*source);
    if (!mode) return failure(std::move(mode.error()));
    Result<> copied;
    if (*mode == "wal") {
      report_.way = CopyReport::Way::kWal;
      copied = copy_all(*source);
    } else {
      copied = end_read(*source);
      if (copied) copied = copy_in_steps(*source);
    }
    if (!copied) return failure(std::move(copied.error()));
    struct stat status{};
    if (::stat(to_.c_str(), &status) == 0) report_.bytes = static_cast<std::uint64_t>(status.st_size);
    report_.took = clock_.boot() - began;
    return report_;
  }

 private:
  // A read transaction, and the journal mode that goes with it.
  Result<std::string> begin_read(Sqlite& source) {
    const Instant began = clock_.boot();
    while (true) {
      auto begun = source.run("BEGIN");
      if (!begun) return failure(std::move(begun.error()));
      auto schema = source.text("SELECT count(*) FROM sqlite_schema");
      if (schema) return source.text("PRAGMA journal_mode");
      if (auto ended = end_read(source); !ended) return failure(std::move(ended.error()));
      if (schema.error().code() != Code::kUnavailable) return failure(std::move(schema.error()).in("read " + from_));
      const Duration waited = clock_.boot() - began;
      if (waited > options_.busy_max) return locked_too_long(from_, waited);
      clock_.pause(options_.between_tries);
    }
  }

  Result<> end_read(Sqlite& source) { return source.run("ROLLBACK"); }

  Result<Sqlite> open_copy() {
    // SQLite makes no file for a database without pages.
    const Fd made(::open(to_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!made) return failure(os_error(errno, "write " + to_));
    return Sqlite::open(to_, Sqlite::Mode::kFresh);
  }

  // Inside the read transaction, which foreign writes do not touch.
  Result<> copy_all(Sqlite& source) {
    auto copy = open_copy();
    if (!copy) return failure(std::move(copy.error()));
    const Backup backup(sqlite3_backup_init(copy->handle(), "main", source.handle(), "main"));
    if (backup == nullptr) return copy->last_error("copy " + from_);
    const int code = sqlite3_backup_step(backup.get(), -1);
    if (code != SQLITE_DONE) return failed(*copy, code);
    return {};
  }

  std::unexpected<Error> failed(const Sqlite& copy, int code) const {
    if ((code & 0xff) == SQLITE_FULL || (code & 0xff) == SQLITE_IOERR)
      return failure(Code::kLimit, "copy " + from_ + " to " + to_ + ": " + sqlite3_errstr(code));
    if ((code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB)
      return failure(Code::kInvalid, from_ + ": " + sqlite3_errstr(code));
    return copy.last_error("copy " + from_);
  }

  Result<> copy_in_steps(Sqlite& source) {
    {
      auto copy = open_copy();
      if (!copy) return failure(std::move(copy.error()));
      const Backup backup(sqlite3_backup_init(copy->handle(), "main", source.handle(), "main"));
      if (backup == nullptr) return copy->last_error("copy " + from_);
      const auto done = step_until_done(*copy, backup.get());
      if (!done) return failure(done.error());
      if (*done) return {};
    }
    return reconcile(source);
  }

  // False: foreign writes restarted it too often.
  Result<bool> step_until_done(const Sqlite& copy, sqlite3_backup* backup) {
    report_.way = CopyReport::Way::kSteps;
    Instant last_progress = clock_.boot();
    int copied = 0;
    while (true) {
      const Instant began = clock_.boot();
      const int code = sqlite3_backup_step(backup, options_.step_pages);
      const Instant ended = clock_.boot();
      if (!is_busy(code)) report_.locked_max = std::max(report_.locked_max, ended - began);
      if (code == SQLITE_DONE) return true;
      if (is_busy(code)) {
        if (ended - last_progress > options_.busy_max) return locked_too_long(from_, ended - last_progress);
        clock_.pause(options_.between_tries);
        continue;
      }
      if (code != SQLITE_OK) return failed(copy, code);
      last_progress = ended;
      // After a restart it counts from the first page again.
      const int now_copied = sqlite3_backup_pagecount(backup) - sqlite3_backup_remaining(backup);
      if (now_copied <= copied && ++report_.restarts >= options_.restarts_max) return false;
      copied = now_copied;
      clock_.pause(options_.between_steps);
    }
  }

  // The copy is written anew, outside SQLite: `source` provides the lock. The descriptor of the source must outlive
  // the lock, as closing any descriptor of a file drops all POSIX locks the process has on it.
  Result<> reconcile(Sqlite& source) {
    report_.way = CopyReport::Way::kReconciled;
    const Fd from(::open(from_.c_str(), O_RDONLY | O_CLOEXEC));
    if (!from) return failure(os_error(errno, "read " + from_));
    const Fd to(::open(to_.c_str(), O_RDWR | O_TRUNC | O_CLOEXEC));
    if (!to) return failure(os_error(errno, "write " + to_));
    if (auto copied = copy_unlocked(from.get(), to.get()); !copied) return copied;
    auto mode = begin_read(source);
    if (!mode) return failure(std::move(mode.error()));
    const Instant locked = clock_.boot();
    Result<> repaired;
    if (*mode == "wal") {
      repaired = failure(Code::kUnavailable, from_ + " changed to WAL mode during the backup; try again");
    } else {
      repaired = repair_differences(from.get(), to.get());
    }
    const auto ended = end_read(source);
    report_.locked_max = std::max(report_.locked_max, clock_.boot() - locked);
    return repaired ? ended : repaired;
  }

  Result<> copy_unlocked(int from, int to) {
    std::vector<char> block(kBlock);
    for (std::uint64_t offset = 0;; offset += kBlock) {
      const auto size = read_block(from, block, offset);
      if (!size) return failure(size.error());
      if (auto wrote = storage::write_all(to, {block.data(), *size}, "write " + to_); !wrote) return wrote;
      if (*size < kBlock) return {};
    }
  }

  Result<> repair_differences(int from, int to) {
    std::vector<char> block(kBlock), copy(kBlock);
    std::uint64_t total = 0;
    for (std::uint64_t offset = 0;; offset += kBlock) {
      const auto size = read_block(from, block, offset);
      if (!size) return failure(size.error());
      const auto copied = read_block(to, copy, offset);
      if (!copied) return failure(copied.error());
      total += *size;
      if (*size != *copied ||
          !std::equal(block.begin(), block.begin() + static_cast<std::ptrdiff_t>(*size), copy.begin())) {
        if (::lseek(to, static_cast<off_t>(offset), SEEK_SET) < 0) return failure(os_error(errno, "write " + to_));
        if (auto wrote = storage::write_all(to, {block.data(), *size}, "write " + to_); !wrote) return wrote;
      }
      if (*size < kBlock) break;
    }
    if (::ftruncate(to, static_cast<off_t>(total)) != 0) return failure(os_error(errno, "shorten " + to_));
    return {};
  }

  const std::string &from_, &to_;
  const Clock& clock_;
  const CopyOptions& options_;
  CopyReport report_;
};

}  // namespace

std::string_view name_of(CopyReport::Way way) {
  switch (way) {
    case CopyReport::Way::kWal: return "wal";
    case CopyReport::Way::kSteps: return "steps";
    case CopyReport::Way::kReconciled: return "reconciled";
  }
  return "unknown";
}

Result<CopyReport> copy_database(const std::string& from, const std::string& to, const Clock& clock,
                                 const CopyOptions& options) {
  return Copier(from, to, clock, options).run();
}

}  // namespace nines::backup
