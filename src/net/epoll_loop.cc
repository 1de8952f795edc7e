#include "net/epoll_loop.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <csignal>
#include <ctime>

#include "net/readiness_stream.h"

namespace nines::net {
namespace {

Duration read_clock(clockid_t id) {
  timespec t{};
  clock_gettime(id, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}

class SocketStream final : public ReadinessStream, private EpollLoop::Pollable {
 public:
  enum class Phase : std::uint8_t { kConnecting, kConnected };
  SocketStream(EpollLoop& loop, Fd fd, Address peer, Phase phase)
      : ReadinessStream(loop), epoll_(loop), fd_(std::move(fd)), peer_(peer) {
    if (phase == Phase::kConnecting) expect_announcement();
    if (!peer_.is_unix()) {
      const int on = 1;
      setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    epoll_.add(fd_.get(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, *this);
  }
  ~SocketStream() override { epoll_.remove(fd_.get()); }

  void end_writing() override { ::shutdown(fd_.get(), SHUT_WR); }
  void reset() override {
    const linger hard{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    // Disconnecting sends the reset now, while the descriptor stays ours until we are destroyed.
    sockaddr none{.sa_family = AF_UNSPEC, .sa_data = {}};
    if (peer_.is_unix() || ::connect(fd_.get(), &none, sizeof none) != 0) ::shutdown(fd_.get(), SHUT_RDWR);
    fail_pending(Code::kClosed, "connection reset by us");
  }
  const Address& peer() const override { return peer_; }

 private:
  Attempt try_read(std::span<char> into) override {
    ssize_t n;
    do n = ::recv(fd_.get(), into.data(), into.size(), 0);
    while (n < 0 && errno == EINTR);
    if (n >= 0) {
      // A short read has drained the socket: the next byte will be announced, so no second read to learn EAGAIN.
      return {.bytes = static_cast<std::size_t>(n), .blocked = n > 0 && static_cast<std::size_t>(n) < into.size()};
    }
    if (errno == EAGAIN) return {.blocked = true};
    return {.error = errno};
  }

  Attempt try_peek() override {
    char byte;
    const ssize_t n = ::recv(fd_.get(), &byte, 1, MSG_PEEK);
    return {.blocked = n < 0 && errno == EAGAIN};  // an error is something to read, too
  }

  Attempt try_write(std::span<const std::string_view> parts) override {
    // Copying a little into one piece costs less than having the kernel gather it.
    constexpr std::size_t kCopiedMax = 2048;
    std::array<char, kCopiedMax> copied;
    std::size_t wanted = 0;
    for (const std::string_view part : parts) wanted += part.size();
    ssize_t n;
    if (wanted <= kCopiedMax) {
      std::size_t at = 0;
      for (const std::string_view part : parts) at += part.copy(copied.data() + at, part.size());
      do n = ::send(fd_.get(), copied.data(), wanted, MSG_NOSIGNAL);
      while (n < 0 && errno == EINTR);
    } else {
      n = gather(parts);
    }
    if (n >= 0) return {.bytes = static_cast<std::size_t>(n), .blocked = static_cast<std::size_t>(n) < wanted};
    if (errno == EAGAIN) return {.blocked = true};
    return {.error = errno};
  }

  ssize_t gather(std::span<const std::string_view> parts) {
    std::array<iovec, WriteOp::kPartsMax> vectors;
    for (std::size_t i = 0; i < parts.size(); ++i)
      vectors[i] = {.iov_base = const_cast<char*>(parts[i].data()), .iov_len = parts[i].size()};
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = parts.size();
    ssize_t n;
    do n = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n;
  }

  void on_events(std::uint32_t events) override {
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) announce_peer_closed();
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) announce_readable();
    if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) announce_writable();
  }

  EpollLoop& epoll_;
  Fd fd_;
  Address peer_;
};

class SocketListener final : public Listener, private EpollLoop::Pollable {
 public:
  SocketListener(EpollLoop& loop, int fd, Fd owned, std::string unlink_path)
      : Listener(loop), epoll_(loop), fd_(fd), owned_(std::move(owned)), unlink_path_(std::move(unlink_path)) {
    // Exclusive: of all loops and processes that wait on this socket, a connection wakes one. Level-triggered, so that
    // a connection left in the queue by one wakes another.
    watch();
  }
  ~SocketListener() override {
    if (watched_) epoll_.remove(fd_);
    if (!unlink_path_.empty()) ::unlink(unlink_path_.c_str());
  }

  Address address() const override {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&storage), &length);
    return Address::from(reinterpret_cast<const sockaddr*>(&storage), std::min<socklen_t>(length, sizeof(sockaddr_un)));
  }

 private:
  bool start(AcceptOp& op) override {
    INVARIANT(acceptor_ == nullptr);
    if (attempt(op)) {
      if (op.may_finish_at_once()) return true;
      op.complete();
      return false;
    }
    acceptor_ = &op;
    if (!watched_) watch();
    return false;
  }
  void abandon(AcceptOp& op) override {
    if (acceptor_ == &op) acceptor_ = nullptr;
  }

  void watch() {
    epoll_.add(fd_, EPOLLIN | EPOLLEXCLUSIVE, *this);
    watched_ = true;
  }

  bool attempt(AcceptOp& op) {
    while (true) {
      sockaddr_storage storage{};
      socklen_t length = sizeof storage;
      Fd accepted(::accept4(fd_, reinterpret_cast<sockaddr*>(&storage), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (accepted) {
        const auto peer = Address::from(reinterpret_cast<const sockaddr*>(&storage),
                                        std::min<socklen_t>(length, sizeof(sockaddr_un)));
        op.result = std::make_unique<SocketStream>(epoll_, std::move(accepted), peer, SocketStream::Phase::kConnected);
        return true;
      }
      if (errno == EAGAIN) return false;
      // The connection went away while it queued: not an error of ours.
      if (errno == EINTR || errno == ECONNABORTED || errno == EPROTO) continue;
      op.result = failure(os_error(errno, "accept"));
      return true;
    }
  }

  void on_events(std::uint32_t) override {
    if (acceptor_ == nullptr) {
      // Nobody accepts at present, and level-triggered would ask again at once, for ever. Other loops are woken
      // instead.
      epoll_.remove(fd_);
      watched_ = false;
    } else if (attempt(*acceptor_)) {
      // The kernel wakes the loop that began to wait first: go to the end of the queue, or one loop gets all
      // connections.
      epoll_.remove(fd_);
      watch();
      std::exchange(acceptor_, nullptr)->complete();
    }
  }

  EpollLoop& epoll_;
  int fd_;
  Fd owned_;
  std::string unlink_path_;
  bool watched_ = false;
  AcceptOp* acceptor_ = nullptr;
};

}  // namespace

Instant boot_time() { return {read_clock(CLOCK_BOOTTIME)}; }
WallTime wall_time() { return WallTime(read_clock(CLOCK_REALTIME)); }

EpollLoop::EpollLoop() : epoll_(::epoll_create1(EPOLL_CLOEXEC)), wake_(Doorbell::make()) {
  INVARIANT(epoll_ && wake_);
  now_ = boot_time();
  epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.ptr = nullptr}};
  INVARIANT(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event) == 0);
}

EpollLoop::~EpollLoop() { end_tasks(); }

void EpollLoop::add(int fd, std::uint32_t events, Pollable& pollable) {
  epoll_event event{.events = events, .data = {.ptr = &pollable}};
  INVARIANT(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0);
}

void EpollLoop::remove(int fd) {
  // Closing would not do: a child between fork and exec holds the same open file, and its events would find us gone.
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

bool EpollLoop::poll(Instant until) {
  constexpr int kEventsMax = 256;
  std::array<epoll_event, kEventsMax> events;
  const Duration wait = until - boot_time();
  int n;
  if (until == Instant::never()) {
    n = ::epoll_wait(epoll_.get(), events.data(), kEventsMax, -1);
  } else if (wait <= 0ns) {
    n = ::epoll_wait(epoll_.get(), events.data(), kEventsMax, 0);
  } else {
    const timespec timeout{.tv_sec = wait / 1s, .tv_nsec = (wait % 1s).count()};
    n = ::epoll_pwait2(epoll_.get(), events.data(), kEventsMax, &timeout, nullptr);
    // Before Linux 5.11, or forbidden in a container: whole milliseconds then, rounded up.
    if (n < 0 && (errno == ENOSYS || errno == EPERM)) {
      const auto ms = std::chrono::ceil<std::chrono::milliseconds>(std::min<Duration>(wait, 1h)).count();
      n = ::epoll_wait(epoll_.get(), events.data(), kEventsMax, static_cast<int>(ms));
    }
  }
  now_ = boot_time();
  INVARIANT(n >= 0 || errno == EINTR);

  // Nobody is resumed here, operations only complete: so nothing a later event of this batch points to can be destroyed
  // by an earlier one.
  bool woken = false;
  for (int i = 0; i < n; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if (event.data.ptr == nullptr) {
      woken = true;
    } else {
      static_cast<Pollable*>(event.data.ptr)->on_events(event.events);
    }
  }
  if (woken) run_posted();
  return true;
}

void EpollLoop::post(std::move_only_function<void()> f) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(f));
  }
  Doorbell::ring(wake_.get());
}

void EpollLoop::run_posted() {
  std::uint64_t count;
  while (::read(wake_.get(), &count, sizeof count) > 0) {
  }
  std::vector<std::move_only_function<void()>> posted;
  {
    const std::lock_guard lock(mutex_);
    posted.swap(posted_);
  }
  for (auto& f : posted) f();
}

Task<Result<std::unique_ptr<Stream>>> EpollLoop::connect(Address to, Duration timeout) {
  Fd fd(::socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) co_return failure(os_error(errno, "connect to " + to.text()));
  const int raw = fd.get();
  int error = ::connect(raw, to.get(), to.length()) == 0 ? 0 : errno;
  // A Unix socket whose backlog is full says EAGAIN: nobody is there to take us.
  if (error != 0 && error != EINPROGRESS) co_return failure(os_error(error, "connect to " + to.text()));

  const auto phase = error == 0 ? SocketStream::Phase::kConnected : SocketStream::Phase::kConnecting;
  auto stream = std::make_unique<SocketStream>(*this, std::move(fd), to, phase);
  if (phase == SocketStream::Phase::kConnecting) {
    stream->write_deadline(now() + timeout);
    if (auto writable = co_await stream->writable(); !writable) {
      Error cause = std::move(writable.error());
      const Code code = cause.code();
      co_return failure(Error(code, "connect to " + to.text(), std::move(cause)));
    }
    stream->write_deadline(Instant::never());
    socklen_t size = sizeof error;
    ::getsockopt(raw, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) co_return failure(os_error(error, "connect to " + to.text()));
  }
  co_return std::move(stream);
}

Result<Fd> open_listener(const Address& at, int backlog) {
  Fd fd(::socket(at.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return failure(os_error(errno, "listen on " + at.text()));
  const int on = 1;
  if (at.is_unix()) {
    // A socket file outlives its process. Whoever calls this holds the lock of the folder it is in.
    ::unlink(at.text().substr(5).c_str());
  } else {
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  }
  if (::bind(fd.get(), at.get(), at.length()) != 0 || ::listen(fd.get(), backlog) != 0) {
    return failure(os_error(errno, "listen on " + at.text()));
  }
  return fd;
}

Result<std::unique_ptr<Listener>> EpollLoop::listen(const Address& at) {
  auto fd = open_listener(at);
  if (!fd) return std::unexpected(fd.error());
  const int raw = fd->get();
  return std::make_unique<SocketListener>(*this, raw, std::move(*fd), at.is_unix() ? at.text().substr(5) : "");
}

std::unique_ptr<Listener> EpollLoop::adopt_listener(int fd) {
  return std::make_unique<SocketListener>(*this, fd, Fd(), "");
}

FdEvent::FdEvent(EpollLoop& loop, int fd) : loop_(loop), fd_(fd) { loop_.add(fd_, EPOLLIN | EPOLLET, *this); }
FdEvent::~FdEvent() { loop_.remove(fd_); }

void FdEvent::on_events(std::uint32_t) {
  if (waiter_ != nullptr) {
    std::exchange(waiter_, nullptr)->complete();
  } else {
    pending_ = true;
  }
}

bool FdEvent::Wait::await_ready() {
  INVARIANT(event_.waiter_ == nullptr);
  if (std::exchange(event_.pending_, false)) return true;
  event_.waiter_ = this;
  return false;
}

void FdEvent::Wait::withdraw() {
  event_.waiter_ = nullptr;
  result_ = cancelled();
  complete();
}

Fd Doorbell::make() { return Fd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)); }

void Doorbell::ring(int fd) {
  const std::uint64_t one = 1;
  // Full means nobody has listened for 2^64 rings; it will hear this one as well.
  [[maybe_unused]] const ssize_t n = ::write(fd, &one, sizeof one);
}

Task<Result<>> Doorbell::rung() {
  while (true) {
    std::uint64_t count = 0;
    if (::read(fd_.get(), &count, sizeof count) > 0) co_return Result<>{};
    if (auto waited = co_await event_.readable(); !waited) co_return waited;
  }
}

Signals::Signals(EpollLoop& loop, std::initializer_list<int> signals)
    : fd_([&] {
        sigset_t set;
        sigemptyset(&set);
        for (const int s : signals) sigaddset(&set, s);
        pthread_sigmask(SIG_BLOCK, &set, nullptr);
        return ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
      }()),
      event_(loop, fd_.get()) {}

Task<Result<int>> Signals::next() {
  while (true) {
    signalfd_siginfo info{};
    if (::read(fd_.get(), &info, sizeof info) == sizeof info) {
      sender_ = static_cast<pid_t>(info.ssi_pid);
      co_return static_cast<int>(info.ssi_signo);
    }
    if (auto waited = co_await event_.readable(); !waited) co_return failure(waited.error());
  }
}

}  // namespace nines::net
