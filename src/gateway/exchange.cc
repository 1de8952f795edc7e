#include "gateway/exchange.h"

#include <cstdio>

#include "http/answer.h"
#include "http/writer.h"

namespace nines::gateway {
namespace {

std::string new_request_id(Random& random) {
  char text[40];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(random.next()),
                static_cast<unsigned long long>(random.next()));
  return text;
}

}  // namespace

Exchange::Exchange(Shop& shop, net::Stream& client, http::MessageReader& reader, const http::Head& request)
    : shop_(shop), client_(client), reader_(reader), request_(request), begun_(shop.loop.now()) {
  const auto sent_id = request_.find("x-request-id");
  request_id_ = sent_id && is_sane_request_id(*sent_id) ? std::string(*sent_id) : new_request_id(shop_.random);
  client_host_ = client_.peer().host();
}

Task<Exchange::Then> Exchange::run() {
  if (const char* const problem = target_problem(request_)) co_return co_await refuse({400, "bad_target", problem});
  if (const auto then = co_await keep_body()) co_return *then;
  // The client's leaving cancels the work done for it, in whatever state that is.
  struct Watch {
    Watch(net::Stream& c, CancelScope& scope) : client(c) { client.cancel_on_close(&scope); }
    ~Watch() { client.cancel_on_close(nullptr); }
    net::Stream& client;
  };
  client_left_.join(co_await current_scope());
  const Watch watch(client_, client_left_);
  co_return co_await serve();
}

// Reads the body until it is whole or no more can be kept. Slow clients are waited for here, where they hold no
// replica.
Task<std::optional<Exchange::Then>> Exchange::keep_body() {
  const Settings& s = shop_.settings;
  if (request_.framing() == http::Framing::kLength && request_.content_length() > s.body_bytes) {
    co_return co_await refuse({413, "body_too_large", "the body may have " + std::to_string(s.body_bytes) + " bytes"});
  }
  if (request_.expects_continue() && !co_await client_.write("HTTP/1.1 100 Continue\r\n\r\n")) co_return Then::kGone;
  while (body_.size() < s.body_kept && !body_whole_) {
    client_.read_deadline(shop_.loop.now() + s.body_idle);
    const auto piece = co_await reader_.body();
    if (!piece) {
      const Refusal refusal = refusal_of_body(piece.error());
      if (refusal.status == 0) co_return Then::kGone;
      co_return co_await refuse(refusal);
    }
    body_ += *piece;
    body_whole_ = reader_.message_done();
  }
  client_.read_deadline(Instant::never());
  co_return std::nullopt;
}

// Why the rest of the body did not come; status 0: nobody is there any more to be told.
Exchange::Refusal Exchange::refusal_of_body(const Error& error) const {
  if (error.code() == Code::kTimedOut) return {408, "timeout", "the body did not arrive in time"};
  if (error.code() == Code::kProtocol) return {400, "bad_request", "not a valid body: " + error.message()};
  return {0, "", ""};
}

Task<Exchange::Then> Exchange::serve() {
  shop_.retries.on_request(begun_);
  Replays replays(shop_.settings.replay, shop_.retries);
  while (true) {
    const auto slot = co_await choose_replica();
    if (client_left_.cancelled()) co_return Then::kGone;
    if (!slot) {
      shop_.table.service.unroutable.fetch_add(1, std::memory_order_relaxed);
      const std::string why =
          replays.repetitions() > 0 ? "no other replica could take it after: " + error_.text() : error_.text();
      co_return co_await refuse({503, "no_replica", why, 1});
    }
    switch (co_await attempt(*slot)) {
      case Ended::kAnswered: co_return keep_ ? Then::kAnother : Then::kClose;
      case Ended::kBrokenOff: co_return Then::kGone;
      case Ended::kClientLeft:
        if (client_fault_ && client_fault_->status != 0) co_return co_await refuse(*client_fault_);
        co_return Then::kGone;
      case Ended::kFailed: break;
    }
    // A connection that had waited idle and broke as it was used again says nothing about its replica, which may have
    // been closing it: ask it once more, over a new one.
    fresh_only_ = reused_ && error_.code() == Code::kClosed && !lost_;
    if (fresh_only_) tried_.pop_back();
    const auto [verdict, pause] = replays.after({.harmless_twice = harmless_twice(),
                                                 .sent = sent_,
                                                 .body_kept = !body_sent_on_,
                                                 .stale = fresh_only_,
                                                 .lost = lost_},
                                                shop_.loop.now(), shop_.random.unit());
    if (verdict != Replay::kAgain) co_return co_await refuse(refusal_for(verdict));
    shop_.table.service.replayed.fetch_add(1, std::memory_order_relaxed);
    if (pause > 0ns) (void)co_await shop_.loop.sleep(pause);
  }
}

bool Exchange::harmless_twice() const {
  return is_idempotent(request_.method()) || shop_.settings.routes.match(request_.path()).replay_safe ||
         request_.find("idempotency-key").has_value();
}

Task<std::optional<std::size_t>> Exchange::choose_replica() {
  Upstreams& upstreams = shop_.upstreams;
  const Instant until = shop_.loop.now() + shop_.settings.admission.queue_time;
  struct Wait {
    static Task<Result<>> run(net::Condition& condition, Instant t) { co_return co_await condition.wait(t); }
  };
  while (true) {
    if (const auto slot = upstreams.choose(tried_)) co_return slot;
    if (upstreams.routable().waiting() >= shop_.settings.admission.queue) co_return std::nullopt;
    if (!co_await Wait::run(upstreams.routable(), until).under(client_left_)) co_return std::nullopt;
  }
}

Task<Exchange::Ended> Exchange::attempt(std::size_t slot) {
  Attempt attempt(shop_.upstreams, slot, &client_left_);
  tried_.push_back(attempt.incarnation());
  last_replica_ = shop_.upstreams.name(slot);
  sent_ = false;
  const Ended ended = co_await talk(attempt).under(client_left_);
  if (ended != Ended::kFailed) co_return ended;
  if (client_left_.cancelled() || client_fault_) {
    if (!client_fault_ || client_fault_->status == 0)
      shop_.table.service.abandoned.fetch_add(1, std::memory_order_relaxed);
    co_return Ended::kClientLeft;
  }
  lost_ = attempt.replica_gone();
  if (lost_ && error_.code() == Code::kCancelled) error_ = Error(Code::kClosed, "its process ended");
  attempt.failed();
  co_return ended;
}

Task<Exchange::Ended> Exchange::talk(Attempt& attempt) {
  auto upstream = co_await connection_to(attempt.slot()).under(attempt.scope());
  if (!upstream) {
    error_ = std::move(upstream.error());
    co_return Ended::kFailed;
  }
  if (auto sent = co_await send(**upstream).under(attempt.scope()); !sent) {
    error_ = std::move(sent.error());
    co_return Ended::kFailed;
  }
  const auto piece = co_await first_bytes(**upstream).under(attempt.scope());
  if (!piece) {
    error_ = piece.error();
    co_return Ended::kFailed;
  }
  attempt.answered(answer_.status(), shop_.loop.now() - sent_at_);
  const Ended ended = co_await relay(attempt, **upstream, *piece);
  if (ended == Ended::kAnswered && reusable(**upstream)) shop_.upstreams.give_back(attempt, std::move(*upstream));
  co_return ended;
}

Task<Result<std::unique_ptr<UpstreamConnection>>> Exchange::connection_to(std::size_t slot) {
  reused_ = false;
  if (!fresh_only_) {
    if (auto idle = shop_.upstreams.take(slot)) {
      reused_ = true;
      co_return idle;
    }
  }
  auto stream = co_await shop_.loop.connect(shop_.upstreams.address(slot), shop_.settings.connect_time);
  if (!stream) co_return failure(std::move(stream.error()));
  co_return std::make_unique<UpstreamConnection>(std::move(*stream), shop_.settings.head);
}

Task<Result<>> Exchange::send(UpstreamConnection& upstream) {
  net::Stream& stream = *upstream.stream;
  const Settings& s = shop_.settings;
  head_text_.clear();
  const auto length = body_whole_ ? std::optional<std::uint64_t>(body_.size()) : std::nullopt;
  write_upstream_head(head_text_, request_, {client_host_, request_id_}, length);

  const bool chunked = !body_whole_ && request_.framing() == http::Framing::kChunked;
  stream.write_deadline(shop_.loop.now() + s.answer_idle);
  sent_ = true;
  sent_at_ = shop_.loop.now();
  const http::ChunkHead first(body_.size());
  auto written = chunked ? co_await stream.write({head_text_, first.view(), body_, http::kChunkEnd})
                         : co_await stream.write({head_text_, body_});
  for (std::uint64_t passed = body_.size(); written && !body_whole_;) {
    client_.read_deadline(shop_.loop.now() + s.body_idle);
    const auto piece = co_await reader_.body();
    // Cancelled means that the replica is gone, or that the client was seen to leave.
    if (!piece && piece.error().code() != Code::kCancelled) client_fault_ = refusal_of_body(piece.error());
    if (!piece) co_return failure(piece.error());
    if (piece->empty()) {
      if (chunked) written = co_await stream.write(http::kLastChunk);
      break;
    }
    body_sent_on_ = true;
    passed += piece->size();
    if (passed > s.body_bytes) {
      client_fault_ = {413, "body_too_large", "the body may have " + std::to_string(s.body_bytes) + " bytes"};
      co_return failure(Code::kLimit, client_fault_->message);
    }
    const http::ChunkHead next(piece->size());
    stream.write_deadline(shop_.loop.now() + s.answer_idle);
    written = chunked ? co_await stream.write({next.view(), *piece, http::kChunkEnd}) : co_await stream.write(*piece);
    sent_at_ = shop_.loop.now();
  }
  client_.read_deadline(Instant::never());
  // A replica may answer and close before it has read everything: then its answer counts.
  if (!written && written.error().code() == Code::kClosed) co_return Result<>{};
  co_return written;
}

Task<Result<std::string_view>> Exchange::first_bytes(UpstreamConnection& upstream) {
  upstream.stream->read_deadline(sent_at_ + shop_.settings.patience.first_byte);
  while (true) {
    if (request_.method() == "HEAD") upstream.reader.expect_no_body();
    const auto got = co_await upstream.reader.head(answer_);
    if (!got) co_return failure(got.error());
    if (!*got) co_return failure(Code::kClosed, "it closed the connection without an answer");
    if (answer_.status() == 101) co_return failure(Code::kProtocol, "it switched protocols without being asked");
    if (answer_.status() >= 200) break;
  }
  co_return co_await upstream.reader.body();
}

// After the answer. (An answer of unknown length to a client of HTTP/1.0 ends with the connection.)
bool Exchange::may_keep_connection() const {
  return request_.keep_alive() && !shop_.connections.draining() && coding_for_client() != BodyCoding::kUntilClose &&
         reader_.message_done();
}

BodyCoding Exchange::coding_for_client() const {
  switch (answer_.framing()) {
    case http::Framing::kNone: return BodyCoding::kNone;
    case http::Framing::kLength: return BodyCoding::kLength;
    default: return request_.minor_version() >= 1 ? BodyCoding::kChunked : BodyCoding::kUntilClose;
  }
}

Task<Exchange::Ended> Exchange::relay(Attempt& attempt, UpstreamConnection& upstream, std::string_view piece) {
  const Settings& s = shop_.settings;
  const BodyCoding coding = coding_for_client();
  const bool chunked = coding == BodyCoding::kChunked;
  keep_ = may_keep_connection();
  head_text_.clear();
  write_client_head(head_text_, answer_, {client_host_, request_id_, request_.minor_version() == 0}, coding, keep_);

  std::string_view head = head_text_;
  while (true) {
    const bool last = upstream.reader.message_done();
    const http::ChunkHead chunk(piece.size());
    client_.write_deadline(shop_.loop.now() + s.answer_idle);
    const auto written =
        chunked && !piece.empty()
            ? co_await client_.write({head, chunk.view(), piece, http::kChunkEnd, last ? http::kLastChunk : ""})
            : co_await client_.write({head, piece, chunked && last ? http::kLastChunk : ""});
    if (!written) {
      shop_.table.service.abandoned.fetch_add(1, std::memory_order_relaxed);
      client_.reset();
      co_return Ended::kClientLeft;
    }
    if (last) break;
    head = {};
    upstream.stream->read_deadline(shop_.loop.now() + s.answer_idle);
    // Only this waits for the replica: what has arrived of its answer goes out even when it is gone.
    const auto next = co_await upstream.reader.body().under(attempt.scope());
    if (!next) co_return co_await break_off(attempt);
    piece = *next;
  }
  count(answer_.status());
  co_return Ended::kAnswered;
}

// The answer ended before its end. A clean end, or silence, would pass for a whole answer: the client must see it
// break.
Task<Exchange::Ended> Exchange::break_off(Attempt& attempt) {
  client_.reset();
  if (client_left_.cancelled()) {
    shop_.table.service.abandoned.fetch_add(1, std::memory_order_relaxed);
    co_return Ended::kClientLeft;
  }
  shop_.table.observed[attempt.slot()].errors.fetch_add(1, std::memory_order_relaxed);
  count(502);
  co_return Ended::kBrokenOff;
}

bool Exchange::reusable(const UpstreamConnection& upstream) const {
  return answer_.keep_alive() && upstream.reader.message_done() && !upstream.reader.has_more();
}

Exchange::Refusal Exchange::refusal_for(Replay verdict) const {
  const std::string request = std::string(request_.method()) + " " + std::string(request_.path());
  const std::string what = "replica " + last_replica_ + " failed while it had " + request + ": " + error_.text();
  const int status = error_.code() == Code::kTimedOut ? 504 : 502;
  return {status, status == 504 ? "replica_timeout" : "replica_lost",
          what + ". The request was not sent again: " + std::string(reason_of(verdict))};
}

Task<Exchange::Then> Exchange::refuse(Refusal refusal) {
  const bool keep =
      request_.keep_alive() && !shop_.connections.draining() && reader_.message_done() && refusal.status != 400;
  http::Response answer = http::error_response(refusal.status, refusal.message, refusal.code);
  answer.fields.emplace_back("X-Request-Id", request_id_);
  if (refusal.retry_after_seconds > 0)
    answer.fields.emplace_back("Retry-After", std::to_string(refusal.retry_after_seconds));
  const auto written = co_await http::send_answer(client_, answer,
                                                  {.head_only = request_.method() == "HEAD",
                                                   .keep_alive = keep,
                                                   .old_client = request_.minor_version() == 0,
                                                   .write_idle = shop_.settings.answer_idle});
  count(refusal.status);
  if (refusal.status < 500) shop_.table.service.client_errors.fetch_add(1, std::memory_order_relaxed);
  if (!written) co_return Then::kGone;
  co_return keep ? Then::kAnother : Then::kClose;
}

void Exchange::count(int status) {
  plane::ServiceCounters& service = shop_.table.service;
  service.requests.fetch_add(1, std::memory_order_relaxed);
  if (status >= 500) service.errors.fetch_add(1, std::memory_order_relaxed);
  service.latency.record(shop_.loop.now() - begun_);
}

}  // namespace nines::gateway
