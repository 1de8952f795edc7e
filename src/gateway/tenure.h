// What one gateway may write into the shared table while another takes its place. Each has an epoch, a number the
// supervisor counts up with every gateway it starts; the highest is in the table's header.
//
//   verdicts, the gateway's event ring, routes_seen   the gateway of the highest epoch alone
//   gauges                                            the plane::kGauges highest, each its own (Share)
//   counters, hung_ns, passed_ns, progress_ns         everybody: they only grow
//
// Any thread.
#pragma once

#include <cstdint>

#include "plane/plane.h"

namespace nines::gateway {

// Another gateway was started after this one: verdicts and events are no longer its to write.
inline bool superseded(const plane::Table& table, std::uint64_t epoch) {
  return table.header.gateway_epoch.load(std::memory_order_acquire) > epoch;
}

// One connection or one attempt, in this gateway's part of a gauge for as long as it lasts.
class Share {
 public:
  Share(plane::Table& table, plane::Gauge& gauge, std::uint64_t epoch)
      : table_(table), part_(gauge[epoch % plane::kGauges]), epoch_(epoch), counted_(!is_lost()) {
    if (counted_) part_.fetch_add(1, std::memory_order_relaxed);
  }
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;
  ~Share() {
    if (counted_ && !is_lost()) part_.fetch_sub(1, std::memory_order_relaxed);
  }

 private:
  // So many gateways on, our part is the newest one's, who has begun it at 0.
  bool is_lost() const {
    return table_.header.gateway_epoch.load(std::memory_order_acquire) >= epoch_ + plane::kGauges;
  }

  plane::Table& table_;
  std::atomic<std::uint64_t>& part_;
  const std::uint64_t epoch_;
  const bool counted_;
};

// Nothing of the gateway with this epoch is open: it begins, or it has ended (and may have been killed, with its part
// of every gauge as it stood).
inline void clear_gauges(plane::Table& table, std::uint64_t epoch) {
  const std::size_t part = epoch % plane::kGauges;
  for (plane::Observed& observed : table.observed) observed.in_flight[part].store(0, std::memory_order_relaxed);
  table.service.connections[part].store(0, std::memory_order_relaxed);
  table.service.waiting[part].store(0, std::memory_order_relaxed);
}

}  // namespace nines::gateway
