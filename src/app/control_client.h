// What other processes ask of a running service: is it there, and one request to its control socket.
//
//   nobody holds STATE/lock                    not running, whatever files lie about
//   held, and RUN/control.sock answers         running
//   held, and it does not                      starting, ending, or hanging: the pid is in the lock
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/paths.h"
#include "base/error.h"
#include "base/task.h"
#include "base/time.h"

namespace nines::net {
class Loop;
}

namespace nines::app {

struct ControlRequest {
  std::string method = "GET";
  std::string target;     // "/v1/status"
  std::string body = {};  // JSON
  Duration timeout = 3s;
};

// The body of an answer from 200 to 299. Errors:
//   kUnavailable  nobody listens: not running, or not yet, or not any more (holder_of() tells)
//   kTimedOut     somebody listens and says nothing
//   kRefused      the socket is another user's, or the service said no, in its words
//   kNotFound     404, in the service's words
//   kLimit        507: done, and not on the disk, in the service's words
//   anything else: the connection broke or it does not speak our language
Task<Result<std::string>> ask(net::Loop& loop, const Paths& paths, ControlRequest request);
// The same for callers without a loop; blocks.
Result<std::string> ask(const Paths& paths, ControlRequest request);

// Whether a process holds this lock: its pid, 0 when it has not written it yet; nullopt when the lock is free.
std::optional<std::int64_t> holder_of(const std::string& lock_file);

// The services that `nines run` started in the current folder without naming a state folder, dead ones too, sorted.
Result<std::vector<Paths>> services_without_file();

}  // namespace nines::app
