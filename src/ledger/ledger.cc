#include "ledger/ledger.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <utility>

#include "base/check.h"
#include "ledger/append.h"
#include "ledger/chain.h"
#include "ledger/schema.h"
#include "ledger/set_aside.h"
#include "ledger/slices.h"
#include "ledger/sqlite.h"

namespace nines::ledger {
namespace {

constexpr std::uint64_t kPrunedAtOnce = 10'000;
constexpr std::size_t kFilledAtOnce = 5'000;

// Which file a path leads to.
struct FileId {
  dev_t device{};
  ino_t inode{};

  friend bool operator==(const FileId&, const FileId&) = default;
};

std::unexpected<Error> about(const std::string& path, Error error) {
  return failure(std::move(error).in("the ledger " + path));
}

std::int64_t second_of(const Moment& now) {
  return std::chrono::floor<std::chrono::seconds>(now.wall).time_since_epoch().count();
}

// There, and at first sight a ledger; made if nothing is there.
Result<FileId> find_or_make(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) {
    if (errno != ENOENT) return failure(os_error(errno, "look at it"));
    // A write-ahead log would be played into whatever file is put beside it.
    if (::access((path + "-wal").c_str(), F_OK) == 0)
      return failure(Code::kInvalid, "the file is missing, and only its write-ahead log is there");
    if (auto made = make_ledger(path); !made && made.error().code() != Code::kExists)
      return failure(std::move(made.error()));
    if (::stat(path.c_str(), &status) != 0) return failure(os_error(errno, "look at it"));
  }
  if (!S_ISREG(status.st_mode))
    return failure(Code::kRefused, "it is no file; move it away, or use another --state folder");
  if (status.st_size == 0) return failure(Code::kInvalid, "the file is empty");
  return FileId{status.st_dev, status.st_ino};
}

Result<Database> open_checked(const std::string& path) {
  auto db = Database::open(path, Database::Access::kWrite);
  if (!db) return db;
  // What turns out to be damaged stays as it was found.
  db->tidy_at_close(false);
  if (auto ours = check_identity(*db); !ours) return failure(std::move(ours.error()));
  if (db->read_only())
    return failure(Code::kIo, "it may not be written; look at the owner and mode of the file and its folder");
  if (auto healthy = check_health(*db); !healthy) return failure(std::move(healthy.error()));
  // A log that stays as large as it once was would fill small disks; a megabyte never matters.
  const char* const settings =
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 1048576";
  if (auto set = db->run(settings); !set) return failure(std::move(set.error()));
  if (auto migrated = migrate(*db); !migrated) return failure(std::move(migrated.error()));
  // Or a keeper would open it, fail to add, and open it again.
  if (auto newest = check_newest_slices(*db); !newest) return failure(std::move(newest.error()));
  db->tidy_at_close(true);
  return db;
}

// How far pruning goes: the last seq to remove, and whether the limit of one call cut it short.
struct Cut {
  std::uint64_t through = 0;
  bool more = false;
};

Result<Cut> plan_cut(const Database& db, const Ends& ends, const Retention& retention, WallTime now) {
  const std::uint64_t rows = ends.head_seq - ends.anchor_seq;
  std::uint64_t remove = 0;
  // A hundredth more than needed, or each new row would cost a removal, and a row that tells of it.
  if (rows > retention.max_rows) remove = std::min(rows, rows - retention.max_rows + 1 + retention.max_rows / 100);
  if (rows > retention.min_rows) {
    const std::uint64_t most = std::min(rows - retention.min_rows, kPrunedAtOnce);
    // The oldest first, and never past one that is still kept: the wall clock may have jumped in between.
    auto young =
        db.prepare("SELECT min(seq) FROM (SELECT seq, wall_ns FROM events ORDER BY seq LIMIT ?2) WHERE wall_ns >= ?1");
    if (!young) return failure(std::move(young.error()));
    auto row = young->bind(std::int64_t{(now - retention.max_age).time_since_epoch().count()}, most).step();
    if (!row) return failure(std::move(row.error()));
    const std::uint64_t old = young->is_null(0) ? most : young->number(0) - ends.anchor_seq - 1;
    remove = std::max(remove, old);
  }
  const std::uint64_t now_removed = std::min(remove, kPrunedAtOnce);
  return Cut{ends.anchor_seq + now_removed, now_removed == kPrunedAtOnce};
}

}  // namespace

struct Ledger::Open {
  Database db;
  WriterStatements statements;
  Hasher hasher;
  FileId file;

  // A file that was moved or deleted takes events and keeps none.
  Result<> in_place() const {
    struct stat status{};
    if (::stat(db.path().c_str(), &status) == 0 && FileId{status.st_dev, status.st_ino} == file) return {};
    return about(db.path(), {Code::kInvalid, "the file was moved or deleted while it was in use"});
  }
  Result<Writing> write() {
    if (auto there = in_place(); !there) return failure(std::move(there.error()));
    return Writing::begin(db, statements, hasher);
  }
  Result<Appended> append(std::span<const Event> events) {
    Appended appended;
    auto writing = write();
    if (!writing) return failure(std::move(writing.error()));
    for (const Event& event : events) {
      if (auto taken = writing->take(event, appended); !taken) return failure(std::move(taken.error()));
    }
    if (auto done = writing->commit(); !done) return failure(std::move(done.error()));
    return appended;
  }
  Result<bool> lost(const Loss& loss) {
    auto writing = write();
    if (!writing) return failure(std::move(writing.error()));
    auto lost = writing->lose(loss);
    if (!lost) return lost;
    if (auto done = writing->commit(); !done) return failure(std::move(done.error()));
    return lost;
  }
  // `change` in one transaction, durable on return.
  Result<> in_transaction(const std::function<Result<>(const Database&)>& change) {
    if (auto there = in_place(); !there) return there;
    auto transaction = Transaction::begin(db, Transaction::Kind::kWrite);
    if (!transaction) return failure(std::move(transaction.error()));
    if (auto done = change(db); !done) return done;
    return transaction->commit();
  }
  Result<Pruned> prune(const Retention& retention, const Moment& now);
  Result<Verification> verify() const {
    auto transaction = Transaction::begin(db, Transaction::Kind::kRead);
    if (!transaction) return failure(std::move(transaction.error()));
    return walk(db, 0);
  }
};

Ledger::Ledger(std::unique_ptr<Open> open) : open_(std::move(open)) {}
Ledger::Ledger(Ledger&&) noexcept = default;
Ledger& Ledger::operator=(Ledger&&) noexcept = default;
Ledger::~Ledger() = default;

Result<Ledger> Ledger::open(const std::string& path) {
  auto file = find_or_make(path);
  if (!file) return about(path, std::move(file.error()));
  auto db = open_checked(path);
  if (!db) return about(path, std::move(db.error()));
  auto statements = WriterStatements::prepare(*db);
  if (!statements) return about(path, std::move(statements.error()));
  return Ledger(std::make_unique<Open>(std::move(*db), std::move(*statements), Hasher(), *file));
}

Result<Ledger> Ledger::open_or_set_aside(const std::string& path, const Moment& now) {
  auto ledger = open(path);
  std::string why = "a damaged ledger was found";
  std::optional<std::string> kept;
  if (!ledger) {
    if (ledger.error().code() != Code::kInvalid) return ledger;
    why = ledger.error().text();
    auto moved = set_aside(path, now.wall);
    if (!moved) return about(path, std::move(moved.error()));
    kept = std::move(*moved);
    ledger = open(path);
    if (!ledger) return ledger;
  } else {
    // Whoever died, or found the disk full, between moving the old one and telling it, left an empty one.
    auto size = ledger->size();
    if (!size) return failure(std::move(size.error()));
    if (size->rows == 0) kept = last_set_aside(path);
  }
  if (!kept) return ledger;
  const Event told{.when = now, .kind = kind::kSetAside, .text = why + "; it is kept as " + *kept};
  auto appended = ledger->append(std::span(&told, 1));
  if (!appended) return failure(std::move(appended.error()));
  return ledger;
}

Result<Appended> Ledger::append(std::span<const Event> events) {
  if (events.empty()) return Appended{};
  auto appended = open_->append(events);
  if (!appended) return about(open_->db.path(), std::move(appended.error()));
  return appended;
}

Result<bool> Ledger::lost(const Loss& loss) {
  auto lost = open_->lost(loss);
  if (!lost) return about(open_->db.path(), std::move(lost.error()));
  return lost;
}

Result<> Ledger::add(std::span<const Slice> ten_seconds, const Sampled& sampled) {
  INVARIANT(ten_seconds.size() <= kAddedAtOnce);
  auto added = open_->in_transaction([&](const Database& db) -> Result<> {
    if (auto done = add_slices(db, ten_seconds); !done) return done;
    return keep_sampled(db, sampled);
  });
  if (!added) return about(open_->db.path(), std::move(added.error()));
  return added;
}

Result<std::int64_t> Ledger::fill(const Stretch& stretch, Sampled sampled, const Moment& now) {
  auto filled = open_->in_transaction([&](const Database& db) -> Result<> {
    auto reached = fill_slices(db, stretch, second_of(now), kFilledAtOnce);
    if (!reached) return failure(std::move(reached.error()));
    sampled.until = *reached;
    return keep_sampled(db, sampled);
  });
  if (!filled) return about(open_->db.path(), std::move(filled.error()));
  return sampled.until;
}

Result<std::optional<Sampled>> Ledger::sampled(std::uint64_t table_id) const {
  auto sampled = sampled_of(open_->db, table_id);
  if (!sampled) return about(open_->db.path(), std::move(sampled.error()));
  return sampled;
}

Result<std::optional<Sampled>> Ledger::latest_sampled() const {
  auto sampled = ledger::latest_sampled(open_->db);
  if (!sampled) return about(open_->db.path(), std::move(sampled.error()));
  return sampled;
}

Result<std::uint64_t> Ledger::position(std::uint64_t table_id) const {
  Statement& statement = open_->statements.position;
  auto row = statement.bind(table_id).step();
  if (!row) return about(open_->db.path(), std::move(row.error()));
  const std::uint64_t number = *row ? statement.number(0) : 0;
  statement.reset();
  return number;
}

Result<std::optional<Position>> Ledger::latest_position() const {
  Statement& statement = open_->statements.latest_position;
  auto row = statement.bind().step();
  if (!row) return about(open_->db.path(), std::move(row.error()));
  std::optional<Position> position;
  if (*row) position = Position{statement.number(0), statement.number(1)};
  statement.reset();
  return position;
}

Result<Pruned> Ledger::Open::prune(const Retention& retention, const Moment& now) {
  auto writing = write();
  if (!writing) return failure(std::move(writing.error()));
  const Ends ends = writing->ends();
  auto cut = plan_cut(db, ends, retention, now.wall);
  if (!cut) return failure(std::move(cut.error()));
  const std::uint64_t through = cut->through;
  if (through == ends.anchor_seq) return Pruned{};
  auto anchor = hash_at(db, through);
  if (!anchor) return failure(std::move(anchor.error()));
  auto remove = db.prepare("DELETE FROM events WHERE seq <= ?1");
  if (!remove) return failure(std::move(remove.error()));
  if (auto removed = remove->bind(through).run(); !removed) return failure(std::move(removed.error()));
  writing->move_anchor(through, *anchor);
  const std::uint64_t rows = through - ends.anchor_seq;
  auto told = writing->insert({.when = now,
                               .kind = kind::kPruned,
                               .a = static_cast<std::int64_t>(rows),
                               .b = static_cast<std::int64_t>(through),
                               .text = hex(*anchor)});
  if (!told) return failure(std::move(told.error()));
  if (auto done = writing->commit(); !done) return failure(std::move(done.error()));
  return Pruned{.rows = rows, .more = cut->more};
}

Result<Pruned> Ledger::prune(const Retention& retention, const Moment& now) {
  auto pruned = open_->prune(retention, now);
  if (!pruned) return about(open_->db.path(), std::move(pruned.error()));
  auto slices = open_->in_transaction([&](const Database& db) -> Result<> {
    auto removed = prune_slices(db, second_of(now), kPrunedAtOnce);
    if (!removed) return failure(std::move(removed.error()));
    pruned->slices = removed->slices;
    pruned->more = pruned->more || removed->more;
    return {};
  });
  if (!slices) return about(open_->db.path(), std::move(slices.error()));
  return pruned;
}

Result<Size> Ledger::size() const {
  auto size = size_of(open_->db);
  if (!size) return about(open_->db.path(), std::move(size.error()));
  return size;
}

Result<Verification> Ledger::verify() const {
  auto verified = open_->verify();
  if (!verified) return about(open_->db.path(), std::move(verified.error()));
  return verified;
}

}  // namespace nines::ledger
