// Parses the heads of HTTP/1.1 messages, in whatever pieces they arrive. Pure.
//
// Strict: what two programs could read differently is refused, never repaired (RFC 9112, and what request smuggling has
// taught). Lines end with CRLF. Exactly one space where the grammar has one. A field has a name, a token, and no white
// space before its colon; nothing is folded; no control characters anywhere. One Content-Length of digits, or one
// "Transfer-Encoding: chunked", never both. A request has one valid Host; its target is a path, an absolute http URL,
// or "*" of OPTIONS: without user, fragment or bytes beyond ASCII.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "http/head.h"

namespace nines::http {

enum class Side : std::uint8_t { kRequests, kResponses };

struct ReadLimits {
  std::size_t head_bytes = 32 * 1024;  // start line and fields together; kLimit beyond
  std::size_t fields = 100;            // kLimit beyond; at most 60,000
};

class HeadParser {
 public:
  HeadParser(Side side, ReadLimits limits) : side_(side), limits_(limits) {}

  // The next head goes into `head`. `no_body`: it answers HEAD.
  void begin(Head& head, bool no_body);
  // How many of the bytes belong to the head; all of them until done(). kProtocol, kLimit: refusal() is the status that
  // tells a client.
  Result<std::size_t> feed(std::string_view bytes);
  bool done() const { return done_; }
  bool begun() const;
  int refusal() const { return refusal_; }

 private:
  // Each returns what is wrong, or null.
  using Problem = const char*;
  Problem refuse(int status, const char* why);
  Problem take_lines();
  Problem take_line(std::string_view line);
  Problem request_line(std::string_view line);
  Problem target(std::string_view target);
  Problem absolute_target(std::string_view rest);
  Problem status_line(std::string_view line);
  Problem field_line(std::string_view line);
  Problem note(Name name, std::string_view value);
  void note_connection(std::string_view tokens);
  Problem finish();
  void rewrite_target();
  Head::Span span(std::string_view part) const;

  const Side side_;
  const ReadLimits limits_;
  Head* head_ = nullptr;
  bool no_body_ = false;
  std::size_t line_at_ = 0;  // where the present line begins
  std::size_t scan_at_ = 0;  // no LF before this
  int empty_lines_ = 0;      // before the start line
  bool started_ = false;     // past the start line
  bool done_ = false;
  bool close_ = false, keep_alive_ = false, upgrade_ = false;  // said by Connection
  std::string_view target_prefix_;  // of an absolute target without a path: what has to stand before its query
  int refusal_ = 0;
};

}  // namespace nines::http
