// SQLite as values and Results. A connection belongs to one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"

struct sqlite3;
struct sqlite3_stmt;

namespace nines::language_id {

class Statement {
 public:
  // Parameters count from 1. The text must live until reset().
  void bind(int parameter, std::string_view text);
  void bind(int parameter, double value);
  void bind(int parameter, std::int64_t value);
  // True: a row is there. False: done.
  Result<bool> step();
  // Ready for the next parameters.
  void reset();

  // Columns of the row, from 0.
  std::string text(int column) const;
  double real(int column) const;
  std::int64_t integer(int column) const;

 private:
  friend class Database;
  struct Close {
    void operator()(sqlite3_stmt* statement) const;
  };
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}
  std::unique_ptr<sqlite3_stmt, Close> statement_;
};

class Database {
 public:
  enum class Access : std::uint8_t { kExisting, kCreate };  // kCreate: its folder, too
  static Result<Database> open(const std::string& path, Access access, Duration busy_timeout);

  // One or more statements without results. Errors: kUnavailable: locked by somebody else; kLimit: the disk is full;
  // kInvalid: no database, or damaged; kIo.
  Result<> run(const char* sql);
  Result<Statement> prepare(const char* sql);

  // The file was deleted, or another stands in its place: what is written here nobody will ever read.
  bool moved();

 private:
  struct Close {
    void operator()(sqlite3* connection) const;
  };
  explicit Database(sqlite3* connection) : connection_(connection) {}
  std::unique_ptr<sqlite3, Close> connection_;
};

}  // namespace nines::language_id
