// An SQLite file that belongs to somebody else, or the copy of one. Everything blocks; a connection is used by one
// thread. Errors: kNotFound; kUnavailable: locked by another process; kInvalid: no database, or a damaged one; kLimit:
// the disk is full; kRefused: not readable; kIo.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/time.h"

struct sqlite3;

namespace nines::backup {

class Sqlite {
 public:
  enum class Mode : std::uint8_t {
    kLive,       // of an application: locks are respected, and its WAL is not checkpointed when we close. Writable
                 // where permitted, as a WAL without any open connection can only be read by who may recover it
    kImmutable,  // a copy nobody writes to: no locks, no files beside it
    kFresh,      // to be written as a whole: no journal, no syncs
  };
  static Result<Sqlite> open(const std::string& path, Mode mode);

  sqlite3* handle() const { return connection_.get(); }
  Result<> run(const std::string& sql);
  // The first column of the first row; empty without a row.
  Result<std::string> text(const std::string& sql);
  std::unexpected<Error> last_error(std::string_view what) const;

 private:
  struct Close {
    void operator()(sqlite3* connection) const;
  };
  explicit Sqlite(sqlite3* connection) : connection_(connection) {}
  std::unique_ptr<sqlite3, Close> connection_;
};

// SQLite's own verdict on every page, row and index of a copy. kInvalid: what it said first.
Result<> check_integrity(const std::string& path);

// How many rows each table has. Reads all of it.
using RowCounts = std::map<std::string, std::uint64_t>;
Result<RowCounts> count_rows(const std::string& path);

// Brings what is in its -wal or -journal into the file itself, so that the file alone is the database. False: that was
// not possible (a damaged database), and nothing was lost: they are all still there. REQUIRES that nobody has it open.
bool settle(const std::string& path);

}  // namespace nines::backup
