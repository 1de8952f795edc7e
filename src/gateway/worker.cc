#include "gateway/worker.h"

#include "http/writer.h"

namespace nines::gateway {

Worker::Worker(net::Loop& loop, plane::Table& table, const Settings& settings, std::uint64_t seed)
    : loop_(loop),
      table_(table),
      settings_(settings),
      random_(seed),
      upstreams_(loop, table, settings, random_.next()),
      shop_{loop, settings, table, upstreams_, connections_, random_},
      connections_(loop, settings.connections,
                   [this](auto stream, bool refused) { return connection(std::move(stream), refused); }) {
  background_.start(prune_now_and_then());
}

Worker::~Worker() = default;

Task<void> Worker::prune_now_and_then() {
  while (co_await loop_.sleep(1s)) upstreams_.prune();
}

Task<void> Worker::drain(Duration patience) {
  co_await connections_.drain(patience);
  background_.cancel();
  co_await background_.join();
  co_await upstreams_.drain();
}

Task<void> Worker::connection(std::unique_ptr<net::Stream> stream, bool refused) {
  if (refused) {
    table_.service.connections_refused.fetch_add(1, std::memory_order_relaxed);
    co_await refuse(*stream, 503, "overloaded", "too many connections");
    co_return;
  }
  struct Counted {
    explicit Counted(std::atomic<std::uint64_t>& n) : count(n) { count.fetch_add(1, std::memory_order_relaxed); }
    ~Counted() { count.fetch_sub(1, std::memory_order_relaxed); }
    std::atomic<std::uint64_t>& count;
  };
  const Counted counted(table_.service.connections[settings_.generation]);
  http::MessageReader reader(*stream, http::Side::kRequests, settings_.head);
  http::Head head;
  while (co_await connections_.next_request(*stream, reader, settings_.keep_alive)) {
    if (!co_await request(*stream, reader, head)) co_return;
  }
}

Task<bool> Worker::request(net::Stream& stream, http::MessageReader& reader, http::Head& head) {
  stream.read_deadline(loop_.now() + settings_.head_time);
  const auto got = co_await reader.head(head);
  if (got && *got) {
    Exchange exchange(shop_, stream, reader, head);
    const Exchange::Then then = co_await exchange.run();
    if (then == Exchange::Then::kClose) co_await http::close_gently(stream);
    co_return then == Exchange::Then::kAnother;
  }
  if (!got) {
    switch (got.error().code()) {
      case Code::kTimedOut: co_await refuse(stream, 408, "timeout", "the request did not arrive in time"); break;
      case Code::kLimit: co_await refuse(stream, 431, "head_too_large", got.error().message()); break;
      case Code::kProtocol:
        co_await refuse(stream, 400, "bad_request", "not a valid HTTP request: " + got.error().message());
        break;
      default: break;  // nobody is there to read an answer
    }
  }
  co_return false;
}

// Before there is a request: the connection ends with this.
Task<void> Worker::refuse(net::Stream& stream, int status, std::string_view code, std::string_view message) {
  const std::string body = http::error_body(message, status >= 500 ? "server_error" : "invalid_request_error", code);
  std::string head;
  http::write_status_line(head, status);
  http::write_field(head, "Content-Type", "application/json");
  http::write_field(head, "Content-Length", body.size());
  http::write_field(head, "Connection", "close");
  http::end_head(head);
  if (status < 500) table_.service.client_errors.fetch_add(1, std::memory_order_relaxed);
  stream.write_deadline(loop_.now() + 1s);
  if (co_await stream.write({head, body})) co_await http::close_gently(stream);
}

}  // namespace nines::gateway
