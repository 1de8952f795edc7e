// The connections of one server on one loop: accepting, the limit on their number, the wait between two requests, and
// draining. What happens on a connection is the owner's: http::Server answers whole messages, the gateway streams.
#pragma once

#include <functional>
#include <memory>

#include "base/task.h"
#include "http/reader.h"
#include "net/loop.h"
#include "net/stream.h"

namespace nines::http {

class Connections {
 public:
  // Lives as long as the connection; `refused`: it is one too many, say so and end.
  using Each = std::function<Task<void>(std::unique_ptr<net::Stream> stream, bool refused)>;

  Connections(net::Loop& loop, std::size_t limit, Each each);
  // REQUIRES: drained, or the loop has ended.
  ~Connections() = default;

  // Starts accepting. May be called for several listeners.
  void serve(std::unique_ptr<net::Listener> listener);

  // Waits for the next request on a connection, without a buffer. False: none will come.
  Task<bool> next_request(net::Stream& stream, MessageReader& reader, Duration keep_alive);

  // Stops accepting, closes connections that wait for a request, lets begun requests be answered, and returns when the
  // last connection has gone. After `patience` it cancels what is left.
  Task<void> drain(Duration patience);
  // Answers say `Connection: close` from now on.
  bool draining() const { return draining_; }

  std::size_t open() const { return connections_.running(); }
  std::uint64_t refused() const { return refused_; }

 private:
  Task<void> accept(std::unique_ptr<net::Listener> listener);

  net::Loop& loop_;
  std::size_t limit_;
  Each each_;
  bool draining_ = false;
  std::uint64_t refused_ = 0;
  TaskGroup accepting_;
  TaskGroup connections_;
  CancelScope idle_{&connections_.scope()};  // of the connections that wait for a request
};

// Ends a connection after an answer without taking the answer with it: closing with unread bytes would reset it. Says
// that we are done, and reads on until the client is, one second at most.
Task<void> close_gently(net::Stream& stream);

}  // namespace nines::http
