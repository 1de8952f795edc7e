#include "gateway/exchange.h"

#include <array>

#include "gateway/consistent_hash.h"
#include "gateway/tenure.h"
#include "gateway/tunnel.h"
#include "http/answer.h"
#include "http/writer.h"

namespace nines::gateway {
namespace {

void write_hex(std::string& out, std::uint64_t number) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::array<char, 16> text;
  for (char& digit : text) digit = kDigits[std::exchange(number, number << 4) >> 60];
  out.append(text.data(), text.size());
}

// The client's leaving cancels the work done for it, in whatever state that is.
struct Watch {
  Watch(net::Stream& c, CancelScope& scope) : client(c) { client.cancel_on_close(&scope); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
  ~Watch() { client.cancel_on_close(nullptr); }
  net::Stream& client;
};

PatienceLimits patience_of(const Settings& settings, const RouteRule& route) {
  PatienceLimits patience = settings.patience;
  patience.first_byte = route.first_byte.value_or(patience.first_byte);
  patience.first_byte_max = std::max(patience.first_byte_max, patience.first_byte);
  return patience;
}

// A person at a browser, rather than a program: those take JSON, or whatever comes.
bool wants_html(const http::Head& request) {
  const auto accept = request.find("accept");
  return accept && accept->find("text/html") != std::string_view::npos;
}

void add_one(std::atomic<std::uint64_t>& counter) { counter.fetch_add(1, std::memory_order_relaxed); }

}  // namespace

Exchange::Exchange(Shop& shop, net::Stream& client, http::MessageReader& reader, Buffers& buffers)
    : shop_(shop),
      client_(client),
      reader_(reader),
      buffers_(buffers),
      request_(buffers.request),
      answer_(buffers.answer),
      route_(shop.settings.routes.match(buffers.request.path())),
      begun_(shop.loop.now()),
      client_host_(client.peer().host()),
      body_(shop.settings, route_.body_bytes.value_or(shop.settings.body_bytes), shop.kept, client, reader,
            buffers.request, buffers.body),
      replays_(shop.settings.replay, shop.retries) {
  const auto sent_id = request_.find("x-request-id");
  if (sent_id && is_sane_request_id(*sent_id)) {
    buffers_.request_id = *sent_id;
  } else {
    write_hex(buffers_.request_id, shop_.random.next());
    write_hex(buffers_.request_id, shop_.random.next());
  }
}

Task<Exchange::Then> Exchange::run() {
  const Then then = co_await answer();
  count();
  if (shop_.log != nullptr && shop_.log->on()) log();
  co_return then;
}

Task<Exchange::Then> Exchange::answer() {
  if (!co_await body_.keep()) {
    if (body_.fault()->status == 408) timed_out(plane::Timeout::kRequestBody);
    co_return co_await refuse(*body_.fault());
  }
  client_left_.join(co_await current_scope());
  std::optional<Watch> watch;
  if (shop_.settings.cancel_upstream) watch.emplace(client_, client_left_);
  const Then then = co_await serve();
  shop_.upstreams.report(blame_);
  co_return then;
}

Task<Exchange::Then> Exchange::serve() {
  shop_.retries.on_request(begun_);
  asked_ = shop_.loop.now();
  while (true) {
    const Admitted admitted = co_await slot();
    if (client_left_.cancelled()) co_return Then::kGone;
    if (admitted.what != Admitted::What::kSlot) co_return co_await refuse(no_slot(admitted));
    switch (co_await attempt(admitted.slot)) {
      case Ended::kAnswered: co_return keep_ ? Then::kAnother : Then::kClose;
      case Ended::kBrokenOff: co_return Then::kGone;
      case Ended::kClientLeft: co_return co_await refuse(body_.fault().value_or(Refusal{}));
      case Ended::kPassedOver: add_one(shop_.table.service.replayed); continue;
      case Ended::kFailed: break;
    }
    // A connection that had waited idle and broke as it was used again says nothing about its replica, which may have
    // been closing it: ask it once more, over a new one.
    fresh_only_ = reused_ && error_->code() == Code::kClosed && !exited_;
    if (fresh_only_) buffers_.tried.pop_back();
    const auto [verdict, pause] = replays_.after({.harmless_twice = harmless_twice(),
                                                  .sent = sent_,
                                                  .body_kept = body_.replayable(),
                                                  .stale = fresh_only_,
                                                  .lost = exited_ ? Lost::kExited
                                                          : hung_ ? Lost::kHung
                                                                  : Lost::kNo},
                                                 shop_.loop.now(), shop_.random.unit());
    if (verdict == Replay::kBudgetSpent) add_one(shop_.table.service.retries_denied);
    if (verdict != Replay::kAgain) co_return co_await refuse(refusal_for(verdict));
    add_one(shop_.table.service.replayed);
    if (exited_) add_one(shop_.table.service.replays_after_exit);
    if (pause > 0ns) (void)co_await shop_.loop.sleep(pause);
  }
}

bool Exchange::harmless_twice() const {
  return is_idempotent(request_.method()) || route_.replay_safe || request_.find("idempotency-key").has_value();
}

// What decides which replica it belongs to, on a route where that matters.
std::optional<std::uint64_t> Exchange::hash_key() const {
  const auto value = route_.hash_header.empty() ? std::nullopt : request_.find(route_.hash_header);
  return value ? std::optional(hash_of(*value)) : std::nullopt;
}

Task<Admitted> Exchange::slot() {
  const auto pick = [this, key = hash_key()]() -> Pick { return shop_.upstreams.pick(buffers_.tried, key); };
  const Pick now = shop_.queue.waiting() == 0 ? pick() : Pick{.what = Pick::What::kFull};
  if (now.what == Pick::What::kSlot) co_return Admitted{.what = Admitted::What::kSlot, .slot = now.slot};
  const Share waiting(shop_.table, shop_.table.service.waiting, shop_.settings.epoch);
  // While it waits, no replica has anything of it that could not be cancelled.
  std::optional<Watch> watch;
  if (!shop_.settings.cancel_upstream) watch.emplace(client_, client_left_);
  const Instant until = shop_.loop.now() + shop_.settings.admission.queue_time;
  const auto joins = buffers_.tried.empty() ? AdmissionQueue::Joins::kAtEnd : AdmissionQueue::Joins::kAhead;
  const AdmissionQueue::Picker picker = pick;
  co_return co_await shop_.queue.admit(picker, until, joins).under(client_left_);
}

// What a request is told that finds no replica to take it.
Refusal Exchange::no_slot(const Admitted& admitted) {
  plane::ServiceCounters& service = shop_.table.service;
  const std::string after = error_ ? " (it was tried: " + error_->text() + ")" : "";
  const int later = admitted.retry_after_seconds;
  switch (admitted.what) {
    case Admitted::What::kFull:
      add_one(service.rejected_queue_full);
      return {503, "overloaded", "all replicas are busy, and as many requests wait as may" + after, later};
    case Admitted::What::kTimedOut:
      add_one(service.rejected_queue_time);
      timed_out(plane::Timeout::kQueue);
      return {503, "overloaded", "all replicas were busy for as long as a request may wait" + after, later};
    default:
      add_one(service.unroutable);
      return {503, "no_replica", (error_ ? "no other replica can take it" : "no replica is ready") + after, later};
  }
}

Task<Exchange::Ended> Exchange::attempt(std::size_t slot) {
  Ended ended;
  const Instant begun = shop_.loop.now();
  {
    Attempt attempt(shop_.upstreams, slot, &client_left_, &blame_);
    if (is_probe()) attempt.of_ourselves();
    buffers_.tried.push_back(attempt.incarnation());
    buffers_.attempts.push_back({slot, "", 0ns});
    sent_ = all_sent_ = exited_ = hung_ = false;
    sent_at_ = begun;
    send_error_.reset();
    ended = co_await talk(attempt).under(client_left_);
    if (ended == Ended::kFailed) co_await learn_of_exit(attempt).under(client_left_);
    ended = judge(attempt, ended);
  }
  shop_.queue.on_attempt_end();
  buffers_.attempts.back().took = shop_.loop.now() - begun;
  co_return ended;
}

// A process that ends closes its connections first, and is seen to have ended a moment later. Who broke off because of
// that is sent elsewhere at nobody's expense, and blames nobody: worth the moment.
Task<void> Exchange::learn_of_exit(const Attempt& attempt) {
  const bool stale = reused_ && error_->code() == Code::kClosed;
  if (stale || !attempt.is_supervised() || (error_->code() != Code::kClosed && error_->code() != Code::kRefused))
    co_return;
  const Instant until = shop_.loop.now() + shop_.settings.exit_known;
  while (!attempt.replica_gone() && shop_.loop.now() < until) {
    if (!co_await shop_.loop.sleep(1ms)) co_return;
  }
}

// Says how it ended to whoever keeps books about replicas.
Exchange::Ended Exchange::judge(Attempt& attempt, Ended ended) {
  std::string_view& outcome = buffers_.attempts.back().outcome;
  if (ended == Ended::kFailed && (client_left_.cancelled() || body_.fault())) ended = Ended::kClientLeft;
  switch (ended) {
    case Ended::kAnswered: outcome = "answered"; break;
    case Ended::kBrokenOff: outcome = "broken_off"; break;
    case Ended::kPassedOver: outcome = "passed_over"; break;
    case Ended::kClientLeft:
      outcome = "client_left";
      if (body_.fault() && body_.fault()->status == 408) timed_out(plane::Timeout::kRequestBody);
      break;
    case Ended::kFailed:
      exited_ = attempt.replica_gone();
      hung_ = attempt.hung().has_value();
      if (error_->code() == Code::kCancelled) {
        if (exited_) error_ = Error(Code::kClosed, "its process ended");
        if (hung_) error_ = Error(Code::kTimedOut, *attempt.hung());
        if (send_error_) error_ = std::move(send_error_);
      }
      attempt.failed(failure_of(error_->code(), sent_, reused_ && !exited_));
      outcome = exited_ ? "exited" : hung_ ? "hung" : name_of(error_->code());
  }
  return ended;
}

Exchange::Ended Exchange::failed(Error error) {
  error_ = std::move(error);
  return Ended::kFailed;
}

// Sends the request and reads the answer side by side: a replica may answer, and stop reading, before it has all.
Task<Exchange::Ended> Exchange::talk(Attempt& attempt) {
  auto upstream = co_await connection_to(attempt.slot()).under(attempt.scope());
  if (!upstream) {
    if (upstream.error().code() == Code::kTimedOut) timed_out(plane::Timeout::kConnect);
    co_return failed(std::move(upstream.error()));
  }
  // For most requests it has ended long before the answer is there: nothing to wait for below.
  TaskGroup sending(&attempt.scope());
  sending.start(send(attempt, *(*upstream)->stream));

  Ended ended;
  if (auto head = co_await receive_head(**upstream).under(attempt.scope()); !head) {
    ended = failed(std::move(head.error()));
  } else {
    ended = co_await pass_on(attempt, **upstream);
  }
  if (!sending.empty()) {
    sending.cancel();
    co_await sending.join();
  }
  if (ended == Ended::kAnswered && all_sent_ && reusable(**upstream))
    shop_.upstreams.give_back(attempt, std::move(*upstream));
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

Task<void> Exchange::send(Attempt& attempt, net::Stream& replica) {
  const auto length = body_.whole() ? std::optional<std::uint64_t>(body_.kept().size()) : std::nullopt;
  buffers_.upstream_head.clear();
  write_upstream_head(buffers_.upstream_head, request_,
                      {.client = client_host_,
                       .request_id = buffers_.request_id,
                       .believed = hands_on_forwarded(client_host_, shop_.settings.trusted_proxies)},
                      length);

  const bool chunked = !body_.whole() && request_.framing() == http::Framing::kChunked;
  const http::ChunkHead chunk(body_.kept().size());
  // The replica's time begins when it has the whole request.
  replica.read_deadline(Instant::never());
  replica.write_deadline(shop_.loop.now() + shop_.settings.answer_idle);
  sent_ = true;
  const auto written =
      chunked && !body_.kept().empty()
          ? co_await replica.write({buffers_.upstream_head, chunk.view(), body_.kept(), http::kChunkEnd})
          : co_await replica.write({buffers_.upstream_head, body_.kept()});
  if (!written) co_return sending_failed(attempt, written.error());
  if (!body_.whole()) co_return co_await send_rest(attempt, replica);
  whole_request_sent(attempt, replica);
}

Task<void> Exchange::send_rest(Attempt& attempt, net::Stream& replica) {
  const bool chunked = request_.framing() == http::Framing::kChunked;
  while (true) {
    const auto piece = co_await body_.next();
    if (!piece) co_return sending_failed(attempt, piece.error());
    if (piece->empty()) break;
    const http::ChunkHead chunk(piece->size());
    replica.write_deadline(shop_.loop.now() + shop_.settings.answer_idle);
    const auto written =
        chunked ? co_await replica.write({chunk.view(), *piece, http::kChunkEnd}) : co_await replica.write(*piece);
    if (!written) co_return sending_failed(attempt, written.error());
    sent_at_ = replica.written_at();  // for an answer that comes before the whole request is sent
  }
  if (chunked) {
    if (const auto written = co_await replica.write(http::kLastChunk); !written)
      co_return sending_failed(attempt, written.error());
  }
  whole_request_sent(attempt, replica);
}

void Exchange::whole_request_sent(Attempt& attempt, net::Stream& replica) {
  all_sent_ = true;
  sent_at_ = replica.written_at();  // not now: the answer may be here already
  if (answering_) return;
  replica.read_deadline(sent_at_ + patience_of(shop_.settings, route_).first_byte);
  attempt.sent(harmless_twice() && body_.replayable());
}

// A replica may answer and close before it has read everything: then its answer counts, and what is left of the
// connection tells. Anything else ends the attempt.
void Exchange::sending_failed(Attempt& attempt, const Error& error) {
  if (error.code() == Code::kClosed || error.code() == Code::kCancelled) return;
  send_error_ = error;
  attempt.scope().cancel();
}

Task<Result<>> Exchange::receive_head(UpstreamConnection& upstream) {
  do {
    if (request_.method() == "HEAD") upstream.reader.expect_no_body();
    // Without a buffer, and so that a deadline that passes leaves the reader as it was.
    while (true) {
      const auto readable = co_await upstream.stream->readable();
      if (readable) break;
      if (!waits_on(readable.error(), *upstream.stream)) co_return failure(readable.error());
    }
    const auto got = co_await upstream.reader.head(answer_);
    if (!got) co_return failure(got.error());
    if (!*got) co_return failure(Code::kClosed, "it closed the connection without an answer");
    if (answer_.status() == 101 && !(request_.upgrade() && answer_.has_token("upgrade", "websocket")))
      co_return failure(Code::kProtocol, "it switched protocols without being asked");
  } while (answer_.status() < 200 && answer_.status() != 101);
  co_return Result<>{};
}

// The time for the first byte is over: may it take longer?
bool Exchange::waits_on(const Error& error, net::Stream& replica) {
  if (error.code() != Code::kTimedOut) return false;
  const Instant until =
      shop_.upstreams.first_byte_deadline(buffers_.attempts.back().slot, patience_of(shop_.settings, route_), sent_at_);
  if (until <= shop_.loop.now()) {
    timed_out(plane::Timeout::kFirstByte);
    return false;
  }
  replica.read_deadline(until);
  return true;
}

// A 503 is better answered by a replica that has room.
bool Exchange::is_passed_over() {
  return answer_.status() == 503 && shop_.upstreams.pick(buffers_.tried).what == Pick::What::kSlot &&
         replays_.elsewhere_after_503(harmless_twice(), body_.replayable(), shop_.loop.now());
}

Task<Exchange::Ended> Exchange::pass_on(Attempt& attempt, UpstreamConnection& upstream) {
  if (is_passed_over()) {
    attempt.answered(answer_.status(), answer_.find("retry-after").has_value(), shop_.loop.now() - sent_at_);
    co_return Ended::kPassedOver;
  }
  if (answer_.upgrade()) co_return co_await tunnel(attempt, upstream);
  co_return co_await relay(attempt, upstream);
}

// The client's connection ends with it, whatever comes of it.
Task<Exchange::Ended> Exchange::tunnel(Attempt& attempt, UpstreamConnection& upstream) {
  answering_ = true;
  first_byte_ = shop_.loop.now() - begun_;
  status_ = answer_.status();
  add_one(shop_.table.service.upgrades);
  attempt.answered(answer_.status(), false, shop_.loop.now() - sent_at_);
  buffers_.client_head.clear();
  write_client_head(buffers_.client_head, answer_, {client_host_, buffers_.request_id}, BodyCoding::kNone, true);
  client_.write_deadline(shop_.loop.now() + shop_.settings.answer_idle);
  // A closed direction is a part of the conversation from here on.
  client_.cancel_on_close(nullptr);
  if (!co_await client_.write(buffers_.client_head)) {
    broken_ = true;
    co_return Ended::kClientLeft;
  }

  count();
  const TunnelEnded ended =
      co_await join_streams({client_, reader_.take_rest()}, {*upstream.stream, upstream.reader.take_rest()},
                            shop_.settings.tunnel_idle, [&attempt] { attempt.progress(); })
          .under(attempt.scope());
  switch (ended) {
    case TunnelEnded::kIdle: timed_out(plane::Timeout::kTunnelIdle); break;
    case TunnelEnded::kBroken: cause_ = "broken_off"; break;
    case TunnelEnded::kCancelled: cause_ = attempt.replica_gone() ? "exited" : "cancelled"; break;
    case TunnelEnded::kByBoth: break;
  }
  co_return Ended::kBrokenOff;
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

Task<Exchange::Ended> Exchange::relay(Attempt& attempt, UpstreamConnection& upstream) {
  const Settings& s = shop_.settings;
  const BodyCoding coding = coding_for_client();
  AnswerRelay relay({s.answer_idle, route_.stream_idle.value_or(s.stream_idle), s.gone_grace},
                    s.cancel_upstream ? ClientGone::kEnds : ClientGone::kReadsOut, client_, *upstream.stream,
                    upstream.reader, answer_, coding, buffers_.early);
  while (true) {
    auto first = co_await relay.first().under(attempt.scope());
    if (first) break;
    if (!waits_on(first.error(), *upstream.stream)) co_return failed(std::move(first.error()));
  }
  // It came in the very turn in which the request was taken away: the rest could not be read any more.
  if (attempt.hung()) co_return failed(net::cancelled().error());
  answering_ = true;
  first_byte_ = shop_.loop.now() - begun_;
  status_ = answer_.status();
  if (relay.is_event_stream()) add_one(shop_.table.service.streams);
  attempt.answered(answer_.status(), answer_.find("retry-after").has_value(), shop_.loop.now() - sent_at_);

  keep_ = may_keep_connection();
  buffers_.client_head.clear();
  write_client_head(buffers_.client_head, answer_, {client_host_, buffers_.request_id, request_.minor_version() == 0},
                    coding, keep_);
  const auto ended = co_await relay.rest(
      buffers_.client_head, attempt.scope(), [&attempt] { return attempt.replica_gone(); },
      [&attempt] { attempt.progress(); });
  bytes_out_ = relay.bytes();
  switch (ended) {
    case AnswerRelay::Ended::kWhole:
      whole_ = true;
      count();
      co_return Ended::kAnswered;
    case AnswerRelay::Ended::kReplicaBroke: co_return broken_off(attempt, relay);
    case AnswerRelay::Ended::kClientLeft: break;
  }
  broken_ = true;
  if (relay.error().code() == Code::kTimedOut) timed_out(plane::Timeout::kClientWrite);
  co_return Ended::kClientLeft;
}

Exchange::Ended Exchange::broken_off(Attempt& attempt, const AnswerRelay& relay) {
  broken_ = true;
  cause_ = "broken_off";
  if (relay.is_event_stream()) add_one(shop_.table.service.streams_interrupted);
  if (relay.error().code() == Code::kTimedOut)
    timed_out(relay.is_event_stream() ? plane::Timeout::kStreamIdle : plane::Timeout::kAnswerIdle);
  // It was cut off here when the rest of its request did not come, or came wrong: no fault of the replica's.
  if (body_.fault()) {
    cause_ = body_.fault()->code;
  } else {
    attempt.failed(relay.error().code() == Code::kTimedOut ? Failure::kTimeout : Failure::kBroken);
  }
  return Ended::kBrokenOff;
}

bool Exchange::reusable(const UpstreamConnection& upstream) const {
  return answer_.keep_alive() && upstream.reader.message_done() && !upstream.reader.has_more();
}

Refusal Exchange::refusal_for(Replay verdict) const {
  const std::string request = std::string(request_.method()) + " " + std::string(request_.path());
  const std::string& replica = shop_.upstreams.name(buffers_.attempts.back().slot);
  const int status = error_->code() == Code::kTimedOut ? 504 : 502;
  return {.status = status,
          .code = status == 504 ? "replica_timeout" : "replica_lost",
          .message = "replica " + replica + " failed while it had " + request + ": " + error_->text() +
                     ". The request was not sent again: " + std::string(reason_of(verdict)),
          .retry_is_useless = discourages_retry(verdict)};
}

Task<Exchange::Then> Exchange::refuse(const Refusal& refusal) {
  if (refusal.status == 0) co_return Then::kGone;
  refused_ = true;
  status_ = refusal.status;
  if (cause_.empty()) cause_ = refusal.code;
  const bool keep =
      request_.keep_alive() && !shop_.connections.draining() && reader_.message_done() && refusal.status != 400;
  const auto written = co_await http::send_answer(client_, response_of(refusal),
                                                  {.head_only = request_.method() == "HEAD",
                                                   .keep_alive = keep,
                                                   .old_client = request_.minor_version() == 0,
                                                   .write_idle = shop_.settings.answer_idle});
  if (!written) co_return Then::kGone;
  co_return keep ? Then::kAnother : Then::kClose;
}

http::Response Exchange::response_of(const Refusal& refusal) const {
  http::Response answer = http::error_response(refusal.status, refusal.message, refusal.code);
  const std::string& page = shop_.settings.unavailable_page;
  if (refusal.status == 503 && !page.empty() && wants_html(request_)) {
    answer.content_type = "text/html; charset=utf-8";
    answer.body = page;
  }
  answer.fields.emplace_back("X-Request-Id", buffers_.request_id);
  if (refusal.retry_after_seconds > 0)
    answer.fields.emplace_back("Retry-After", std::to_string(refusal.retry_after_seconds));
  if (refusal.retry_is_useless) answer.fields.emplace_back("x-should-retry", "false");
  return answer;
}

std::string Exchange::forwarded_for() const {
  std::string all;
  for (std::size_t i = 0; i < request_.field_count(); ++i) {
    const http::Field field = request_.field(i);
    if (field.known == http::Name::kXForwardedFor) all += (all.empty() ? "" : ",") + std::string(field.value);
  }
  return all;
}

void Exchange::timed_out(plane::Timeout which) {
  add_one(shop_.table.service.timeouts[static_cast<std::size_t>(which)]);
  cause_ = plane::name_of(which);
}

// Once, however it ended, and as soon as that is known. Probes of nines itself are nobody's requests.
void Exchange::count() {
  if (std::exchange(counted_, true)) return;
  plane::ServiceCounters& service = shop_.table.service;
  const auto add = [&service](plane::Outcome outcome) { add_one(service.outcomes[static_cast<std::size_t>(outcome)]); };
  if (is_probe()) return add(plane::Outcome::kExcluded);
  // Who closes once it has its answer may have done so before we hear that the last of it is written.
  const bool gone = client_left_.cancelled() && !whole_;
  const bool left = !refused_ && (status_ == 0 || gone || (broken_ && cause_ != "broken_off"));
  if (left) {
    if (cause_.empty()) cause_ = "client_left";
    add_one(service.abandoned);
    constexpr Duration kPatient = 1s;  // who leaves earlier says nothing about us
    const bool asked = asked_ != Instant{} && !body_.fault();
    if (status_ == 0 && asked && shop_.loop.now() - asked_ >= kPatient) add_one(service.given_up);
    return add(plane::Outcome::kAborted);
  }
  constexpr int kTooManyRequests = 429;
  const bool bad = broken_ || status_ >= 500, quota = refused_ || status_ == kTooManyRequests;
  add(bad ? plane::Outcome::kBad : quota ? plane::Outcome::kExcluded : plane::Outcome::kGood);
  add_one(service.requests);
  if (bad) add_one(service.errors);
  if (refused_ && status_ < 500) add_one(service.client_errors);
  service.latency.record(shop_.loop.now() - begun_);
}

bool Exchange::is_probe() const {
  const std::string& key = shop_.settings.probe_key;
  return !key.empty() && request_.has(http::Name::kXNinesProbe) && request_.find(http::Name::kXNinesProbe) == key;
}

void Exchange::log() const {
  const auto named = [this](const Buffers::Attempted& attempted) {
    return AccessAttempt{shop_.upstreams.name(attempted.slot), attempted.outcome, attempted.took};
  };
  constexpr std::size_t kShown = 16;
  std::array<AccessAttempt, kShown> attempts;
  const std::size_t count = std::min(kShown, buffers_.attempts.size());
  std::transform(buffers_.attempts.end() - static_cast<std::ptrdiff_t>(count), buffers_.attempts.end(),
                 attempts.begin(), named);
  const Duration total = shop_.loop.now() - begun_;
  const Networks& trusted = shop_.settings.trusted_proxies;
  const std::string client = trusted.empty() ? client_host_ : client_address(client_host_, forwarded_for(), trusted);
  shop_.log->add({.at = shop_.loop.wall_now() - total,
                  .id = buffers_.request_id,
                  .client = client,
                  .method = request_.method(),
                  .target = request_.target(),
                  .status = status_,
                  .bytes_in = body_.bytes(),
                  .bytes_out = bytes_out_,
                  .total = total,
                  .first_byte = first_byte_,
                  .replica = refused_ || count == 0 ? std::string_view() : attempts[count - 1].replica,
                  .attempts = std::span(attempts.data(), count),
                  .cause = cause_,
                  .traceparent = request_.find("traceparent").value_or("")});
}

}  // namespace nines::gateway
