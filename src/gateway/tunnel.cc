#include "gateway/tunnel.h"

#include <functional>
#include <memory>
#include <span>

namespace nines::gateway {
namespace {

constexpr std::size_t kBufferBytes = 16 * 1024;

struct Tunnel {
  Duration idle;
  Instant moved;  // when something last came, from either side
  CancelScope scope{};
  TunnelEnded ended = TunnelEnded::kByBoth;

  void break_off(const Error& error) {
    scope.cancel();
    if (ended != TunnelEnded::kByBoth) return;  // the other direction has said why
    switch (error.code()) {
      case Code::kCancelled: ended = TunnelEnded::kCancelled; break;
      case Code::kTimedOut: ended = TunnelEnded::kIdle; break;
      default: ended = TunnelEnded::kBroken;
    }
  }
};

// Waits for bytes; a silence of one direction is none while the other is busy.
Task<Result<std::size_t>> read_some(Tunnel& tunnel, net::Stream& from, std::span<char> into) {
  while (true) {
    from.read_deadline(tunnel.moved + tunnel.idle);
    auto n = co_await from.read(into);
    const Instant now = from.loop().now();
    const bool silent = !n && n.error().code() == Code::kTimedOut;
    if (silent && tunnel.moved + tunnel.idle > now) continue;
    if (n) tunnel.moved = now;
    co_return n;
  }
}

Task<void> carry(Tunnel& tunnel, TunnelEnd from, net::Stream& to, const std::function<void()>& on_bytes) {
  const auto buffer = std::make_unique_for_overwrite<char[]>(kBufferBytes);
  std::string_view piece = from.received;
  while (true) {
    if (!piece.empty()) {
      to.write_deadline(to.loop().now() + tunnel.idle);
      if (const auto written = co_await to.write(piece); !written) co_return tunnel.break_off(written.error());
    }
    const auto n = co_await read_some(tunnel, from.stream, std::span(buffer.get(), kBufferBytes));
    if (!n) co_return tunnel.break_off(n.error());
    if (*n == 0) co_return to.end_writing();
    if (on_bytes) on_bytes();
    piece = {buffer.get(), *n};
  }
}

}  // namespace

Task<TunnelEnded> join_streams(TunnelEnd client, TunnelEnd replica, Duration idle,
                               std::function<void()> on_replica_bytes) {
  Tunnel tunnel{.idle = idle, .moved = client.stream.loop().now()};
  tunnel.scope.join(co_await current_scope());
  TaskGroup directions(&tunnel.scope);
  const std::function<void()> nothing;
  directions.start(carry(tunnel, client, replica.stream, nothing));
  directions.start(carry(tunnel, replica, client.stream, on_replica_bytes));
  co_await directions.join();
  if (tunnel.ended != TunnelEnded::kByBoth) {
    client.stream.reset();
    replica.stream.reset();
  }
  co_return tunnel.ended;
}

}  // namespace nines::gateway
