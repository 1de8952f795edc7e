// Reads HTTP/1.1 messages from a stream: head, then body piece by piece, then the next message.
//
// Framing is strict: what two parsers could read differently is an error (kProtocol), never repaired. Among
// others: both Content-Length and Transfer-Encoding, several Content-Lengths, a transfer coding other than
// chunked, a folded field, a bare LF, a request of HTTP/1.1 without exactly one Host.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/error.h"
#include "base/task.h"
#include "http/head.h"
#include "net/stream.h"

namespace nines::http {

enum class Side : std::uint8_t { kRequests, kResponses };

struct ReadLimits {
  std::size_t head_bytes = 32 * 1024;  // start line and fields together; kLimit beyond
  std::size_t fields = 100;            // kLimit beyond
};

class MessageReader {
 public:
  // The stream must outlive the reader.
  MessageReader(net::Stream& stream, Side side, ReadLimits limits = {});
  ~MessageReader();
  MessageReader(MessageReader&&) noexcept;

  // Reads the next head into `head`. False: the stream ended cleanly, between messages. REQUIRES: the body of
  // the message before has been read to its end. kProtocol, kLimit, kClosed (ended in the middle), and what the stream
  // says.
  Task<Result<bool>> head(Head& head);

  // The next answer has no body, whatever its fields say (it answers HEAD). Until the next head().
  void expect_no_body();

  // The next piece of the body; empty at the end of the message. Valid until the next call. kClosed: the stream ended
  // before the body did.
  Task<Result<std::string_view>> body();

  // The whole message has been read.
  bool message_done() const;
  // Bytes beyond the current message were received already: a pipelined request, or junk after an answer.
  bool has_more() const;
  // Frees the buffer while nothing is in it: an idle connection needs none.
  void release_buffer();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nines::http
