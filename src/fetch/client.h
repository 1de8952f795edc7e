// One HTTP call to somebody else's server, by libcurl. Blocks: for a process or a thread of its own, never the event
// loop. Redirects are not followed: a signature holds for one host. Proxies are those of the environment (https_proxy,
// no_proxy).
//
// Errors are about calls without a complete answer; an answer of any status is a Response.
//   kUnavailable  no connection: the request was not sent
//   kTimedOut, kClosed  no complete answer: whether the server did it is not known
//   kRefused      its certificate is not to be trusted
//   kLimit        its answer is larger than the caller takes
//   kIo           the file could not be read or written
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/time.h"
#include "fetch/sigv4.h"

namespace nines::fetch {

struct TimeOuts {
  Duration connect = 10s;
  Duration stalled = 30s;  // fewer than 100 bytes a second for so long; whole seconds
  Duration total = 10min;
};

// A part of an open file, read by offset.
struct FilePart {
  int fd = -1;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

struct Request {
  std::string method = "GET";
  std::string url;
  Fields headers;
  std::string_view body = {};          // outlives the call
  std::optional<FilePart> file;        // instead of `body`
  int into = -1;                       // a file for the body of an answer of status 2xx; -1: Response::body
  std::uint64_t max_answer = 1 << 20;  // bytes of it
  TimeOuts time_outs;
};

struct Response {
  int status = 0;
  Fields headers;  // names in lower case
  std::string body;
  // The first of this name, in lower case; empty when there is none.
  std::string_view header(std::string_view name) const;
};

// Several threads may each have their own.
class Client {
 public:
  Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client();

  // Connections are kept for the next call to the same host.
  Result<Response> perform(const Request& request);

 private:
  void* curl_;
};

// "Fri, 24 May 2013 00:00:00 GMT" (RFC 9110, IMF-fixdate).
std::optional<WallTime> parse_http_date(std::string_view text);

}  // namespace nines::fetch
