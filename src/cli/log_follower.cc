#include "cli/log_follower.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace nines::cli {
namespace {

using supervise::generations_of, supervise::id_of, supervise::name_of_generation;

// The one after the file `mine`, of the generations from the oldest to the newest.
std::optional<int> generation_after(const std::string& path, const Fd& mine, supervise::FileId id) {
  const std::vector<int> generations = generations_of(path);
  for (auto it = generations.begin(); it != generations.end(); ++it) {
    if (id_of(name_of_generation(path, *it)) == id)
      return it + 1 == generations.end() ? std::nullopt : std::optional(it[1]);
  }
  // It is gone: removed by a person, with older ones still there, or rotated away, with all of them newer.
  struct stat status{}, other{};
  if (::fstat(mine.get(), &status) != 0) return 0;
  for (const int generation : generations) {
    if (::stat(name_of_generation(path, generation).c_str(), &other) == 0 &&
        supervise::modified_at(other) > supervise::modified_at(status))
      return generation;
  }
  return 0;
}

}  // namespace

LogFollower::LogFollower(std::string path) : path_(std::move(path)) { open_newest(); }

LogFollower::LogFollower(std::string path, supervise::LogFile file, off_t from) : path_(std::move(path)) {
  open(std::move(file), from);
}

void LogFollower::open(supervise::LogFile file, off_t from) {
  file_ = std::move(file.file);
  clock_ = supervise::LineClock(std::move(file.times));
  id_ = file.id;
  at_ = from;
}

bool LogFollower::open_newest() {
  auto newest = supervise::open_log_file(path_);
  if (newest) open(std::move(*newest), 0);
  return newest.has_value();
}

bool LogFollower::was_replaced() const {
  const auto newest = id_of(path_);
  return newest && *newest != id_;  // none: what we hold may still grow
}

// False when that did not work yet.
bool LogFollower::open_next() {
  const auto generation = generation_after(path_, file_, id_);
  auto next = generation ? supervise::open_log_file(name_of_generation(path_, *generation))
                         : failure(Code::kNotFound, "there is none");
  // Rotated again meanwhile, it may not be the one after ours: then this is for the next call.
  if (!next || generation_after(path_, file_, id_) != generation) return false;
  open(std::move(*next), 0);
  return true;
}

std::vector<LogLine> LogFollower::read() {
  constexpr std::size_t kPiecesMax = 16;
  std::vector<LogLine> lines;
  if (!file_ && !open_newest()) return lines;
  for (std::size_t i = 0; i < kPiecesMax; ++i) {
    // Asked before reading: then whatever was written to the old file before it was replaced is read below.
    const bool replaced = was_replaced();
    if (read_some(std::nullopt, lines)) continue;
    if (!replaced) return lines;
    if (!partial_.text.empty()) end_line(lines);
    if (!open_next()) return lines;
  }
  return lines;
}

bool LogFollower::read_up_to(const Mark& mark, std::vector<LogLine>& lines) {
  if (!file_ && !open_newest()) return false;
  if (id_ == mark.file && at_ >= mark.offset) return false;
  if (read_some(mark, lines)) return true;
  if (id_ == mark.file) return false;
  if (!partial_.text.empty()) end_line(lines);
  // There is a newer one, or there would be no mark in it; that it cannot be had is a rotation going on.
  constexpr int kTries = 100;
  for (int i = 0; i < kTries; ++i) {
    if (open_next()) return true;
  }
  return false;
}

std::optional<LogLine> LogFollower::take_unfinished() {
  if (partial_.text.empty()) return std::nullopt;
  return std::exchange(partial_, {});
}

bool LogFollower::read_some(const std::optional<Mark>& mark, std::vector<LogLine>& lines) {
  struct stat status{};
  if (::fstat(file_.get(), &status) == 0 && status.st_size < at_) {
    at_ = 0;  // emptied
    partial_ = {};
    clock_.rewind();
  }
  std::array<char, 64 * 1024> buffer;
  std::size_t wanted = buffer.size();
  if (mark && mark->file == id_)
    wanted = std::min(wanted, static_cast<std::size_t>(std::max<off_t>(mark->offset - at_, 0)));
  ssize_t size = 0;
  do size = ::pread(file_.get(), buffer.data(), wanted, at_);
  while (size < 0 && errno == EINTR);
  if (size <= 0) return false;
  clock_.refresh();
  take({buffer.data(), static_cast<std::size_t>(size)}, at_, lines);
  at_ += size;
  return true;
}

void LogFollower::take(std::string_view bytes, off_t from, std::vector<LogLine>& lines) {
  while (!bytes.empty()) {
    const auto newline = bytes.find('\n');
    if (partial_.text.empty()) partial_.at = clock_.at(static_cast<std::uint64_t>(from));
    partial_.text += bytes.substr(0, newline);
    if (newline != std::string_view::npos || partial_.text.size() >= kLineMax) end_line(lines);
    if (newline == std::string_view::npos) return;
    bytes.remove_prefix(newline + 1);
    from += static_cast<off_t>(newline) + 1;
  }
}

void LogFollower::end_line(std::vector<LogLine>& lines) { lines.push_back(std::exchange(partial_, {})); }

}  // namespace nines::cli
