#include "net/memory_loop.h"

#include <cerrno>
#include <cstring>
#include <deque>
#include <vector>

#include "net/readiness_stream.h"

namespace nines::net {
namespace {

class MemoryStream;

// One direction. Outlives either end.
struct Pipe {
  std::string bytes;
  bool ended = false;
  bool broken = false;
  MemoryStream* reader = nullptr;
  MemoryStream* writer = nullptr;
};

class MemoryStream final : public ReadinessStream {
 public:
  MemoryStream(Loop& loop, std::shared_ptr<Pipe> in, std::shared_ptr<Pipe> out, std::size_t capacity, Address peer)
      : ReadinessStream(loop), in_(std::move(in)), out_(std::move(out)), capacity_(capacity), peer_(peer) {
    in_->reader = this;
    out_->writer = this;
  }
  ~MemoryStream() override {
    in_->reader = nullptr;
    out_->writer = nullptr;
    // As TCP does: closing with unread data breaks the connection, closing after reading all of it ends it.
    if (!in_->bytes.empty()) {
      break_both();
    } else {
      finish(*out_);
      in_->broken = true;  // whatever the peer still writes goes nowhere
    }
  }

  void end_writing() override { finish(*out_); }
  void reset() override {
    break_both();
    fail_pending(Code::kClosed, "connection reset by us");
  }
  const Address& peer() const override { return peer_; }

 private:
  Attempt try_read(std::span<char> into) override {
    if (in_->broken && !in_->ended) return {.error = ECONNRESET};
    if (in_->bytes.empty()) return {.blocked = !in_->ended};
    const std::size_t n = std::min(into.size(), in_->bytes.size());
    std::memcpy(into.data(), in_->bytes.data(), n);
    in_->bytes.erase(0, n);
    if (in_->writer != nullptr) in_->writer->announce_writable();
    return {.bytes = n, .blocked = in_->bytes.empty() && !in_->ended};
  }

  Attempt try_peek() override {
    if (in_->broken || in_->ended || !in_->bytes.empty()) return {};
    return {.blocked = true};
  }

  Attempt try_write(std::span<const std::string_view> parts) override {
    if (out_->broken || out_->ended) return {.error = out_->broken ? ECONNRESET : EPIPE};
    std::size_t written = 0;
    for (const std::string_view part : parts) {
      const std::size_t n = std::min(part.size(), capacity_ - out_->bytes.size());
      out_->bytes.append(part.substr(0, n));
      written += n;
      if (n < part.size()) break;
    }
    const bool full = out_->bytes.size() == capacity_;
    if (written > 0 && out_->reader != nullptr) out_->reader->announce_readable();
    return {.bytes = written, .blocked = full && out_->bytes.size() == capacity_};
  }

  void finish(Pipe& pipe) {
    if (pipe.ended || pipe.broken) return;
    pipe.ended = true;
    if (pipe.reader == nullptr) return;
    pipe.reader->announce_peer_closed();
    pipe.reader->announce_readable();
  }

  void break_both() {
    for (Pipe* const pipe : {in_.get(), out_.get()}) {
      if (pipe->ended && pipe->bytes.empty()) continue;
      pipe->broken = true;
      pipe->ended = false;
      pipe->bytes.clear();
    }
    if (MemoryStream* const other = out_->reader) {
      other->announce_peer_closed();
      other->announce_readable();
      other->announce_writable();
    }
  }

  std::shared_ptr<Pipe> in_, out_;
  std::size_t capacity_;
  Address peer_;
};

}  // namespace

class MemoryListener;

struct MemorySocket {
  Address address;
  std::deque<std::unique_ptr<Stream>> backlog;
  std::vector<MemoryListener*> listeners;

  void offer(std::unique_ptr<Stream> stream);
};

class MemoryListener final : public Listener {
 public:
  MemoryListener(Loop& loop, std::shared_ptr<MemorySocket> socket) : Listener(loop), socket_(std::move(socket)) {
    socket_->listeners.push_back(this);
  }
  ~MemoryListener() override { std::erase(socket_->listeners, this); }
  Address address() const override { return socket_->address; }

  // REQUIRES: the backlog is not empty. False: nobody accepts here at present.
  bool take() {
    if (acceptor_ == nullptr) return false;
    deliver(*acceptor_);
    std::exchange(acceptor_, nullptr)->complete();
    return true;
  }

 private:
  bool start(AcceptOp& op) override {
    INVARIANT(acceptor_ == nullptr);
    if (socket_->backlog.empty()) {
      acceptor_ = &op;
      return false;
    }
    deliver(op);
    return true;
  }
  void abandon(AcceptOp& op) override {
    if (acceptor_ == &op) acceptor_ = nullptr;
  }
  void deliver(AcceptOp& op) {
    op.result = std::move(socket_->backlog.front());
    socket_->backlog.pop_front();
  }

  std::shared_ptr<MemorySocket> socket_;
  AcceptOp* acceptor_ = nullptr;
};

void MemorySocket::offer(std::unique_ptr<Stream> stream) {
  backlog.push_back(std::move(stream));
  for (MemoryListener* const listener : listeners) {
    if (listener->take()) return;
  }
}

std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> MemoryLoop::pair() {
  auto there = std::make_shared<Pipe>(), back = std::make_shared<Pipe>();
  return {std::make_unique<MemoryStream>(*this, back, there, capacity_, Address::loopback(1)),
          std::make_unique<MemoryStream>(*this, there, back, capacity_, Address::loopback(2))};
}

Task<Result<std::unique_ptr<Stream>>> MemoryLoop::connect(Address to, Duration) {
  const auto found = sockets_.find(to.text());
  const auto socket = found == sockets_.end() ? nullptr : found->second.lock();
  if (!socket) co_return failure(Code::kRefused, "connect to " + to.text() + ": nobody listens");
  auto [ours, theirs] = pair();
  socket->offer(std::move(theirs));
  co_return std::move(ours);
}

Result<std::unique_ptr<Listener>> MemoryLoop::listen(const Address& at) {
  Address address = at;
  if (!address.is_unix() && address.port() == 0) address = Address::loopback(next_port_++);
  std::weak_ptr<MemorySocket>& socket = sockets_[address.text()];
  if (!socket.expired()) return failure(Code::kExists, address.text() + " is taken");
  auto fresh = std::make_shared<MemorySocket>();
  fresh->address = address;
  socket = fresh;
  return std::make_unique<MemoryListener>(*this, std::move(fresh));
}

std::unique_ptr<Listener> MemoryLoop::share(const Address& at) {
  auto socket = sockets_[at.text()].lock();
  INVARIANT(socket);
  return std::make_unique<MemoryListener>(*this, std::move(socket));
}

void MemoryLoop::advance(Duration d) {
  const Instant end = now() + d;
  while (now() < end) turn(end);
  turn(end);
}

bool MemoryLoop::poll(Instant until) {
  if (until == Instant::never()) return false;
  now_ = std::max(now_, until);
  return true;
}

}  // namespace nines::net
