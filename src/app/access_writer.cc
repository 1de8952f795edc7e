#include "app/access_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "net/epoll_loop.h"

namespace nines::app {
namespace {

constexpr mode_t kMode = 0640;  // paths may quote what users sent
// Between two batches: a line is on the disk soon, and a busy gateway writes many at once.
constexpr auto kPause = std::chrono::milliseconds(100);

std::uint64_t lines_in(std::string_view text) { return static_cast<std::uint64_t>(std::ranges::count(text, '\n')); }

}  // namespace

bool SharedLog::open() {
  file_ = Fd(::open(options_.path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, kMode));
  struct stat status{};
  if (file_ && ::fstat(file_.get(), &status) == 0 && S_ISREG(status.st_mode)) return true;
  file_.reset();
  return false;
}

// The file under the name is the one that is open.
bool SharedLog::is_current() const {
  struct stat here{}, there{};
  return file_ && ::fstat(file_.get(), &here) == 0 && ::stat(options_.path.c_str(), &there) == 0 &&
         here.st_ino == there.st_ino && here.st_dev == there.st_dev;
}

// Whoever finds the lock taken, or the file no longer under its name, has come too late: it is rotated already, or just
// now, and the lines may as well go into the old one.
bool SharedLog::rotate() {
  if (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) return true;
  if (!is_current()) return open();
  const auto name = [&](int generation) {
    return generation == 0 ? options_.path : options_.path + "." + std::to_string(generation);
  };
  for (int generation = options_.max_files - 1; generation > 0; --generation) {
    if (std::rename(name(generation - 1).c_str(), name(generation).c_str()) != 0 && errno != ENOENT) break;
  }
  return open();  // closes the old one, and so gives its lock back
}

std::uint64_t SharedLog::append(std::string_view lines) {
  struct stat status{};
  bool ready = is_current() || open();
  if (ready && ::fstat(file_.get(), &status) == 0 && status.st_size > 0 &&
      static_cast<std::uint64_t>(status.st_size) + lines.size() > options_.max_bytes)
    ready = rotate();
  if (ready && torn_) {
    ready = ::write(file_.get(), "\n", 1) == 1;
    torn_ = !ready;
  }
  while (ready && !lines.empty()) {
    const ssize_t written = ::write(file_.get(), lines.data(), lines.size());
    if (written < 0 && errno == EINTR) continue;
    ready = written > 0;
    if (!ready) break;
    torn_ = lines[static_cast<std::size_t>(written) - 1] != '\n';
    lines.remove_prefix(static_cast<std::size_t>(written));
  }
  return lines_in(lines);
}

AccessWriter::AccessWriter(gateway::AccessLogged what, SharedLog::Options file, std::size_t workers,
                           std::function<void(std::uint64_t)> dropped)
    : file_(std::move(file)), dropped_(std::move(dropped)) {
  const auto wake = [this] {
    const std::scoped_lock lock(mutex_);
    something_ = true;
    wake_.notify_one();
  };
  for (std::size_t i = 0; i < workers; ++i)
    logs_.push_back(std::make_unique<gateway::AccessLog>(gateway::AccessLog::Options{.what = what, .on_first = wake}));
  if (what != gateway::AccessLogged::kNone) thread_ = std::thread([this] { run(); });
}

AccessWriter::~AccessWriter() {
  {
    const std::scoped_lock lock(mutex_);
    ends_ = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void AccessWriter::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return something_ || ends_; });
    something_ = false;
    const bool last = ends_;
    lock.unlock();
    write();
    lock.lock();
    if (last) return;
    wake_.wait_for(lock, kPause, [this] { return ends_; });
  }
}

void AccessWriter::write() {
  batch_.clear();
  for (const auto& log : logs_) {
    lines_.clear();
    log->take(lines_);
    batch_ += lines_;
  }
  if (!batch_.empty()) lost_ += file_.append(batch_);
  report_dropped();
}

void AccessWriter::report_dropped() {
  std::uint64_t all = lost_;
  for (const auto& log : logs_) all += log->dropped();
  if (all > told_ && dropped_) dropped_(all - told_);
  told_ = all;
  if (all == reported_) return;
  const std::string line =
      "{\"time\":\"" + format_rfc3339(net::wall_time()) + "\",\"dropped\":" + std::to_string(all - reported_) + "}\n";
  if (file_.append(line) == 0) reported_ = all;  // else the notice itself is no loss
}

}  // namespace nines::app
