#include "ledger/schema.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "base/fd.h"
#include "ledger/chain.h"

namespace nines::ledger {
namespace {

constexpr std::uint64_t kTailChecked = 1000;

// `about` repeats what the file's header says, so that damage to the header is told from another version.
// Exits: the table is part of their identity, because a service that begins anew on the same boot counts incarnations,
// and in a container pids, from the beginning; see Ledger::append.
constexpr const char* kSteps[] = {R"sql(
CREATE TABLE about (
  id    INTEGER PRIMARY KEY CHECK (id = 1),
  what  TEXT    NOT NULL,
  form  INTEGER NOT NULL
) STRICT;
INSERT INTO about VALUES (1, 'nines ledger', 1);

CREATE TABLE events (
  seq          INTEGER PRIMARY KEY,
  form         INTEGER NOT NULL,
  table_id     INTEGER NOT NULL,
  number       INTEGER NOT NULL,
  boot_id      TEXT    NOT NULL,
  monotonic_ns INTEGER NOT NULL,
  wall_ns      INTEGER NOT NULL,
  kind         TEXT    NOT NULL,
  target       TEXT    NOT NULL,
  pid          INTEGER NOT NULL,
  incarnation  INTEGER NOT NULL,
  a            INTEGER NOT NULL,
  b            INTEGER NOT NULL,
  text         TEXT    NOT NULL,
  hash         BLOB    NOT NULL
) STRICT;
CREATE INDEX events_by_kind ON events (kind);
CREATE INDEX events_by_target ON events (target);
CREATE UNIQUE INDEX exits_once ON events (boot_id, incarnation, target, pid, table_id)
  WHERE kind = 'exited' AND incarnation <> 0;

CREATE TABLE chain (
  id          INTEGER PRIMARY KEY CHECK (id = 1),
  anchor_seq  INTEGER NOT NULL,
  anchor_hash BLOB    NOT NULL,
  head_seq    INTEGER NOT NULL,
  head_hash   BLOB    NOT NULL
) STRICT;
INSERT INTO chain VALUES (1, 0, zeroblob(32), 0, zeroblob(32));

CREATE TABLE positions (
  table_id INTEGER PRIMARY KEY,
  number   INTEGER NOT NULL,
  seq      INTEGER NOT NULL
) STRICT;
)sql",
                                  R"sql(
CREATE TABLE slices (
  grain                INTEGER NOT NULL,
  start                INTEGER NOT NULL,
  good                 INTEGER NOT NULL,
  bad                  INTEGER NOT NULL,
  excluded             INTEGER NOT NULL,
  aborted              INTEGER NOT NULL,
  probes_good          INTEGER NOT NULL,
  probes_bad           INTEGER NOT NULL,
  up                   INTEGER NOT NULL,
  degraded             INTEGER NOT NULL,
  down                 INTEGER NOT NULL,
  maintenance_up       INTEGER NOT NULL,
  maintenance_degraded INTEGER NOT NULL,
  maintenance_down     INTEGER NOT NULL,
  latency              BLOB    NOT NULL,
  PRIMARY KEY (grain, start)
) STRICT, WITHOUT ROWID;

CREATE TABLE sampled (
  table_id INTEGER PRIMARY KEY,
  counters BLOB    NOT NULL,
  until    INTEGER NOT NULL,
  boot_id  TEXT    NOT NULL,
  written  INTEGER NOT NULL
) STRICT;
)sql"};

Result<> sync_folder_of(const std::string& path) {
  auto folder = std::filesystem::path(path).parent_path().string();
  if (folder.empty()) folder = ".";
  const Fd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return failure(os_error(errno, "write the folder " + folder));
  return {};
}

// rename(2) that never replaces. Some file systems know no flags; there, the caller looked a moment ago.
int rename_to_new(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  return ::rename(from.c_str(), to.c_str()) == 0 ? 0 : errno;
}

Result<> prepare_new(const std::string& path, std::span<const char* const> steps) {
  auto db = Database::open(path, Database::Access::kCreate);
  if (!db) return failure(std::move(db.error()));
  const std::string identity = "PRAGMA application_id = " + std::to_string(kApplicationId);
  if (auto set = db->run(identity.c_str()); !set) return set;
  if (auto made = migrate(*db, steps); !made) return made;
  auto mode = db->text("PRAGMA journal_mode = WAL");
  if (!mode) return failure(std::move(mode.error()));
  if (*mode != "wal")
    return failure(Code::kIo, "the file system cannot share memory between processes; put the state on a local disk");
  return {};
}

Error newer(std::int64_t form, std::size_t known) {
  return {Code::kRefused, "a newer nines wrote it (form " + std::to_string(form) + ", known here: " +
                              std::to_string(known) + "); run that version, or use another --state folder"};
}

}  // namespace

std::span<const char* const> schema_steps() { return kSteps; }

Result<> make_ledger(const std::string& path, std::span<const char* const> steps) {
  const std::string fresh = path + ".new";
  // What a predecessor left that died here.
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) ::unlink((fresh + suffix).c_str());
  if (auto prepared = prepare_new(fresh, steps); !prepared) {
    for (const char* suffix : {"", "-wal", "-shm", "-journal"}) ::unlink((fresh + suffix).c_str());
    return prepared;
  }
  {
    const Fd fd(::open(fresh.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd || ::fsync(fd.get()) != 0) return failure(os_error(errno, "write " + fresh));
  }
  if (const int error = rename_to_new(fresh, path); error != 0) return failure(os_error(error, "rename " + fresh));
  return sync_folder_of(path);
}

Result<> migrate(const Database& db, std::span<const char* const> steps) {
  auto form = db.integer("PRAGMA user_version");
  if (!form) return failure(std::move(form.error()));
  for (auto step = static_cast<std::size_t>(*form); step < steps.size(); ++step) {
    auto transaction = Transaction::begin(db, Transaction::Kind::kWrite);
    if (!transaction) return failure(std::move(transaction.error()));
    if (auto done = db.run(steps[step]); !done) return done;
    const std::string reached = std::to_string(step + 1);
    if (auto done = db.run(("UPDATE about SET form = " + reached + "; PRAGMA user_version = " + reached).c_str());
        !done)
      return done;
    if (auto done = transaction->commit(); !done) return done;
  }
  return {};
}

Result<> check_identity(const Database& db, std::span<const char* const> steps) {
  auto id = db.integer("PRAGMA application_id");
  if (!id) return failure(std::move(id.error()));
  auto form = db.integer("PRAGMA user_version");
  if (!form) return failure(std::move(form.error()));
  auto tables = db.integer("SELECT count(*) FROM sqlite_schema WHERE name IN ('about', 'events', 'chain')");
  if (!tables) return failure(std::move(tables.error()));
  if (*id != kApplicationId && *tables != 3)
    return failure(Code::kRefused, "it is a database of another program; move it away, or use another --state folder");
  auto what = db.text("SELECT what FROM about");
  if (!what) return failure(std::move(what.error()));
  auto said = db.integer("SELECT form FROM about");
  if (!said) return failure(std::move(said.error()));
  if (*what != "nines ledger" || *id != kApplicationId || *said != *form || *form < 1)
    return failure(Code::kInvalid, "the file is damaged: its header and its tables do not agree");
  if (static_cast<std::size_t>(*form) > steps.size()) return failure(newer(*form, steps.size()));
  return {};
}

Result<> check_health(const Database& db) {
  auto pages = db.text("PRAGMA quick_check(1)");
  if (!pages) return failure(std::move(pages.error()));
  if (*pages != "ok") return failure(Code::kInvalid, "the file is damaged (SQLite: " + *pages + ")");
  auto ends = ends_of(db);
  if (!ends) return failure(std::move(ends.error()));
  auto walked = walk(db, ends->head_seq > kTailChecked ? ends->head_seq - kTailChecked : 0);
  if (!walked) return failure(std::move(walked.error()));
  if (const auto& broken = walked->broken)
    return failure(Code::kInvalid, "the file is damaged: row " + std::to_string(broken->seq) + ": " + broken->why);
  return {};
}

}  // namespace nines::ledger
