// The load client that never retries: what a user of the service would have seen, counted.
//
// One thread and one keep-alive connection per simulated user, blocking sockets, one request at a time. Every
// request ends exactly once, as ok (a complete, well-formed response with status 200 inside the time-out) or as
// one failure with its kind and moment. A request that failed is never sent again; the connection is reopened for the
// next one. requests == ok + failed, always.
//
// The loop is closed: a stalled service is sent less, so a stall shows in `longest_gap` and in the time-outs
// rather than in the percentiles.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"

namespace nines::load {

enum class Kind : std::uint8_t {
  kRefused,     // nobody listens
  kConnect,     // connecting failed otherwise
  kTimedOut,    // not complete within Options::timeout, connecting included
  kReset,       // the connection was reset, while sending or while receiving
  kClosed,      // the peer closed after the request, before the first byte of the response
  kTruncated,   // the peer closed in the middle of the response: a short head or a short body
  kClosedIdle,  // the peer had closed between two requests without having said `Connection: close`
  kProtocol,    // not HTTP/1.1 as RFC 9112 wants it, or bytes nobody asked for
  kStatus,      // a well-formed response with a status other than 200
};
std::string_view name_of(Kind kind);

struct RequestTemplate {
  std::string method = "GET";
  std::string path = "/";
  std::string body;
  std::string content_type = "application/json";  // sent when there is a body
  unsigned weight = 1;                            // equal weights alternate on every connection
};

struct Options {
  std::string address;  // "127.0.0.1:8000", "[::1]:8000", "localhost:8000"
  unsigned connections = 24;
  Duration duration = Duration::max();  // whichever limit comes first; requests in flight are completed
  std::uint64_t requests = UINT64_MAX;
  std::vector<RequestTemplate> templates;  // empty: GET /
  Duration timeout = 5s;                   // for one request, from connecting to the last byte
  double rate_max = 0;                     // requests per second over all connections, evenly spaced; 0: no limit
  Duration pause_after_refusal = 10ms;     // so that nobody listening is not a thousand failures a second
  std::string count_header;                // counts the distinct values of this response header
};

struct Failure {
  WallTime at;         // when it was noticed
  Duration after{0};   // the same, since the start
  Duration lasted{0};  // from the start of the request
  Kind kind = Kind::kProtocol;
  int status = 0;  // 0: there was none
  std::string method, path;
  std::string detail;      // what exactly was odd
  std::string body;        // the first 200 bytes
  std::string request_id;  // the response's x-request-id
  unsigned connection = 0;
};

struct Snapshot {
  static constexpr std::size_t kFailuresMax = 1000;
  static constexpr std::size_t kValuesMax = 1000;

  WallTime started;
  Duration elapsed{0};  // stops with the last request
  bool finished = false;
  std::uint64_t ok = 0, failed = 0;
  std::uint64_t opened = 0;                     // connections
  std::map<Kind, std::uint64_t> by_kind;        // only kinds that occurred
  std::map<int, std::uint64_t> by_status;       // of complete responses
  Duration p50{0}, p99{0}, p999{0}, max{0};     // of ok requests
  Duration longest_gap{0};                      // without a success, start and present included
  Duration longest_gap_after{0};                // when it began, since the start
  std::vector<Failure> failures;                // the first kFailuresMax
  std::map<std::string, std::uint64_t> values;  // of Options::count_header; the kValuesMax first seen

  std::uint64_t requests() const { return ok + failed; }
  double per_second() const;
};

class Load {
 public:
  // Starts the threads and returns. Fails when the address cannot be understood or the options make no sense.
  static Result<Load> start(Options options);

  Load(Load&&) noexcept;
  Load& operator=(Load&&) noexcept;
  ~Load();  // stop()

  Snapshot snapshot() const;  // any time, from any thread; blocks nobody for long
  bool finished() const;      // a limit was reached, or stop() was called, and the last request has ended
  void wait() const;          // until finished()

  // Begins no more requests, waits for those in flight (at most Options::timeout) and returns the result.
  Snapshot stop();

 private:
  struct Run;
  explicit Load(std::unique_ptr<Run> run);

  std::unique_ptr<Run> run_;
};

}  // namespace nines::load
