// The body of one answer on its way from a replica to a client.
//
//   first()   waits for what is worth the client's while: the first bytes of a body, of an event stream the first
//             data event. Until then the client has nothing, and the request may be sent elsewhere.
//   rest()    writes the head and what there is, then the rest as it comes.
//
// An event stream is handed on event by event, as they come (http/sse.h says why not in pieces). Comments are handed
// on, and count for nothing.
//
// A broken answer never ends cleanly: an event stream is told so by an event of its own (stream_interrupted), and then,
// like any other, its connection breaks before the body's end.
//
// Thread: the worker's.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/task.h"
#include "gateway/forward.h"
#include "gateway/settings.h"
#include "http/head.h"
#include "http/reader.h"
#include "http/sse.h"
#include "net/stream.h"

namespace nines::gateway {

struct RelayTimes {
  Duration answer_idle;  // between two pieces of an answer, either side
  Duration stream_idle;  // between two data events of a stream
  Duration gone_grace;   // between two pieces, once the replica is known to be gone
};

// What becomes of the rest of an answer when its client has gone.
enum class ClientGone : std::uint8_t {
  kEnds,      // nobody reads it, and the replica may stop making it
  kReadsOut,  // it is read to its end and thrown away: there are servers that crash when they are not
};

class AnswerRelay {
 public:
  // All of them outlive the relay. `answer` is what the replica has said; `early` is empty, and its memory to use.
  AnswerRelay(RelayTimes times, ClientGone when_gone, net::Stream& client, net::Stream& replica,
              http::MessageReader& reader, const http::Head& answer, BodyCoding coding, std::string& early);

  bool is_event_stream() const { return events_.has_value(); }

  // What the stream and the reader say. After kTimedOut it may be called again.
  Task<Result<>> first();

  enum class Ended : std::uint8_t {
    kWhole,         // the client has all of it
    kReplicaBroke,  // the replica broke off or fell silent; the client has seen it break
    kClientLeft,    // the client has gone, or takes nothing; its connection is reset
  };
  // REQUIRES: first() has succeeded. Cancelling `reading` ends it, unless that is because the replica is_gone(): what
  // that sent before, which may be megabytes in the sockets, goes out all the same, as slowly as the client takes it.
  // `on_bytes` is called whenever something came from the replica.
  Task<Ended> rest(std::string_view head, CancelScope& reading, const std::function<bool()>& is_gone,
                   const std::function<void()>& on_bytes);

  // REQUIRES: it did not end kWhole.
  const Error& error() const { return *error_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  Task<Result<std::string_view>> next(CancelScope& reading, const std::function<bool()>& is_gone);
  bool take(std::string_view piece);
  Task<bool> put_out(std::string_view head);
  Task<Ended> break_off(Error why);

  RelayTimes times_;
  const ClientGone when_gone_;
  bool gone_ = false;  // the client has, and the answer is read out
  net::Stream& client_;
  net::Stream& replica_;
  http::MessageReader& reader_;
  const BodyCoding coding_;
  std::optional<http::EventHold> events_;  // of an event stream
  std::string& early_;                     // what came before the first data event
  http::EventHold::Out now_;               // what goes out next
  Instant progress_at_;                    // of an event stream: its last data event
  std::uint64_t bytes_ = 0;
  std::optional<Error> error_;
};

}  // namespace nines::gateway
