// A second opinion on HTTP/1.1 framing: reads a byte sequence that has exactly one meaning, and refuses everything
// else. It shares nothing with src/http, and is written for clarity alone: what the gateway lets through must please
// both.
//
// Narrower than RFC 9112 on purpose: no obs-fold, no bare LF, no whitespace before a colon, one Content-Length of
// digits only, or "chunked" alone as transfer coding, never both; no chunk extensions; origin-form targets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nines::fuzz {

struct Message {
  std::string first;                                        // method or version
  std::string second;                                       // target or status
  std::vector<std::pair<std::string, std::string>> fields;  // names in lower case
  std::string body;
};

enum class End {
  kClean,  // between two messages
  kCut,    // inside one: a connection that broke
  kWrong,  // bytes that are no message
};

struct Reading {
  std::vector<Message> messages;  // complete ones
  End end = End::kClean;
  std::string why;  // with kWrong
};

// `methods`: of the requests that are answered, one for each response, "HEAD" being the one that matters; empty for
// requests. A response may go on until the end of the connection only if `until_close` says that this is how it ended.
Reading read_requests(std::string_view bytes);
Reading read_responses(std::string_view bytes, const std::vector<std::string>& methods, bool closed_cleanly);

}  // namespace nines::fuzz
