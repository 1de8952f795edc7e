// An HTTP/1.1 server for whole messages: requests are read completely (up to a limit), then handled, then answered.
// The bundled AI server, the control socket and the dashboard are made of it. The gateway is not: it streams.
//
// Wrong framing, too much of anything and slowness are answered here, as OpenAI-style error objects; a handler sees
// only whole, valid requests.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/task.h"
#include "http/answer.h"
#include "http/head.h"
#include "http/reader.h"
#include "net/loop.h"
#include "net/stream.h"

namespace nines::http {

struct Request {
  Head head;
  std::string body;
  net::Address peer;
};

struct ServerLimits {
  ReadLimits head;
  std::size_t body_bytes = 1024 * 1024;  // 413 beyond
  std::size_t connections = 4096;        // further ones get 503 and are closed
  Duration head_time = 10s;              // from the first byte of a request to the end of its head; then 408
  Duration body_idle = 30s;              // between two pieces of a body; then 408
  Duration keep_alive = 75s;             // between two requests; then the connection is closed
  Duration write_idle = 30s;             // the client takes nothing of its answer; then a reset
};

class Server {
 public:
  // May run side by side with itself. An exception it throws ends the program.
  using Handler = std::function<Task<Response>(Request&)>;

  Server(net::Loop& loop, Handler handler, ServerLimits limits = {});
  // REQUIRES: drained, or the loop has ended.
  ~Server();

  // Starts accepting. May be called for several listeners.
  void serve(std::unique_ptr<net::Listener> listener);

  // Stops accepting, closes idle connections, lets requests that were begun be answered, and returns when the last has
  // gone; after `patience` it resets what is left.
  Task<void> drain(Duration patience);

  std::size_t connections() const;
  std::uint64_t connections_refused() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace nines::http
