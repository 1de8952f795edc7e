#include "supervise/log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/check.h"
#include "supervise/log_history.h"

namespace nines::supervise {
namespace {

constexpr mode_t kMode = 0640;  // output of an AI server may quote what users sent it
constexpr off_t kTailBytes = 256 * 1024;
constexpr int kFifoBytes = 1 << 20;

struct Tail {
  std::string text;
  bool whole;  // the file has no more
};

// The last kTailBytes of a file, beginning at a line's start unless one line fills it all.
Result<Tail> read_tail(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return failure(os_error(errno, "open " + path));
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return failure(os_error(errno, "look at " + path));
  off_t at = std::max<off_t>(status.st_size - kTailBytes, 0);
  const bool cut = at > 0;
  std::string text(static_cast<std::size_t>(status.st_size - at), '\0');
  std::size_t filled = 0;
  while (filled < text.size()) {
    const ssize_t size = ::pread(file.get(), text.data() + filled, text.size() - filled, at);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return failure(os_error(errno, "read " + path));
    if (size == 0) break;
    filled += static_cast<std::size_t>(size);
    at += size;
  }
  text.resize(filled);
  const auto first_end = text.find('\n');
  if (cut && first_end != std::string::npos && first_end + 1 < text.size()) text.erase(0, first_end + 1);
  return Tail{std::move(text), !cut};
}

// Puts the last lines of `text` in front of `lines` until there are `count`.
void prepend_lines(std::string_view text, std::size_t count, std::vector<std::string>& lines) {
  std::vector<std::string> newest_first;
  if (text.ends_with('\n'))
    text.remove_suffix(1);
  else if (text.empty())
    return;
  while (lines.size() + newest_first.size() < count) {
    const auto newline = text.rfind('\n');
    const bool last = newline == std::string_view::npos;
    newest_first.emplace_back(last ? text : text.substr(newline + 1));
    if (last) break;
    text = text.substr(0, newline);
  }
  lines.insert(lines.begin(), newest_first.rbegin(), newest_first.rend());
}

// `how` is O_NOFOLLOW where a stranger might have put a link.
Result<Fd> open_fifo(const std::string& path, int flags, int how = O_NOFOLLOW) {
  Fd fifo(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK | how));
  if (!fifo) return failure(os_error(errno, "open the log pipe " + path));
  struct stat status{};
  if (::fstat(fifo.get(), &status) != 0 || !S_ISFIFO(status.st_mode))
    return failure(Code::kExists, path + " is in the way of the log pipe: remove it");
  if (::fcntl(fifo.get(), F_SETFL, flags) != 0) return failure(os_error(errno, "set up the log pipe " + path));
  return fifo;
}

}  // namespace

Result<RotatingLog> RotatingLog::open(Options options) {
  INVARIANT(options.max_bytes > 0 && options.max_files >= 1);
  RotatingLog log(std::move(options));
  if (auto opened = log.open_file(); !opened) return failure(std::move(opened.error()));
  return log;
}

void RotatingLog::append(std::string_view bytes, WallTime at, LogSpool* spool) {
  look_at_file();
  if (unreported_bytes_ > 0) {
    std::string notice = at_line_start_ ? "" : "\n";
    notice +=
        "[nines: " + std::to_string(unreported_bytes_) + " bytes of output dropped, the disk could not take them]\n";
    const auto unreported = std::exchange(unreported_bytes_, 0);
    const auto dropped = dropped_bytes_;
    append_cut(notice, at, nullptr);
    if (dropped_bytes_ != dropped) {  // still full: the notice itself is no loss
      dropped_bytes_ = dropped;
      unreported_bytes_ = unreported;
      return drop(bytes.size());
    }
  }
  append_cut(bytes, at, spool);
}

void RotatingLog::append_cut(std::string_view bytes, WallTime at, LogSpool* spool) {
  if (at_line_start_ && times_.is_full(at)) (void)rotate();
  while (!bytes.empty()) {
    const std::string_view head = head_that_fits(bytes);
    if (!head.empty()) {
      times_.note(size_, at);
      if (spool != nullptr) spool->writing(place());
      const bool written = write_all(head);
      if (spool != nullptr) spool->wrote(head.size());
      if (!written) return drop(bytes.size() - head.size());
    }
    bytes.remove_prefix(head.size());
    if (!bytes.empty() && !rotate()) return drop(bytes.size());
  }
}

// As many whole lines as the newest file still takes; part of a line only where a line cannot be kept whole.
std::string_view RotatingLog::head_that_fits(std::string_view bytes) const {
  const std::uint64_t room = options_.max_bytes - std::min(size_, options_.max_bytes);
  if (bytes.size() <= room) return bytes;
  const std::string_view head = bytes.substr(0, room);
  const auto newline = head.rfind('\n');
  if (newline != std::string_view::npos) return head.substr(0, newline + 1);
  return size_ > 0 ? std::string_view{} : head;
}

// False after it dropped and counted the part that could not be written.
bool RotatingLog::write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = file_ ? ::write(file_.get(), bytes.data(), bytes.size()) : -1;
    if (written < 0 && file_ && errno == EINTR) continue;
    if (written <= 0) {
      drop(bytes.size());
      return false;
    }
    size_ += static_cast<std::uint64_t>(written);
    at_line_start_ = bytes[static_cast<std::size_t>(written) - 1] == '\n';
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

void RotatingLog::drop(std::size_t bytes) {
  dropped_bytes_ += bytes;
  unreported_bytes_ += bytes;
}

Result<> RotatingLog::open_file() {
  Fd file(::open(options_.path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, kMode));
  if (!file) return failure(os_error(errno, "open the log " + options_.path));
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return failure(os_error(errno, "look at the log " + options_.path));
  if (!S_ISREG(status.st_mode)) return failure(Code::kExists, options_.path + " is in the way of the log: remove it");
  file_ = std::move(file);
  inode_ = status.st_ino;
  size_ = static_cast<std::uint64_t>(status.st_size);
  at_line_start_ = true;
  times_.open(options_.path, size_, modified_at(status));
  return {};
}

// Somebody who deletes a log to make room expects the next lines in a file they can find; somebody who empties it, or
// writes into it, has changed where they begin.
void RotatingLog::look_at_file() {
  struct stat status{};
  if (!file_ || ::fstat(file_.get(), &status) != 0 || status.st_nlink == 0) {
    if (!open_file()) file_.reset();
    return;
  }
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size < size_) {
    at_line_start_ = true;
    times_.open(options_.path, size, modified_at(status));
  }
  size_ = size;
}

// The fresh file is made first, under another name: if that fails, nothing has been renamed and the log goes on
// dropping, not writing into a file that counts as old. The oldest goes before it, for its space may be needed. Times
// follow their log, and the new ones are there before the new log is: whoever opens a log, then its times, and finds
// the log still under its name, has the times that belong to it (log_history.h).
bool RotatingLog::rotate() {
  const std::string fresh = options_.path + ".new";
  ::unlink(name(options_.max_files - 1).c_str());
  ::unlink(times_file_of(name(options_.max_files - 1)).c_str());
  Fd file(::open(fresh.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_TRUNC | O_CLOEXEC, kMode));
  struct stat status{};
  if (!file || ::fstat(file.get(), &status) != 0) return false;
  for (int generation = options_.max_files - 1; generation > 0; --generation) {
    const std::string times = times_file_of(name(generation));
    ::unlink(times.c_str());
    const bool moved = std::rename(name(generation - 1).c_str(), name(generation).c_str()) == 0;
    if (!moved && generation == 1 && errno != ENOENT) return false;  // ENOENT: half-way through a rotation that failed
    std::rename(times_file_of(name(generation - 1)).c_str(), times.c_str());
  }
  times_.begin(options_.path);
  if (std::rename(fresh.c_str(), options_.path.c_str()) != 0) return false;
  file_ = std::move(file);
  inode_ = status.st_ino;
  size_ = 0;
  at_line_start_ = true;
  return true;
}

std::string RotatingLog::name(int generation) const {
  return generation == 0 ? options_.path : options_.path + "." + std::to_string(generation);
}

Result<std::vector<std::string>> tail_lines(const std::string& path, std::size_t count) {
  std::vector<std::string> lines;
  auto newest = read_tail(path);
  if (!newest) return failure(std::move(newest.error()));
  prepend_lines(newest->text, count, lines);
  if (lines.size() >= count || !newest->whole) return lines;
  if (const auto older = read_tail(path + ".1")) prepend_lines(older->text, count, lines);
  return lines;
}

Result<Fd> open_log_fifo(const std::string& path) {
  if (::mkfifo(path.c_str(), 0600) != 0 && errno != EEXIST)
    return failure(os_error(errno, "make the log pipe " + path));
  auto fifo = open_fifo(path, O_NONBLOCK);
  // Room for what a replica says while no reader is there. A user's share of pipe memory may be used up: no matter.
  if (fifo) ::fcntl(fifo->get(), F_SETPIPE_SZ, kFifoBytes);
  return fifo;
}

Result<Fd> open_log_fifo_writer(const std::string& path) { return open_fifo(path, 0); }
Result<Fd> reopen_log_fifo(int fd) { return open_fifo("/proc/self/fd/" + std::to_string(fd), O_NONBLOCK, 0); }
Result<Fd> open_log_fifo_writer_of(pid_t pid, const std::string& path) {
  const std::string link = "/proc/" + std::to_string(pid) + "/fd/1";
  std::array<char, 4096> target;
  const ssize_t size = ::readlink(link.c_str(), target.data(), target.size());
  std::string_view where(target.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  constexpr std::string_view kDeleted = " (deleted)";
  if (where.ends_with(kDeleted)) where.remove_suffix(kDeleted.size());
  // A program may have put a pipe of its own there.
  if (where.substr(where.rfind('/') + 1) != std::string_view(path).substr(path.rfind('/') + 1))
    return failure(Code::kNotFound, "its output goes elsewhere");
  return open_fifo(link, 0, 0);
}

}  // namespace nines::supervise
