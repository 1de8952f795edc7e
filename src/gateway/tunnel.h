// Two connections joined after `101 Switching Protocols`: what one side sends the other gets, as it comes, until both
// have ended or one breaks. Nothing is looked at. (A WebSocket is what it is for.)
#pragma once

#include <functional>
#include <string_view>

#include "base/task.h"
#include "net/stream.h"

namespace nines::gateway {

// One side of a tunnel, and what was received from it already.
struct TunnelEnd {
  net::Stream& stream;
  std::string_view received;
};

enum class TunnelEnded : std::uint8_t {
  kByBoth,     // each side has said that it is done
  kBroken,     // a side broke off; both are reset
  kIdle,       // nothing moved in either direction for `idle`; both are reset
  kCancelled,  // the scope was cancelled: the replica is gone, or the gateway ends; both are reset
};

// `on_replica_bytes` is called whenever something came from the replica. Both streams outlive the call; nobody else
// reads or writes them meanwhile.
Task<TunnelEnded> join_streams(TunnelEnd client, TunnelEnd replica, Duration idle,
                               std::function<void()> on_replica_bytes);

}  // namespace nines::gateway
