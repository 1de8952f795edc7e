// Reads HTTP/1.1 messages from a stream: head, then body piece by piece, then the next message. What is accepted is
// said in http/head_parser.h and http/chunks.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "base/error.h"
#include "base/task.h"
#include "http/head.h"
#include "http/head_parser.h"
#include "net/stream.h"

namespace nines::http {

class MessageReader {
 public:
  // The stream must outlive the reader.
  MessageReader(net::Stream& stream, Side side, ReadLimits limits = {});
  ~MessageReader();
  MessageReader(MessageReader&&) noexcept;

  // Reads the next head into `head`, which stays alive until the message is done. False: the stream ended cleanly,
  // between messages. REQUIRES: the body of the message before has been read to its end. kProtocol, kLimit: refusal()
  // is the status that says so. kClosed (ended in the middle), and what the stream says.
  Task<Result<bool>> head(Head& head);
  int refusal() const;

  // The next answer has no body, whatever its fields say (it answers HEAD). Until the next head().
  void expect_no_body();

  // The next piece of the body; empty at the end of the message. Valid until the next call. kClosed: the stream ended
  // before the body did. kProtocol: bad chunks.
  Task<Result<std::string_view>> body();

  // The whole message has been read.
  bool message_done() const;
  // Bytes beyond the current message were received already: a pipelined request, or junk after an answer.
  bool has_more() const;
  // Those bytes, for whoever goes on with the stream in another protocol. Valid until the next call.
  // REQUIRES: message_done().
  std::string_view take_rest();
  // Gives the buffer back while nothing is in it: an idle connection needs none. A piece of a body is not valid
  // any longer.
  void release_buffer();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nines::http
