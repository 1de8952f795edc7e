#include "cli/line_writer.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace nines::cli {

LineWriter::LineWriter(int fd) : fd_(fd) {
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { run(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

LineWriter::~LineWriter() {
  {
    const std::lock_guard guard(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void LineWriter::line(std::string text) {
  {
    const std::lock_guard guard(mutex_);
    if (queue_.size() >= kQueueMax) {
      ++left_out_;
      return;
    }
    queue_.push_back(std::move(text) + "\n");
  }
  changed_.notify_one();
}

void LineWriter::run() {
  std::unique_lock guard(mutex_);
  while (true) {
    changed_.wait(guard, [this] { return !queue_.empty() || ending_; });
    if (queue_.empty()) return;
    const auto lines = std::exchange(queue_, {});
    const std::size_t left_out = std::exchange(left_out_, 0);
    guard.unlock();
    for (const std::string& line : lines) write_all(line);
    if (left_out > 0) write_all("… " + std::to_string(left_out) + " lines left out: nobody read them\n");
    guard.lock();
  }
}

void LineWriter::write_all(const std::string& text) {
  std::size_t written = 0;
  while (!broken_ && written < text.size()) {
    const ssize_t size = ::write(fd_, text.data() + written, text.size() - written);
    if (size > 0) written += static_cast<std::size_t>(size);
    if (size < 0 && errno != EINTR) broken_ = true;
  }
}

}  // namespace nines::cli
