// The log of the shared table, as its one writer: the supervisor's own events, and those it takes over from the rings
// of the gateway, the anchor and the keeper. Each is in the log once, however often supervisors die: it carries its
// number in the ring it came through, so the log itself tells what the one before had taken and had no time to note as
// taken.
//
// Overwritten before it could be taken: an event `events_lost` says how many. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "plane/plane.h"
#include "supervise/process.h"

namespace nines::app {

class EventLog {
 public:
  // `each` hears of every event from now on.
  EventLog(plane::Table& table, std::function<void(const plane::Event&)> each);

  void note(plane::Event event);
  // Takes over what the rings have since the last time.
  void collect();

  // How a process ended that was no child of ours, if the anchor reaped it at `since` or later: pids come again, but
  // none before its last bearer was reaped.
  std::optional<supervise::Exit> obituary(pid_t pid, Instant since) const;

  // Whether the log knows of the end of this incarnation already.
  bool has_exit_of(std::uint16_t replica, std::uint64_t incarnation) const;

 private:
  struct Inbox {
    plane::EventRing& ring;
    plane::Origin origin;
    std::atomic<std::uint64_t>& taken;  // in the table, for the next supervisor
    std::uint64_t next = 1;
  };
  void take_from(Inbox& inbox);

  plane::Table& table_;
  std::function<void(const plane::Event&)> each_;
  Inbox inboxes_[3];
};

}  // namespace nines::app
