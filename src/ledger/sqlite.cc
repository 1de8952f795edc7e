#include "ledger/sqlite.h"

#include <cctype>
#include <cerrno>
#include <cstring>
#include <utility>

#include "ledger/ledger.h"

namespace nines::ledger {
namespace {

struct Meaning {
  Code code;
  std::string_view what_to_do;
};

Meaning meaning_of(int extended) {
  if (extended == SQLITE_IOERR_SHORT_READ) return {Code::kInvalid, "the file is cut short"};
  switch (extended & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      return {Code::kUnavailable, "another program holds it; close what has it open for writing, for instance sqlite3"};
    case SQLITE_FULL: return {Code::kIo, "the disk is full; make room"};
    case SQLITE_READONLY: return {Code::kIo, "it may not be written; look at its owner and mode, and at the mount"};
    case SQLITE_CANTOPEN:
      return {Code::kIo, "it cannot be opened; look at the owner and mode of the file and its folder"};
    case SQLITE_PERM:
    case SQLITE_AUTH: return {Code::kIo, "permission denied"};
    case SQLITE_IOERR: return {Code::kIo, "the disk does not take or give it"};
    case SQLITE_NOMEM: return {Code::kIo, "not enough memory"};
    case SQLITE_INTERRUPT: return {Code::kCancelled, "interrupted"};
    // A missing table, a row that cannot be: not what was written here.
    default: return {Code::kInvalid, "the file is damaged"};
  }
}

Error error_of(sqlite3* db, int result) {
  const int extended = db != nullptr ? sqlite3_extended_errcode(db) : result;
  const Meaning meaning = meaning_of(extended);
  std::string message(meaning.what_to_do);
  message += " (SQLite: ";
  message += db != nullptr ? sqlite3_errmsg(db) : sqlite3_errstr(result);
  const int system = db != nullptr ? sqlite3_system_errno(db) : 0;
  if (meaning.code == Code::kIo && system != 0) message += std::string(": ") + std::strerror(system);
  return {meaning.code, message + ")"};
}

std::string uri_of(const std::string& path) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string uri = "file:";
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '/' || c == '.' || c == '-' || c == '_') {
      uri += c;
    } else {
      uri += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return uri + "?immutable=1";
}

}  // namespace

Result<bool> Statement::step() {
  const int result = sqlite3_step(statement_.get());
  if (result == SQLITE_ROW) return true;
  // The error's text is gone after the reset, the locks only with it.
  if (result == SQLITE_DONE) {
    sqlite3_reset(statement_.get());
    return false;
  }
  Error error = error_of(sqlite3_db_handle(statement_.get()), result);
  sqlite3_reset(statement_.get());
  return failure(std::move(error));
}

Result<> Statement::run() {
  auto row = step();
  if (!row) return failure(std::move(row.error()));
  reset();
  return {};
}

std::string_view Statement::text(int column) const {
  const auto* const bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

Blob Statement::blob(int column) const {
  const auto* const bytes = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_.get(), column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

Result<Database> Database::open(const std::string& path, Access access) {
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  switch (access) {
    case Access::kRead: flags |= SQLITE_OPEN_READONLY; break;
    case Access::kReadUnchanging: flags |= SQLITE_OPEN_READONLY | SQLITE_OPEN_URI; break;
    case Access::kWrite: flags |= SQLITE_OPEN_READWRITE; break;
    case Access::kCreate: flags |= SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE; break;
  }
  Database database;
  database.path_ = path;
  sqlite3* handle = nullptr;
  const std::string name = access == Access::kReadUnchanging ? uri_of(path) : path;
  const int result = sqlite3_open_v2(name.c_str(), &handle, flags, nullptr);
  database.handle_.reset(handle);
  if (result != SQLITE_OK) return failure(error_of(handle, result));
  constexpr auto kWait = std::chrono::duration_cast<std::chrono::milliseconds>(kBusyTimeout);
  sqlite3_busy_timeout(handle, static_cast<int>(kWait.count()));
  // Whatever is in the file, it is data: no functions hidden in its schema, and no cell beyond its page.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  if (auto set = database.run("PRAGMA cell_size_check = ON"); !set) return failure(std::move(set.error()));
  return database;
}

Result<Statement> Database::prepare(std::string_view sql) const {
  sqlite3_stmt* statement = nullptr;
  const int result = sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (result != SQLITE_OK) return failure(error_of(handle_.get(), result));
  return Statement(statement);
}

Result<> Database::run(const char* sql) const {
  const int result = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
  if (result != SQLITE_OK) return failure(error_of(handle_.get(), result));
  return {};
}

Result<std::int64_t> Database::integer(std::string_view sql) const {
  auto statement = prepare(sql);
  if (!statement) return failure(std::move(statement.error()));
  auto row = statement->step();
  if (!row) return failure(std::move(row.error()));
  if (!*row) return failure(Code::kInvalid, "the file is damaged: nothing answers " + std::string(sql));
  return statement->integer(0);
}

Result<std::string> Database::text(std::string_view sql) const {
  auto statement = prepare(sql);
  if (!statement) return failure(std::move(statement.error()));
  auto row = statement->step();
  if (!row) return failure(std::move(row.error()));
  if (!*row) return failure(Code::kInvalid, "the file is damaged: nothing answers " + std::string(sql));
  return std::string(statement->text(0));
}

void Database::tidy_at_close(bool wished) {
  sqlite3_db_config(handle_.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, wished ? 0 : 1, nullptr);
}

Result<Transaction> Transaction::begin(const Database& db, Kind kind) {
  // IMMEDIATE: who waits for the lock waits here, where nothing was read yet that could become stale.
  if (auto begun = db.run(kind == Kind::kWrite ? "BEGIN IMMEDIATE" : "BEGIN"); !begun)
    return failure(std::move(begun.error()));
  return Transaction(db);
}

Transaction::~Transaction() {
  // Some errors undo the transaction by themselves.
  if (db_ != nullptr && sqlite3_get_autocommit(db_->handle_.get()) == 0) (void)db_->run("ROLLBACK");
}

Result<> Transaction::commit() {
  auto done = db_->run("COMMIT");
  if (!done) return done;  // still open: undone by the destructor
  db_ = nullptr;
  return {};
}

}  // namespace nines::ledger
