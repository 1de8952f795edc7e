#include "http/connections.h"

#include <algorithm>
#include <array>

namespace nines::http {

Connections::Connections(net::Loop& loop, std::size_t limit, Each each)
    : loop_(loop), limit_(limit), each_(std::move(each)) {}

void Connections::serve(std::unique_ptr<net::Listener> listener) { accepting_.start(accept(std::move(listener))); }

Task<void> Connections::accept(std::unique_ptr<net::Listener> listener) {
  while (!accepting_.scope().cancelled()) {
    auto stream = co_await listener->accept();
    if (!stream) {
      if (stream.error().code() == Code::kCancelled) co_return;
      // Out of descriptors or memory: others must finish first.
      if (!co_await loop_.sleep(100ms)) co_return;
      continue;
    }
    const bool refused = connections_.running() >= limit_;
    refused_ += refused ? 1 : 0;
    connections_.start(each_(std::move(*stream), refused));
  }
}

Task<bool> Connections::next_request(net::Stream& stream, MessageReader& reader, Duration keep_alive) {
  if (reader.has_more()) co_return true;
  reader.release_buffer();
  struct Wait {
    static Task<bool> run(net::Stream& s) { co_return (co_await s.readable()).has_value(); }
  };
  if (!draining_) {
    stream.read_deadline(loop_.now() + keep_alive);
    if (co_await Wait::run(stream).under(idle_)) co_return true;
    if (!draining_) co_return false;
  }
  if (linger_ > 0s) {
    stream.read_deadline(loop_.now() + std::min(linger_, keep_alive));
    if (co_await Wait::run(stream).under(lingering_)) co_return true;
  }
  // What has arrived is still answered, also what the loop will only hear of in its next turn.
  stream.read_deadline(loop_.now() + 1us);
  co_return co_await Wait::run(stream);
}

Task<void> Connections::stop_accepting() {
  accepting_.cancel();
  co_await accepting_.join();
}

void Connections::close_idle() {
  linger_ = 0s;
  lingering_.cancel();
}

Task<void> Connections::drain(Patience patience) {
  draining_ = true;
  linger_ = patience.idle;
  co_await stop_accepting();
  idle_.cancel();
  struct Watchdog {
    static Task<void> run(net::Loop& loop, Duration d, TaskGroup& group) {
      if (co_await loop.sleep(d)) group.cancel();
    }
  };
  TaskGroup watchdog;
  watchdog.start(Watchdog::run(loop_, patience.begun, connections_));
  co_await connections_.join();
  watchdog.cancel();
  co_await watchdog.join();
}

Task<void> close_gently(net::Stream& stream) {
  stream.end_writing();
  stream.read_deadline(stream.loop().now() + 1s);
  std::array<char, 4096> rest;
  while (true) {
    const auto n = co_await stream.read(rest);
    if (!n || *n == 0) co_return;
  }
}

}  // namespace nines::http
