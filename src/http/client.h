// One request, one answer, one connection: for health checks, the control socket, a container engine and tests. The
// gateway's pooled upstream connections are its own.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/task.h"
#include "http/head.h"
#include "net/address.h"
#include "net/loop.h"

namespace nines::http {

struct Call {
  net::Address to;
  std::string method = "GET";
  std::string target = "/";
  std::string host = "localhost";
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> fields;
  Duration timeout = 5s;                      // for all of it
  std::size_t body_limit = 16 * 1024 * 1024;  // kLimit beyond
};

struct Answer {
  Head head;
  std::string body;
};

// kRefused, kNotFound (no such socket), kTimedOut, kClosed, kProtocol, kLimit, kCancelled. A status is not an error.
Task<Result<Answer>> fetch(net::Loop& loop, Call call);

// An answer that is read piece by piece, for as long as it comes: a log that is followed. Dropping it closes the
// connection.
class Download {
 public:
  // Returns once the head is there; `call.timeout` is for that, `call.body_limit` for nobody. Errors as of fetch().
  static Task<Result<Download>> open(net::Loop& loop, Call call);
  Download(Download&&) noexcept;
  ~Download();

  const Head& head() const;
  // The next piece, valid until the next call; empty: that was all. Waits without a limit: cancel it.
  Task<Result<std::string_view>> piece();

 private:
  struct State;
  explicit Download(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace nines::http
