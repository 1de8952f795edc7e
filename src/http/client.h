// One request, one answer, one connection: for health checks, the control socket and tests. The gateway's pooled
// upstream connections are its own.
#pragma once

#include <string>
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

}  // namespace nines::http
