#include "cli/line_writer.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

namespace nines::cli {

struct LineWriter::Shared {
  explicit Shared(int descriptor) : fd(descriptor) {}

  void run();
  void write_all(const std::string& text);

  const int fd;         // no duplicate: the numbers after 2 are taken, or about to be (app/process_contract.h)
  bool broken = false;  // the thread's own
  std::atomic<bool> left_behind = false;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::string> queue;  // these four: guarded by mutex
  std::size_t left_out = 0;
  bool ending = false;
  bool ended = false;
};

LineWriter::LineWriter(int fd) : shared_(std::make_shared<Shared>(fd)) {
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([shared = shared_] { shared->run(); });
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

LineWriter::~LineWriter() {
  std::unique_lock guard(shared_->mutex);
  shared_->ending = true;
  shared_->changed.notify_all();
  const bool ended = shared_->changed.wait_for(guard, kPatience, [this] { return shared_->ended; });
  guard.unlock();
  if (ended) {
    thread_.join();
  } else {
    shared_->left_behind = true;
    thread_.detach();
  }
}

void LineWriter::line(std::string text) {
  {
    const std::lock_guard guard(shared_->mutex);
    if (shared_->queue.size() >= kQueueMax) {
      ++shared_->left_out;
      return;
    }
    shared_->queue.push_back(std::move(text) + "\n");
  }
  shared_->changed.notify_all();
}

void LineWriter::Shared::run() {
  std::unique_lock guard(mutex);
  while (true) {
    changed.wait(guard, [this] { return !queue.empty() || ending; });
    if (queue.empty()) break;
    const auto lines = std::exchange(queue, {});
    const std::size_t unsaid = std::exchange(left_out, 0);
    guard.unlock();
    for (const std::string& line : lines) write_all(line);
    if (unsaid > 0) write_all("… " + std::to_string(unsaid) + " lines left out: nobody read them\n");
    guard.lock();
  }
  ended = true;
  changed.notify_all();
}

void LineWriter::Shared::write_all(const std::string& text) {
  std::size_t written = 0;
  while (!broken && !left_behind && written < text.size()) {
    const ssize_t size = ::write(fd, text.data() + written, text.size() - written);
    if (size > 0) written += static_cast<std::size_t>(size);
    if (size < 0 && errno != EINTR) broken = true;
  }
}

}  // namespace nines::cli
