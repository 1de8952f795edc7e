#include "gateway/worker.h"

#include "gateway/tenure.h"

namespace nines::gateway {
namespace {

// Of a worker that leaves, and is told nothing any more. A route is looked at with every request; this is for verdicts
// and for what is in flight on a replica that goes.
constexpr Duration kRefresh = 20ms;

}  // namespace

Worker::Worker(net::Loop& loop, plane::Table& table, const Settings& settings, std::uint64_t seed)
    : loop_(loop),
      table_(table),
      settings_(settings),
      random_(seed),
      upstreams_(loop, table, settings, random_.next()),
      queue_(loop, settings.admission, queue_share(settings.admission, settings.workers), random_.next()),
      retries_(settings.retry_budget),
      shop_{loop, settings, table, upstreams_, queue_, retries_, connections_, random_},
      connections_(loop, settings.connections,
                   [this](auto stream, bool refused) { return connection(std::move(stream), refused); }) {
  background_.start(prune_now_and_then());
}

Worker::~Worker() = default;

Task<void> Worker::prune_now_and_then() {
  while (co_await loop_.sleep(1s)) upstreams_.prune();
}

void Worker::refresh() {
  upstreams_.refresh();
  queue_.wake_head();
}

Task<void> Worker::refresh_now_and_then() {
  while (co_await loop_.sleep(kRefresh)) refresh();
}

Task<void> Worker::stop_accepting() {
  if (!std::exchange(leaving_, true)) background_.start(refresh_now_and_then());
  co_await connections_.stop_accepting();
}

Task<void> Worker::drain(http::Connections::Patience patience) {
  co_await stop_accepting();
  co_await connections_.drain(patience);
  background_.cancel();
  co_await background_.join();
  co_await upstreams_.drain();
}

Task<void> Worker::connection(std::unique_ptr<net::Stream> stream, bool refused) {
  if (refused) {
    table_.service.connections_refused.fetch_add(1, std::memory_order_relaxed);
    count(plane::Outcome::kBad);
    co_await refuse(*stream, http::error_response(503, "too many connections", "overloaded"));
    co_return;
  }
  const Share open(table_, table_.service.connections, settings_.epoch);
  http::MessageReader reader(*stream, http::Side::kRequests, settings_.head);
  while (co_await connections_.next_request(*stream, reader, settings_.keep_alive)) {
    if (!co_await request(*stream, reader)) co_return;
  }
}

Task<bool> Worker::request(net::Stream& stream, http::MessageReader& reader) {
  const BufferPool::Lent buffers = shop_.buffers.lend();
  stream.read_deadline(loop_.now() + settings_.head_time);
  const auto got = co_await reader.head(buffers->request);
  if (got && *got) {
    Exchange exchange(shop_, stream, reader, *buffers);
    const Exchange::Then then = co_await exchange.run();
    if (then == Exchange::Then::kClose) co_await http::close_gently(stream);
    co_return then == Exchange::Then::kAnother;
  }
  if (!got) {
    switch (got.error().code()) {
      case Code::kTimedOut:
        table_.service.timeouts[static_cast<std::size_t>(plane::Timeout::kRequestHead)].fetch_add(
            1, std::memory_order_relaxed);
        co_await refuse(stream, http::response_to(got.error(), 0), plane::name_of(plane::Timeout::kRequestHead));
        break;
      case Code::kLimit:
      case Code::kProtocol:
        co_await refuse(stream, http::response_to(got.error(), reader.refusal()), "bad_request");
        break;
      default: break;  // nobody is there to read an answer
    }
  }
  co_return false;
}

void Worker::count(plane::Outcome outcome) {
  table_.service.outcomes[static_cast<std::size_t>(outcome)].fetch_add(1, std::memory_order_relaxed);
}

// Before there is a request: the connection ends with this.
Task<void> Worker::refuse(net::Stream& stream, const http::Response& answer, std::string_view cause) {
  if (answer.status < 500) {
    table_.service.client_errors.fetch_add(1, std::memory_order_relaxed);
    count(plane::Outcome::kExcluded);
  }
  // Connections over the limit are only counted: a flood of them would push everything else out of the log.
  if (!cause.empty() && shop_.log != nullptr && shop_.log->on()) {
    const std::string client = stream.peer().host();
    shop_.log->add({.at = loop_.wall_now(),
                    .client = client,
                    .status = answer.status,
                    .bytes_out = answer.body.size(),
                    .cause = cause});
  }
  if (co_await http::send_answer(stream, answer, {.write_idle = 1s})) co_await http::close_gently(stream);
}

}  // namespace nines::gateway
