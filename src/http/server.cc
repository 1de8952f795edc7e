#include "http/server.h"

#include "http/connections.h"

namespace nines::http {

struct Server::State {
  State(net::Loop& l, Handler h, ServerLimits lim)
      : loop(l), handler(std::move(h)), limits(lim), connections(l, lim.connections, [this](auto stream, bool refused) {
          return connection(std::move(stream), refused);
        }) {}

  net::Loop& loop;
  Handler handler;
  ServerLimits limits;
  Connections connections;

  Task<void> connection(std::unique_ptr<net::Stream> stream, bool refused);
  Task<bool> exchange(net::Stream& stream, MessageReader& reader, Request& request);
  Task<Result<Response>> read_and_handle(net::Stream& stream, MessageReader& reader, Request& request);
  Task<Result<>> answer(net::Stream& stream, const Response& response, AnswerTo to = {});
};

Task<void> Server::State::connection(std::unique_ptr<net::Stream> stream, bool refused) {
  if (refused) {
    (void)co_await answer(*stream, error_response(503, "too many connections", "overloaded"));
    co_return;
  }
  MessageReader reader(*stream, Side::kRequests, limits.head);
  Request request;
  request.peer = stream->peer();
  while (co_await connections.next_request(*stream, reader, limits.keep_alive)) {
    if (!co_await exchange(*stream, reader, request)) co_return;
  }
}

// One request and its answer. True: the connection can take another.
Task<bool> Server::State::exchange(net::Stream& stream, MessageReader& reader, Request& request) {
  stream.read_deadline(loop.now() + limits.head_time);
  const auto got = co_await reader.head(request.head);
  if (got && !*got) co_return false;
  if (!got && got.error().code() == Code::kClosed) co_return false;
  if (!got) {
    (void)co_await answer(stream, response_to(got.error(), reader.refusal()));
    co_return false;
  }
  auto response = co_await read_and_handle(stream, reader, request);
  if (!response) co_return false;  // the client went away in the middle of its request
  const bool keep = request.head.keep_alive() && reader.message_done() && !connections.draining();
  const auto answered = co_await answer(stream, *response,
                                        {.head_only = request.head.method() == "HEAD",
                                         .keep_alive = keep,
                                         .old_client = request.head.minor_version() == 0});
  if (!answered && answered.error().code() == Code::kTimedOut) stream.reset();
  co_return answered&& keep;
}

Task<Result<Response>> Server::State::read_and_handle(net::Stream& stream, MessageReader& reader, Request& request) {
  request.body.clear();
  const Head& head = request.head;
  const auto too_large = [&] {
    return error_response(413, "the body may have " + std::to_string(limits.body_bytes) + " bytes", "body_too_large");
  };
  if (head.framing() == Framing::kLength && head.content_length() > limits.body_bytes) co_return too_large();
  if (head.expects_continue()) {
    if (auto sent = co_await stream.write("HTTP/1.1 100 Continue\r\n\r\n"); !sent) co_return failure(sent.error());
  }
  while (true) {
    stream.read_deadline(loop.now() + limits.body_idle);
    const auto piece = co_await reader.body();
    if (!piece && piece.error().code() == Code::kClosed) co_return failure(piece.error());
    if (!piece) co_return response_to(piece.error(), 0);
    if (piece->empty()) break;
    if (request.body.size() + piece->size() > limits.body_bytes) co_return too_large();
    request.body += *piece;
  }
  co_return co_await handler(request);
}

Task<Result<>> Server::State::answer(net::Stream& stream, const Response& response, AnswerTo to) {
  to.write_idle = limits.write_idle;
  auto written = co_await send_answer(stream, response, to);
  if (written && !to.keep_alive) co_await close_gently(stream);
  co_return written;
}

Server::Server(net::Loop& loop, Handler handler, ServerLimits limits)
    : state_(std::make_unique<State>(loop, std::move(handler), limits)) {}
Server::~Server() = default;

void Server::serve(std::unique_ptr<net::Listener> listener) { state_->connections.serve(std::move(listener)); }

std::size_t Server::connections() const { return state_->connections.open(); }
std::uint64_t Server::connections_refused() const { return state_->connections.refused(); }

Task<void> Server::drain(Duration patience) { co_await state_->connections.drain(patience); }

}  // namespace nines::http
