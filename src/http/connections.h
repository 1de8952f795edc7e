// The connections of one server on one loop: accepting, the limit on their number, the wait between two requests, and
// draining. What happens on a connection is the owner's: http::Server answers whole messages, the gateway streams.
//
// Of one connection:
//
//            a request came         answered, and it may stay
//   waiting ----------------> busy ---------------------------> waiting      while serving
//                              | answered "Connection: close"
//                              +---------------------------------------> ended
//
//   draining: every answer is its connection's last, and a wait lasts Patience::idle at most.
//
// A client that reads "Connection: close" knows that the connection is over. One whose waiting connection is closed may
// be sending at that very moment, and loses a request. So whoever has a successor on the same listening sockets lets
// connections wait for one request more.
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

  // Returns when nothing more is accepted here. What was is served; what waits in the kernel's queue is left to others
  // who hold the listening socket.
  Task<void> stop_accepting();

  struct Patience {
    Duration begun{};    // what is left then is cancelled
    Duration idle = 0s;  // how long a connection may still wait for a request
  };
  // Stops accepting, lets what was begun be answered, and returns when the last connection has gone.
  Task<void> drain(Patience patience);
  Task<void> drain(Duration begun) { return drain(Patience{.begun = begun}); }
  // While draining: no connection waits for a request any longer.
  void close_idle();
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
  Duration linger_ = 0s;  // Patience::idle
  std::uint64_t refused_ = 0;
  TaskGroup accepting_;
  TaskGroup connections_;
  CancelScope idle_{&connections_.scope()};       // of the connections that wait for a request, while serving
  CancelScope lingering_{&connections_.scope()};  // the same, while draining
};

// Ends a connection after an answer without taking the answer with it: closing with unread bytes would reset it. Says
// that we are done, and reads on until the client is, one second at most.
Task<void> close_gently(net::Stream& stream);

}  // namespace nines::http
