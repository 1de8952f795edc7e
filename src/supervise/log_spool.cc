#include "supervise/log_spool.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace nines::supervise {
namespace {

constexpr std::uint64_t kMagic = 0x316c6f6f70736e39;  // "9nspool1"
constexpr mode_t kMode = 0600;

struct Header {
  std::uint64_t magic = kMagic;
  std::uint64_t from = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
};
static_assert(sizeof(Header) == 32);
constexpr off_t kHeaderBytes = sizeof(Header);

// As much of `text` as there is from `offset` on.
std::size_t read_at(int file, char* text, std::size_t size, off_t offset) {
  std::size_t filled = 0;
  while (filled < size) {
    const ssize_t n = ::pread(file, text + filled, size - filled, offset + static_cast<off_t>(filled));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    filled += static_cast<std::size_t>(n);
  }
  return filled;
}

}  // namespace

Result<LogSpool> LogSpool::open(const std::string& path) {
  LogSpool spool;
  spool.file_.reset(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kMode));
  if (!spool.file_) return failure(os_error(errno, "open the log spool " + path));
  struct stat status{};
  if (::fstat(spool.file_.get(), &status) != 0 || !S_ISREG(status.st_mode))
    return failure(Code::kExists, path + " is in the way of the log spool: remove it");
  Header header;
  const bool whole = read_at(spool.file_.get(), reinterpret_cast<char*>(&header), sizeof header, 0) == sizeof header;
  if (whole && header.magic == kMagic) {
    spool.bytes_.resize(kSpoolBytes);
    spool.bytes_.resize(read_at(spool.file_.get(), spool.bytes_.data(), kSpoolBytes, kHeaderBytes));
    spool.from_ = std::min<std::size_t>(header.from, spool.bytes_.size());
    spool.left_for_ = {.inode = header.inode, .size = header.size};
  }
  spool.safe_ = true;
  if (spool.bytes_.empty()) spool.clear();
  return spool;
}

std::string_view LogSpool::left(Place log) {
  // Another file, or one that was emptied: where the log was is another one now, and has none of them.
  if (left_for_.inode != 0 && left_for_.inode == log.inode && log.size >= left_for_.size)
    from_ = std::min<std::size_t>(from_ + (log.size - left_for_.size), bytes_.size());
  left_for_ = {};
  return std::string_view(bytes_).substr(from_);
}

std::string_view LogSpool::take(int pipe) {
  if (!file_) return read_pipe(pipe);
  ssize_t size = 0;
  off_t offset = kHeaderBytes;
  do size = ::splice(pipe, nullptr, file_.get(), &offset, kSpoolBytes, SPLICE_F_NONBLOCK);
  while (size < 0 && errno == EINTR);
  if (size < 0 && errno != EAGAIN) return read_pipe(pipe);
  bytes_.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  bytes_.resize(read_at(file_.get(), bytes_.data(), bytes_.size(), kHeaderBytes));
  safe_ = true;
  return bytes_;
}

std::string_view LogSpool::read_pipe(int pipe) {
  bytes_.resize(kSpoolBytes);
  ssize_t size = 0;
  do size = ::read(pipe, bytes_.data(), bytes_.size());
  while (size < 0 && errno == EINTR);
  bytes_.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  safe_ = false;
  return bytes_;
}

void LogSpool::writing(Place log) {
  if (safe_) save(log);
}

void LogSpool::wrote(std::size_t bytes) {
  from_ += bytes;
  // Before the log is rotated; after the last byte clear() follows, and until then the log's size says the same.
  if (safe_ && from_ < bytes_.size()) save({});
}

// In this order: a spool without bytes has nothing left, whatever it says.
void LogSpool::clear() {
  from_ = 0;
  bytes_.clear();
  if (!file_ || !safe_) return;
  (void)::ftruncate(file_.get(), kHeaderBytes);
  save({});
}

// Into the page cache of a file that has its size: this does not fail where writing the bytes did not.
void LogSpool::save(Place log) {
  const Header header{.from = from_, .inode = log.inode, .size = log.size};
  (void)::pwrite(file_.get(), &header, sizeof header, 0);
}

}  // namespace nines::supervise
