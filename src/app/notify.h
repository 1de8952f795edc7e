// What systemd is told: sd_notify(3), without its library. A datagram of lines to the socket that $NOTIFY_SOCKET names.
//
//   the supervisor   READY=1 whenever it finds the service up, STATUS= a sentence, STOPPING=1 when it goes down
//   the anchor       WATCHDOG=1, for it is the unit's main process and restarts the supervisor itself
//
// READY=1 stands in each message while the service is up, from whichever supervisor: once systemd has it, it changes
// nothing, and after the anchor's death systemd waits for one anew. Nobody else gets the variables: supervise::spawn()
// takes them out.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/time.h"

namespace nines::app {

// "STATUS=…\n": what would end the line is a space, and a long text is cut between characters. Pure.
std::string status_line(std::string_view sentence);

// How often WATCHDOG=1 is due: at half of the microseconds in $WATCHDOG_USEC. nullopt: nobody waits for it, or for
// another process than `self` ($WATCHDOG_PID). Pure; either text may be null.
std::optional<Duration> watchdog_interval(const char* usec, const char* pid, pid_t self);

// Whoever started us and wants to know. Without such a one every call does nothing.
class ServiceManager {
 public:
  // `address` is $NOTIFY_SOCKET: a path, or an abstract name behind an @; null, empty or anything else: there is none.
  explicit ServiceManager(const char* address);

  // Best effort: never blocks, never allocates. False: it did not get there.
  bool tell(std::string_view lines) const;
  bool is_there() const { return static_cast<bool>(socket_); }

 private:
  sockaddr_un address_{};
  socklen_t size_ = 0;
  Fd socket_;
};

}  // namespace nines::app
