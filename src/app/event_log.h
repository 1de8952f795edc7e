// The two event rings of the shared table as one history, in the order of time, for whoever asks what happened last.
// Bounded; numbered on its own. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>

#include "plane/plane.h"

namespace nines::app {

class EventLog {
 public:
  static constexpr std::size_t kKept = 4096;

  EventLog(plane::Table& table, std::function<void(const plane::Event&)> each);

  // Takes over what the rings have since the last time.
  void collect();

  struct Entry {
    std::uint64_t number;  // 1, 2, 3 … of this log
    plane::Event event;
  };
  // The oldest kept first. `lost`: events that were overwritten before they were collected.
  const std::deque<Entry>& entries() const { return entries_; }
  std::uint64_t next_number() const { return next_; }
  std::uint64_t lost() const { return lost_; }

 private:
  plane::Table& table_;
  std::function<void(const plane::Event&)> each_;
  std::uint64_t supervisor_next_ = 1, gateway_next_ = 1;
  std::uint64_t next_ = 1;
  std::uint64_t lost_ = 0;
  std::deque<Entry> entries_;
};

}  // namespace nines::app
