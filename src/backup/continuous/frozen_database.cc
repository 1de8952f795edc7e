#include "backup/continuous/frozen_database.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <vector>

#include "backup/continuous/bytes.h"
#include "base/check.h"

namespace nines::backup::continuous {
namespace {

constexpr Duration kBetweenTries = 1ms;
constexpr int kTries = 2000;

Result<std::size_t> read_at(int fd, std::span<char> to, std::uint64_t offset, const std::string& path) {
  std::size_t done = 0;
  while (done < to.size()) {
    const ssize_t got = ::pread(fd, to.data() + done, to.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure(os_error(errno, "read " + path));
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

}  // namespace

Result<DatabaseFile> look_at(int fd, const std::string& path) {
  // https://www.sqlite.org/fileformat2.html#the_database_header
  constexpr std::string_view kMagic("SQLite format 3\0", 16);
  struct stat status{};
  if (::fstat(fd, &status) != 0) return failure(os_error(errno, "look at " + path));
  DatabaseFile file{.stamp = {.inode = status.st_ino,
                              .bytes = static_cast<std::uint64_t>(status.st_size),
                              .modified = WallTime(std::chrono::seconds(status.st_mtim.tv_sec) +
                                                   std::chrono::nanoseconds(status.st_mtim.tv_nsec))}};
  std::array<char, 100> bytes{};
  const auto got = read_at(fd, bytes, 0, path);
  if (!got) return failure(got.error());
  if (*got == 0) return file;
  const std::string_view header(bytes.data(), *got);
  if (!header.starts_with(kMagic) || header.size() < bytes.size())
    return failure(Code::kInvalid, path + " is no SQLite database");
  const auto size =
      static_cast<std::uint32_t>(static_cast<unsigned char>(header[16]) << 8 | static_cast<unsigned char>(header[17]));
  file.page_size = size == 1 ? 65536 : size;
  if (!is_page_size(file.page_size)) return failure(Code::kInvalid, path + " has a page size that is none");
  file.wal_mode = header[19] == 2;
  file.change_counter = big_endian_32(header, 24);
  return file;
}

Result<FrozenDatabase> FrozenDatabase::freeze(const std::string& path, const Clock& clock, Duration busy_max) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return failure(os_error(errno, path));
  FrozenDatabase frozen(std::move(fd), path);
  if (auto begun = frozen.begin(clock, busy_max); !begun) return failure(std::move(begun.error()));
  if (auto found = frozen.find_pages(clock); !found) return failure(std::move(found.error()));
  return frozen;
}

Result<> FrozenDatabase::begin(const Clock& clock, Duration busy_max) {
  auto connection = Sqlite::open(path_, Sqlite::Mode::kLive);
  if (!connection) return failure(std::move(connection.error()));
  connection_ = std::move(*connection);
  for (const Instant began = clock.boot();;) {
    if (auto begun = connection_->run("BEGIN"); !begun) return begun;
    const auto schema = connection_->text("SELECT count(*) FROM sqlite_schema");
    if (schema) return {};
    (void)connection_->run("ROLLBACK");
    if (schema.error().code() != Code::kUnavailable) return failure(schema.error());
    if (clock.boot() - began > busy_max)
      return failure(Code::kUnavailable, path_ + " was locked by another process for " + format_duration(busy_max) +
                                             "; an application with PRAGMA locking_mode=EXCLUSIVE never lets go");
    clock.pause(kBetweenTries);
  }
}

Result<> FrozenDatabase::find_pages(const Clock& clock) {
  const auto count = connection_->text("PRAGMA page_count");
  const auto mode = connection_->text("PRAGMA journal_mode");
  if (!count || !mode) return failure(count ? mode.error() : count.error());
  pages_ = static_cast<std::uint32_t>(std::strtoul(count->c_str(), nullptr, 10));
  auto looked = look_at(fd_.get(), path_);
  if (!looked) return failure(std::move(looked.error()));
  file_ = *looked;
  if (*mode != "wal") {
    position_ = {.kind = Position::Kind::kRollback, .wal = {}, .change_counter = file_.change_counter};
    return {};
  }
  index_file_.emplace(path_);
  for (int tries = 0; tries < kTries; ++tries) {
    const auto done = overlay(*index_file_);
    if (!done) return failure(done.error());
    if (*done) return {};
    clock.pause(kBetweenTries);
  }
  return failure(Code::kUnavailable, "the write-ahead log of " + path_ + " does not come to rest; trying again later");
}

// False: somebody is just changing what has to fit together.
Result<bool> FrozenDatabase::overlay(const WalIndexFile& index_file) {
  WalIndex index;
  if (index_file.read(index) != WalIndexState::kThere) return false;
  if (index.frames == 0) {
    position_ = {.kind = Position::Kind::kWalEmpty, .wal = {.salt1 = index.salt1, .salt2 = index.salt2}};
    return true;
  }
  auto log = WalFile::open(path_);
  if (!log) return log.error().code() == Code::kNotFound ? Result<bool>(false) : failure(std::move(log.error()));
  const auto header = log->header();
  if (!header) return failure(header.error());
  if (!*header || (*header)->salt1 != index.salt1 || (*header)->salt2 != index.salt2) return false;
  WalScanner scanner(**header, start_of(**header));
  std::unordered_map<std::uint32_t, std::uint64_t> newest;
  std::uint32_t pages = 0;
  while (scanner.place().frames < index.frames) {
    const auto bytes = log->frame(scanner.place().frames, (*header)->page_size);
    if (!bytes) return failure(bytes.error());
    const auto frame = scanner.next(*bytes);
    if (!frame) return false;
    newest[frame->page] = scanner.place().frames - 1;
    if (frame->commits()) pages = frame->database_pages;
  }
  if (scanner.committed() != scanner.place()) return false;
  file_.page_size = (*header)->page_size;
  pages_ = pages;
  frames_ = std::move(newest);
  position_ = {.kind = Position::Kind::kWal, .wal = scanner.place()};
  log_ = std::move(*log);
  return true;
}

Result<std::string_view> FrozenDatabase::page(std::uint32_t page) {
  INVARIANT(page >= 1 && page <= pages_);
  if (const auto found = frames_.find(page); found != frames_.end()) {
    buffer_.resize(kFrameHeaderBytes + file_.page_size);
    if (auto got = log_->frame_uncached(found->second, buffer_); !got) return failure(got.error());
    const std::string_view frame(buffer_);
    const bool still = big_endian_32(frame, 0) == page && big_endian_32(frame, 8) == position_.wal.salt1 &&
                       big_endian_32(frame, 12) == position_.wal.salt2;
    if (still) return frame.substr(kFrameHeaderBytes);
    // The log was reset: then it is in the file.
  }
  buffer_.resize(file_.page_size);
  const auto got = read_at(fd_.get(), buffer_, std::uint64_t{page - 1} * file_.page_size, path_);
  if (!got) return failure(got.error());
  if (*got < buffer_.size())
    return failure(Code::kInvalid, path_ + " ends before its page " + std::to_string(page) + ": it is damaged");
  return std::string_view(buffer_);
}

bool FrozenDatabase::is_behind(std::uint32_t page, std::uint64_t frames) const {
  const auto found = frames_.find(page);
  return found != frames_.end() && found->second >= frames;
}

}  // namespace nines::backup::continuous
