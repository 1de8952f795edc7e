#include "database.h"

#include <sqlite3.h>

#include <filesystem>
#include <system_error>

namespace nines::language_id {
namespace {

Code code_of(int sqlite_code) {
  switch (sqlite_code & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return Code::kUnavailable;
    case SQLITE_FULL: return Code::kLimit;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR: return Code::kInvalid;
    default: return Code::kIo;
  }
}

std::unexpected<Error> last_error(sqlite3* connection) {
  return failure(code_of(sqlite3_extended_errcode(connection)), sqlite3_errmsg(connection));
}

}  // namespace

void Statement::Close::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
void Database::Close::operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }

void Statement::bind(int parameter, std::string_view text) {
  sqlite3_bind_text64(statement_.get(), parameter, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
}
void Statement::bind(int parameter, double value) { sqlite3_bind_double(statement_.get(), parameter, value); }
void Statement::bind(int parameter, std::int64_t value) { sqlite3_bind_int64(statement_.get(), parameter, value); }

Result<bool> Statement::step() {
  switch (sqlite3_step(statement_.get())) {
    case SQLITE_ROW: return true;
    case SQLITE_DONE: return false;
    default: return last_error(sqlite3_db_handle(statement_.get()));
  }
}

void Statement::reset() {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
}

std::string Statement::text(int column) const {
  const auto* const bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}
double Statement::real(int column) const { return sqlite3_column_double(statement_.get(), column); }
std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }

Result<Database> Database::open(const std::string& path, Access access, Duration busy_timeout) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (access == Access::kCreate && !folder.empty()) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) return failure(os_error(error.value(), "folder " + folder.string()));
  }
  sqlite3* connection = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (access == Access::kCreate ? SQLITE_OPEN_CREATE : 0);
  const int opened = sqlite3_open_v2(path.c_str(), &connection, flags, nullptr);
  Database database(connection);  // also a failed one has to be closed
  if (opened != SQLITE_OK) return last_error(connection);
  sqlite3_busy_timeout(connection, static_cast<int>(busy_timeout / 1ms));
  return database;
}

Result<> Database::run(const char* sql) {
  if (sqlite3_exec(connection_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK)
    return last_error(connection_.get());
  return {};
}

Result<Statement> Database::prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(connection_.get(), sql, -1, &statement, nullptr) != SQLITE_OK) {
    return last_error(connection_.get());
  }
  return Statement(statement);
}

bool Database::moved() {
  int moved = 0;
  const int asked = sqlite3_file_control(connection_.get(), "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  return asked == SQLITE_OK && moved != 0;
}

}  // namespace nines::language_id
