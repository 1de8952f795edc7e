// SQLite as this module uses it: owners for its handles, and its result codes as Errors. For ledger/*.cc only.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <sqlite3.h>

#include "base/error.h"

namespace nines::ledger {

// Borrowed bytes, bound as a BLOB.
using Blob = std::span<const std::uint8_t>;

class Statement {
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

  // Forgets where it was and takes new parameters, ?1 first. Text and blobs must live until the last step.
  template <class... Values>
  Statement& bind(Values... values) {
    sqlite3_reset(statement_.get());
    int index = 0;
    (bind_one(++index, values), ...);
    return *this;
  }
  // True: there is a row; false: done. After false or an error it holds no lock any more.
  Result<bool> step();
  // For a statement that returns no rows.
  Result<> run();
  void reset() { sqlite3_reset(statement_.get()); }

  std::int64_t integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }
  std::uint64_t number(int column) const { return static_cast<std::uint64_t>(integer(column)); }
  std::string_view text(int column) const;
  Blob blob(int column) const;
  bool is_null(int column) const { return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL; }

 private:
  template <std::integral I>
  void bind_one(int index, I value) {
    sqlite3_bind_int64(statement_.get(), index, static_cast<std::int64_t>(value));
  }
  void bind_one(int index, std::string_view value) {
    sqlite3_bind_text64(statement_.get(), index, value.data() == nullptr ? "" : value.data(), value.size(),
                        SQLITE_STATIC, SQLITE_UTF8);
  }
  void bind_one(int index, Blob value) {
    sqlite3_bind_blob64(statement_.get(), index, value.data(), value.size(), SQLITE_STATIC);
  }

  struct Finalize {
    void operator()(sqlite3_stmt* s) const { sqlite3_finalize(s); }
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

class Database {
 public:
  enum class Access : std::uint8_t {
    kRead,
    kReadUnchanging,  // nobody writes it, and nothing may be created beside it
    kWrite,
    kCreate,
  };
  static Result<Database> open(const std::string& path, Access access);

  Result<Statement> prepare(std::string_view sql) const;
  // Several statements, whose rows nobody wants.
  Result<> run(const char* sql) const;
  // The first column of the first row; kInvalid if there is none.
  Result<std::int64_t> integer(std::string_view sql) const;
  Result<std::string> text(std::string_view sql) const;

  const std::string& path() const { return path_; }
  // Rows that the last statement changed.
  int changes() const { return sqlite3_changes(handle_.get()); }
  bool read_only() const { return sqlite3_db_readonly(handle_.get(), "main") == 1; }
  // Whether the last one to leave moves the write-ahead log into the file, as SQLite does by default.
  void tidy_at_close(bool wished);

 private:
  friend class Transaction;
  struct Close {
    void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
  };
  std::string path_;
  std::unique_ptr<sqlite3, Close> handle_;
};

// Undone when it dies without commit().
class Transaction {
 public:
  enum class Kind : std::uint8_t { kRead, kWrite };
  static Result<Transaction> begin(const Database& db, Kind kind);
  Transaction(Transaction&& other) noexcept : db_(std::exchange(other.db_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  Result<> commit();

 private:
  explicit Transaction(const Database& db) : db_(&db) {}
  const Database* db_;
};

}  // namespace nines::ledger
