#include "backup/sqlite_file.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

namespace nines::backup {
namespace {

Code code_of(int sqlite_code) {
  switch (sqlite_code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return Code::kUnavailable;
    case SQLITE_FULL: return Code::kLimit;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR: return Code::kInvalid;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH: return Code::kRefused;
    default: return Code::kIo;
  }
}

// A path as a URI: what would mean something there is escaped.
std::string uri_of(const std::string& path) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string uri = "file:";
  for (const char c : path) {
    if (c == '%' || c == '?' || c == '#') {
      const auto byte = static_cast<unsigned char>(c);
      uri += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    } else {
      uri += c;
    }
  }
  return uri;
}

struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

std::string column_text(sqlite3_stmt* statement, int column) {
  const auto* const bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement, column))};
}

// Too short for a single page: SQLite would take it for new, and remove a WAL beside it.
bool is_stub(const std::string& path) {
  constexpr off_t kPageMin = 512;
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && status.st_size < kPageMin;
}

bool is_empty_or_gone(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return errno == ENOENT;
  return status.st_size == 0;
}

std::string in_identifier_quotes(const std::string& name) {
  std::string out = "\"";
  for (const char c : name) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

}  // namespace

void Sqlite::Close::operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }

std::unexpected<Error> Sqlite::last_error(std::string_view what) const {
  return failure(code_of(sqlite3_extended_errcode(handle())), std::string(what) + ": " + sqlite3_errmsg(handle()));
}

Result<Sqlite> Sqlite::open(const std::string& path, Mode mode) {
  struct stat status{};
  if (mode != Mode::kFresh && ::stat(path.c_str(), &status) != 0) return failure(os_error(errno, path));
  const bool immutable = mode == Mode::kImmutable;
  const std::string name = immutable ? uri_of(path) + "?immutable=1" : path;
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
  if (immutable) flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX;
  if (mode == Mode::kFresh) flags |= SQLITE_OPEN_CREATE;
  sqlite3* connection = nullptr;
  // READWRITE falls back to reading only by itself where the file may not be written.
  const int opened = sqlite3_open_v2(name.c_str(), &connection, flags, nullptr);
  Sqlite database(connection);  // also a failed one has to be closed
  if (opened != SQLITE_OK) return database.last_error("open " + path);
  if (mode == Mode::kLive) {
    // Where there is no WAL yet, ours is empty: SQLite removes that one when we are the last to close.
    if (::access((path + "-wal").c_str(), F_OK) == 0)
      sqlite3_db_config(connection, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    // Another's schema must not make us run what it says.
    sqlite3_db_config(connection, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  }
  if (mode == Mode::kFresh) {
    if (auto set = database.run("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF"); !set)
      return failure(std::move(set.error()));
  }
  return database;
}

Result<> Sqlite::run(const std::string& sql) {
  if (sqlite3_exec(handle(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) return last_error(sql);
  return {};
}

Result<std::string> Sqlite::text(const std::string& sql) {
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(handle(), sql.c_str(), -1, &raw, nullptr) != SQLITE_OK) return last_error(sql);
  const Statement statement(raw);
  const int stepped = sqlite3_step(raw);
  if (stepped == SQLITE_DONE) return std::string();
  if (stepped != SQLITE_ROW) return last_error(sql);
  return column_text(raw, 0);
}

Result<> check_integrity(const std::string& path) {
  if (is_empty_or_gone(path)) return {};  // an empty file is an empty database
  auto database = Sqlite::open(path, Sqlite::Mode::kImmutable);
  if (!database) return failure(std::move(database.error()));
  const auto verdict = database->text("PRAGMA integrity_check(1)");
  if (!verdict) return failure(Code::kInvalid, "integrity_check failed: " + verdict.error().text());
  if (*verdict != "ok") return failure(Code::kInvalid, "integrity_check says: " + *verdict);
  return {};
}

Result<RowCounts> count_rows(const std::string& path) {
  RowCounts counts;
  if (is_empty_or_gone(path)) return counts;
  auto database = Sqlite::open(path, Sqlite::Mode::kImmutable);
  if (!database) return failure(std::move(database.error()));
  sqlite3_stmt* raw = nullptr;
  // Virtual tables have their rows in tables of their own, which are listed too.
  constexpr const char* kTables =
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND "
      "rootpage > 0 ORDER BY name";
  if (sqlite3_prepare_v2(database->handle(), kTables, -1, &raw, nullptr) != SQLITE_OK)
    return database->last_error("list the tables of " + path);
  const Statement statement(raw);
  int stepped = SQLITE_DONE;
  while ((stepped = sqlite3_step(raw)) == SQLITE_ROW) {
    const std::string table = column_text(raw, 0);
    const auto count = database->text("SELECT count(*) FROM " + in_identifier_quotes(table));
    if (!count) return failure(count.error());
    counts[table] = std::strtoull(count->c_str(), nullptr, 10);
  }
  if (stepped != SQLITE_DONE) return database->last_error("list the tables of " + path);
  return counts;
}

bool settle(const std::string& path) {
  const auto beside = [&](const char* ending) { return !is_empty_or_gone(path + ending); };
  if (is_empty_or_gone(path) || is_stub(path)) return !beside("-wal") && !beside("-journal");
  {
    // Not checkpointed when it closes: where that fails, SQLite would remove the WAL all the same.
    auto database = Sqlite::open(path, Sqlite::Mode::kLive);
    if (!database) return false;
    // Reading rolls a hot journal back; the checkpoint empties the WAL.
    if (!database->text("SELECT count(*) FROM sqlite_schema")) return false;
    const auto busy = database->text("PRAGMA wal_checkpoint(TRUNCATE)");
    if (!busy || *busy != "0") return false;
  }
  return !beside("-wal") && !beside("-journal");
}

}  // namespace nines::backup
