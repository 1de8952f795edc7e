#include "database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "base/fd.h"
#include "base/text.h"

namespace nines::demo {
namespace {

using Connection = std::unique_ptr<sqlite3, decltype(&sqlite3_close_v2)>;

constexpr int kBusyMs = 2000;

std::unexpected<Error> cannot(const std::string& what, const std::string& file, sqlite3* connection) {
  return failure(Code::kIo, "cannot " + what + " " + file + ": " + sqlite3_errmsg(connection));
}

Result<Connection> open(const std::string& file, int flags) {
  sqlite3* opened = nullptr;
  const int status = sqlite3_open_v2(file.c_str(), &opened, flags, nullptr);
  Connection connection(opened, sqlite3_close_v2);  // also a failed one has to be closed
  if (status != SQLITE_OK) return cannot("open", file, opened);
  sqlite3_busy_timeout(opened, kBusyMs);
  return connection;
}

std::string text_of(sqlite3_stmt* statement, int column) {
  const auto* const text = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
  return text == nullptr ? std::string() : std::string(text);
}

Result<> bring_up_to_date(const std::string& file) {
  auto connection = open(file, SQLITE_OPEN_READWRITE);
  if (!connection) return failure(std::move(connection.error()));
  if (sqlite3_exec(connection->get(), "PRAGMA wal_checkpoint(TRUNCATE)", nullptr, nullptr, nullptr) != SQLITE_OK)
    return cannot("bring up to date", file, connection->get());
  return {};
}

}  // namespace

Result<std::vector<std::vector<std::string>>> query(const std::string& file, const std::string& sql) {
  const auto connection = open(file, SQLITE_OPEN_READONLY);
  if (!connection) return failure(connection.error());
  sqlite3_stmt* prepared = nullptr;
  sqlite3_prepare_v2(connection->get(), sql.c_str(), -1, &prepared, nullptr);
  const std::unique_ptr<sqlite3_stmt, decltype(&sqlite3_finalize)> statement(prepared, sqlite3_finalize);
  std::vector<std::vector<std::string>> rows;
  int status = prepared == nullptr ? SQLITE_ERROR : sqlite3_step(prepared);
  for (; status == SQLITE_ROW; status = sqlite3_step(prepared)) {
    std::vector<std::string>& row = rows.emplace_back();
    for (int i = 0; i < sqlite3_column_count(prepared); ++i) row.push_back(text_of(prepared, i));
  }
  if (status != SQLITE_DONE) return cannot("read", file, connection->get());
  return rows;
}

Result<Rows> rows_of(const std::string& file) {
  const auto rows = query(file, "SELECT count(*), coalesce(max(rowid), 0) FROM classifications");
  if (!rows) return failure(rows.error());
  return Rows{parse_unsigned(rows->front()[0]).value_or(0), parse_unsigned(rows->front()[1]).value_or(0)};
}

Result<std::uint64_t> rows_until(const std::string& file, std::uint64_t last) {
  const auto rows = query(file, "SELECT count(*) FROM classifications WHERE rowid <= " + std::to_string(last));
  if (!rows) return failure(rows.error());
  return parse_unsigned(rows->front()[0]).value_or(0);
}

std::string integrity_of(const std::string& file) {
  const auto rows = query(file, "PRAGMA integrity_check(1)");
  if (!rows) return rows.error().text();
  if (rows->empty()) return "nothing";
  // "*** in database main ***\nPage 7: …"
  const std::string& said = rows->front()[0];
  return said.starts_with("***") ? said.substr(std::min(said.find('\n'), said.size() - 1) + 1) : said;
}

Result<Destroyed> destroy_middle(const std::string& file) {
  if (auto done = bring_up_to_date(file); !done) return failure(std::move(done.error()));
  const Fd fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
  struct stat about{};
  if (!fd || ::fstat(fd.get(), &about) != 0) return failure(os_error(errno, "open " + file));
  const auto size = static_cast<std::uint64_t>(about.st_size);
  const Destroyed destroyed{.from = size / 4, .bytes = size / 2};
  std::array<char, 4096> noise;
  for (std::uint64_t done = 0; done < destroyed.bytes;) {
    const std::size_t part = std::min<std::uint64_t>(noise.size(), destroyed.bytes - done);
    if (::getrandom(noise.data(), part, 0) != static_cast<ssize_t>(part)) return failure(os_error(errno, "make noise"));
    const ssize_t written = ::pwrite(fd.get(), noise.data(), part, static_cast<off_t>(destroyed.from + done));
    if (written <= 0) return failure(os_error(errno, "write " + file));
    done += static_cast<std::uint64_t>(written);
  }
  return destroyed;
}

}  // namespace nines::demo
