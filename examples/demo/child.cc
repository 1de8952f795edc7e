#include "child.h"

#include <fcntl.h>

#include <array>
#include <cerrno>

namespace nines::demo {
namespace {

// What is there now: whoever the child left running may hold the other end open.
std::string read_available(int fd) {
  std::string text;
  std::array<char, 4096> buffer;
  while (true) {
    const ssize_t size = ::read(fd, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(size));
  }
}

}  // namespace

Result<std::unique_ptr<Child>> Child::start(net::EpollLoop& loop, std::vector<std::string> argv,
                                            std::string directory) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return failure(os_error(errno, "make a pipe"));
  Fd reader(ends[0]), writer(ends[1]);
  ::fcntl(reader.get(), F_SETFL, O_NONBLOCK);
  auto process =
      supervise::spawn({.argv = std::move(argv), .directory = std::move(directory), .log = writer.get(), .tag = ""});
  if (!process) return failure(std::move(process.error()));
  return std::unique_ptr<Child>(new Child(loop, std::move(*process), std::move(reader)));
}

Task<Result<Child::Ended>> Child::ended() {
  net::FdEvent gone(loop_, process_.pidfd());
  while (true) {
    if (const auto exit = process_.try_reap()) {
      const bool by_itself = exit->kind == supervise::Exit::Kind::kStatus;
      co_return Ended{by_itself ? exit->value : 128 + exit->value, read_available(output_.get())};
    }
    if (auto waited = co_await gone.readable(); !waited) co_return failure(waited.error());
  }
}

}  // namespace nines::demo
