#include "cli/log_follower.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <utility>

#include "supervise/log_file.h"

namespace nines::cli {
namespace {

off_t size_of(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 ? status.st_size : 0;
}

}  // namespace

LogFollower::LogFollower(std::string path, off_t from) : path_(std::move(path)), at_(from) { open(); }

bool LogFollower::open() {
  file_.reset(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  return static_cast<bool>(file_);
}

bool LogFollower::was_replaced() const {
  struct stat by_name{}, by_fd{};
  if (::stat(path_.c_str(), &by_name) != 0) return false;  // not yet: what we hold may still grow
  return ::fstat(file_.get(), &by_fd) != 0 || by_name.st_ino != by_fd.st_ino || by_name.st_dev != by_fd.st_dev;
}

std::vector<std::string> LogFollower::read() {
  constexpr std::size_t kPiecesMax = 16;
  std::vector<std::string> lines;
  if (!file_) {
    at_ = 0;
    if (!open()) return lines;
  }
  // Asked before reading: then whatever was written to the old file before it was replaced is read below.
  const bool replaced = was_replaced();
  for (std::size_t i = 0; i < kPiecesMax; ++i) {
    if (read_some(lines)) continue;
    if (!replaced) return lines;
    if (!partial_.empty()) end_line(lines);
    file_.reset();  // the next call begins with the new one
    return lines;
  }
  return lines;
}

bool LogFollower::read_some(std::vector<std::string>& lines) {
  struct stat status{};
  if (::fstat(file_.get(), &status) == 0 && status.st_size < at_) {
    at_ = 0;  // emptied
    partial_.clear();
  }
  std::array<char, 64 * 1024> buffer;
  ssize_t size = 0;
  do size = ::pread(file_.get(), buffer.data(), buffer.size(), at_);
  while (size < 0 && errno == EINTR);
  if (size <= 0) return false;
  at_ += size;
  take({buffer.data(), static_cast<std::size_t>(size)}, lines);
  return true;
}

void LogFollower::take(std::string_view bytes, std::vector<std::string>& lines) {
  while (!bytes.empty()) {
    const auto newline = bytes.find('\n');
    partial_ += bytes.substr(0, newline);
    if (newline != std::string_view::npos || partial_.size() >= kLineMax) end_line(lines);
    if (newline == std::string_view::npos) return;
    bytes.remove_prefix(newline + 1);
  }
}

void LogFollower::end_line(std::vector<std::string>& lines) { lines.push_back(std::exchange(partial_, {})); }

LogEnd end_of_log(const std::string& path, std::size_t lines) {
  constexpr int kTries = 5;
  LogEnd end;
  for (int i = 0; i < kTries; ++i) {
    end.size = size_of(path);
    end.lines = supervise::tail_lines(path, lines).value_or(std::vector<std::string>{});
    if (size_of(path) == end.size) break;
  }
  return end;
}

}  // namespace nines::cli
