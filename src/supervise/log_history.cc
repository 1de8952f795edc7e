#include "supervise/log_history.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/text.h"
#include "supervise/log_times.h"

namespace nines::supervise {
namespace {

constexpr int kTries = 20;        // a rotation takes microseconds, and the next one is far
constexpr Duration kTick = 10ms;  // files get their mtime from a clock that may be so far behind
constexpr std::size_t kBlock = 64 * 1024;

TimesReader times_of(const LogFile& log) {
  return TimesReader(log.times ? Fd(::fcntl(log.times.get(), F_DUPFD_CLOEXEC, 3)) : Fd());
}

// Short at the end of the file, and where it cannot be read.
std::string_view read_at(const Fd& file, off_t at, std::size_t size, std::array<char, kBlock>& buffer) {
  std::size_t filled = 0;
  while (filled < size) {
    const ssize_t got = ::pread(file.get(), buffer.data() + filled, size - filled, at + static_cast<off_t>(filled));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    filled += static_cast<std::size_t>(got);
  }
  return {buffer.data(), filled};
}

// Where the lines before `end` begin, last one first, until `wanted` says that it is this one; nullopt when it never
// does.
template <class Wanted>
std::optional<off_t> find_line_start(const LogFile& log, off_t end, Wanted wanted) {
  std::array<char, kBlock> buffer;
  // The newline before `end` ends the last line and begins none.
  off_t at = end - 1;
  while (at > 0) {
    const off_t from = std::max<off_t>(at - static_cast<off_t>(kBlock), 0);
    std::string_view text = read_at(log.file, from, static_cast<std::size_t>(at - from), buffer);
    for (auto newline = text.rfind('\n'); newline != std::string_view::npos; newline = text.rfind('\n')) {
      if (wanted()) return from + static_cast<off_t>(newline) + 1;
      text = text.substr(0, newline);
    }
    at = from;
  }
  if (end > 0 && wanted()) return 0;
  return std::nullopt;
}

// The start of the line that has the byte at `offset`.
off_t start_of_line(const LogFile& log, off_t offset) {
  return find_line_start(log, offset + 1, [] { return true; }).value_or(0);
}

// `offset`, or the end of the line it is in the middle of.
off_t end_of_line(const LogFile& log, off_t offset) {
  if (offset == 0) return 0;
  std::array<char, kBlock> buffer;
  for (off_t at = offset - 1; at < log.size; at += static_cast<off_t>(kBlock)) {
    const auto newline = read_at(log.file, at, kBlock, buffer).find('\n');
    if (newline != std::string_view::npos) return std::min(at + static_cast<off_t>(newline) + 1, log.size);
  }
  return log.size;
}

// Where the first bytes are that may have been written at `t` or later.
std::optional<off_t> bytes_since(const LogFile& log, WallTime t) {
  TimesReader times = times_of(log);
  std::optional<TimeRecord> before;
  for (auto record = times.next(); record && static_cast<off_t>(record->offset) < log.size; record = times.next()) {
    if (!before && record->offset > 0 && record->at + kTick > t) return 0;
    if (before && before->at + kTimesSpan > t && record->offset > before->offset)
      return static_cast<off_t>(before->offset);
    before = record;
  }
  WallTime last = log.modified + kTick;
  if (before) last = std::max(last, before->at + kTimesSpan);
  if (log.size == 0 || last <= t) return std::nullopt;
  return before ? static_cast<off_t>(before->offset) : 0;
}

// Where the last bytes end that may have been written at `t` or earlier; 0 when all came later.
off_t bytes_until(const LogFile& log, WallTime t) {
  TimesReader times = times_of(log);
  off_t end = 0;
  bool within = true;  // what has no time
  for (auto record = times.next(); record && static_cast<off_t>(record->offset) < log.size; record = times.next()) {
    if (within) end = static_cast<off_t>(record->offset);
    within = record->at <= t;
  }
  return within ? log.size : end;
}

// Those that are there, each once. nullopt when one was renamed meanwhile.
std::optional<std::vector<LogFile>> open_all(const std::string& path, bool must_agree) {
  std::vector<LogFile> files;
  const std::vector<int> generations = generations_of(path);
  std::vector<int> opened;
  for (const int generation : generations) {
    auto log = open_log_file(name_of_generation(path, generation));
    if (!log && must_agree) return std::nullopt;
    if (!log || std::ranges::find(files, log->id, &LogFile::id) != files.end()) continue;
    files.push_back(std::move(*log));
    opened.push_back(generation);
  }
  if (!must_agree) return files;
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (id_of(name_of_generation(path, opened[i])) != files[i].id) return std::nullopt;
  }
  if (files.size() != generations.size() || generations_of(path) != generations) return std::nullopt;
  return files;
}

}  // namespace

FileId id_of(const struct stat& status) { return {status.st_dev, status.st_ino}; }

WallTime modified_at(const struct stat& status) {
  return WallTime{} + std::chrono::seconds(status.st_mtim.tv_sec) + std::chrono::nanoseconds(status.st_mtim.tv_nsec);
}

std::optional<FileId> id_of(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 ? std::optional(id_of(status)) : std::nullopt;
}

Result<LogFile> open_log_file(const std::string& path) {
  for (int i = 0; i < kTries; ++i) {
    LogFile log;
    log.file.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!log.file) return failure(os_error(errno, "open " + path));
    log.times.reset(::open(times_file_of(path).c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status{};
    if (::fstat(log.file.get(), &status) != 0) return failure(os_error(errno, "look at " + path));
    log.id = id_of(status);
    log.size = status.st_size;
    log.modified = modified_at(status);
    // Else the times may be those of another one (see RotatingLog::rotate()).
    if (id_of(path) == log.id) return log;
  }
  return failure(Code::kUnavailable, path + " is being rotated all the time");
}

std::string name_of_generation(const std::string& path, int generation) {
  return generation == 0 ? path : path + "." + std::to_string(generation);
}

std::vector<int> generations_of(const std::string& path) {
  const std::filesystem::path whole(path);
  const std::string prefix = whole.filename().native() + ".";
  std::vector<int> generations;
  std::error_code error;
  const std::filesystem::path folder = whole.has_parent_path() ? whole.parent_path() : ".";
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().native();
    if (name + "." == prefix) generations.push_back(0);
    if (!name.starts_with(prefix)) continue;
    const auto number = parse_unsigned(std::string_view(name).substr(prefix.size()));
    if (number && *number > 0 && *number < 1'000'000) generations.push_back(static_cast<int>(*number));
  }
  std::ranges::sort(generations, std::greater{});
  return generations;
}

Result<LogHistory> LogHistory::open(const std::string& path) {
  std::optional<std::vector<LogFile>> files;
  for (int i = 0; i < kTries && !files; ++i) files = open_all(path, true);
  if (!files) files = open_all(path, false);
  if (files->empty()) return failure(Code::kNotFound, "there is no log " + path);
  return LogHistory(std::move(*files));
}

LogHistory::Place LogHistory::end() const { return {files_.size() - 1, files_.back().size}; }

LogHistory::Place LogHistory::since(WallTime t) const {
  for (std::size_t i = 0; i < files_.size(); ++i) {
    if (const auto offset = bytes_since(files_[i], t)) return {i, start_of_line(files_[i], *offset)};
  }
  return end();
}

LogHistory::Place LogHistory::until(WallTime t) const {
  for (std::size_t i = files_.size(); i-- > 0;) {
    if (const off_t offset = bytes_until(files_[i], t); offset > 0) return {i, end_of_line(files_[i], offset)};
  }
  return {0, 0};
}

LogHistory::Place LogHistory::tail(Place end, std::size_t count) const {
  if (count == 0) return end;
  for (std::size_t i = end.file + 1; i-- > 0;) {
    const off_t size = i == end.file ? end.offset : files_[i].size;
    if (const auto start = find_line_start(files_[i], size, [&] { return --count == 0; })) return {i, *start};
  }
  return {0, 0};
}

}  // namespace nines::supervise
