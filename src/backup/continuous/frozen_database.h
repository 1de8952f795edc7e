// All pages of a database that others write to, as of one commit, inside one read transaction of SQLite.
//
// In WAL mode nobody waits for us; the log cannot be reset past us, so it grows by what is written meanwhile. With a
// rollback journal, writers wait until this is destroyed.
//
// Pages are read from the files themselves, as that alone says where in the log we are. That is sound, because
//   - the transaction keeps a checkpoint from bringing anything later than itself into the file, and the log from being
//     reset, so the newest frame of a page in the log, else the page in the file, is the page as of the log's end;
//   - where everything was in the file already when the transaction began, the log may be reset once. Frames that are
//     overwritten then are, for that reason, in the file as well.
//
// REQUIRES that this process has no other connection to the database: closing a file drops the locks that the process
// has on it. Errors are those of sqlite_file.h; kUnavailable: locked for `busy_max`, or it does not come to rest.
#pragma once

#include <set>
#include <string>
#include <unordered_map>

#include "backup/clock.h"
#include "backup/continuous/segment.h"
#include "backup/continuous/wal_file.h"
#include "backup/sqlite_file.h"
#include "base/fd.h"

namespace nines::backup::continuous {

// The database file as it lies there: what may be known without opening the database.
struct FileStamp {
  std::uint64_t inode = 0, bytes = 0;
  WallTime modified{};
  bool operator==(const FileStamp&) const = default;
};

struct DatabaseFile {
  FileStamp stamp;
  bool wal_mode = false;
  std::uint32_t page_size = 0;  // 0: no database yet
  std::uint32_t change_counter = 0;
};
// kNotFound; kInvalid: no database.
Result<DatabaseFile> look_at(int fd, const std::string& path);

class FrozenDatabase {
 public:
  static Result<FrozenDatabase> freeze(const std::string& path, const Clock& clock, Duration busy_max);

  const DatabaseFile& file() const { return file_; }
  std::uint32_t pages() const { return pages_; }
  const Position& position() const { return position_; }
  // Valid until the next call. REQUIRES 1 <= page <= pages().
  Result<std::string_view> page(std::uint32_t page);
  // Whether the log holds the page behind that many frames.
  bool is_behind(std::uint32_t page, std::uint64_t frames) const;

 private:
  FrozenDatabase(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  Result<> begin(const Clock& clock, Duration busy_max);
  Result<> find_pages(const Clock& clock);
  Result<bool> overlay(const WalIndexFile& index_file);

  // Descriptors before the connection, so that they are closed after it.
  Fd fd_;
  std::optional<WalIndexFile> index_file_;
  std::optional<WalFile> log_;
  std::optional<Sqlite> connection_;
  std::string path_, buffer_;
  DatabaseFile file_;
  std::uint32_t pages_ = 0;
  Position position_;
  std::unordered_map<std::uint32_t, std::uint64_t> frames_;  // of each page in the log, the newest
};

}  // namespace nines::backup::continuous
