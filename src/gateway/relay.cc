#include "gateway/relay.h"

#include <algorithm>

#include "http/writer.h"

namespace nines::gateway {
namespace {

// Comments and the like before the first data event. Beyond it they go out, and the request is bound to its replica.
constexpr std::size_t kBeforeFirstEvent = 64 * 1024;

}  // namespace

AnswerRelay::AnswerRelay(RelayTimes times, ClientGone when_gone, net::Stream& client, net::Stream& replica,
                         http::MessageReader& reader, const http::Head& answer, BodyCoding coding, std::string& early)
    : times_(times),
      when_gone_(when_gone),
      client_(client),
      replica_(replica),
      reader_(reader),
      coding_(coding),
      early_(early),
      progress_at_(client.loop().now()) {
  // One of a stated length is a document, however it is called.
  const bool open_ended = coding == BodyCoding::kChunked || coding == BodyCoding::kUntilClose;
  if (open_ended && http::is_event_stream(answer)) events_.emplace();
}

Task<Result<>> AnswerRelay::first() {
  while (true) {
    const auto piece = co_await reader_.body();
    if (!piece) co_return failure(piece.error());
    if (take(*piece) || reader_.message_done() || early_.size() > kBeforeFirstEvent) co_return Result<>{};
    early_ += now_.held;
    early_ += now_.piece;
  }
}

// True: a client has a use for what came.
bool AnswerRelay::take(std::string_view piece) {
  if (!events_) {
    now_.piece = piece;
    return true;
  }
  now_ = events_->take(piece);
  if (now_.data_event) progress_at_ = client_.loop().now();
  return now_.data_event;
}

// False: the client has gone, and with it the sense of going on.
Task<bool> AnswerRelay::put_out(std::string_view head) {
  if (gone_) co_return true;
  const bool last = reader_.message_done();
  // The replica has ended it so: what is left goes out as it is.
  const std::string_view left = last && events_ ? events_->rest() : std::string_view();
  const std::size_t size = early_.size() + now_.held.size() + now_.piece.size() + left.size();
  const bool chunked = coding_ == BodyCoding::kChunked;
  const std::string_view end = chunked && last ? http::kLastChunk : std::string_view();
  bytes_ += size;
  client_.write_deadline(client_.loop().now() + times_.answer_idle);
  const http::ChunkHead chunk(size);
  const auto written =
      chunked && size > 0
          ? co_await client_.write({head, chunk.view(), early_, now_.held, now_.piece, left, http::kChunkEnd, end})
          : co_await client_.write({head, early_, now_.held, now_.piece, left, end});
  early_.clear();
  if (written) co_return true;
  error_ = written.error();
  client_.reset();
  gone_ = when_gone_ == ClientGone::kReadsOut;
  co_return gone_;
}

Task<Result<std::string_view>> AnswerRelay::next(CancelScope& reading, const std::function<bool()>& is_gone) {
  const Instant now = client_.loop().now();
  const Instant usual = events_ ? progress_at_ + times_.stream_idle : now + times_.answer_idle;
  if (!reading.cancelled()) {
    replica_.read_deadline(usual);
    auto piece = co_await reader_.body().under(reading);
    if (piece || piece.error().code() != Code::kCancelled) co_return piece;
  }
  if (!is_gone()) co_return net::cancelled();
  // Nobody writes any more. A stream that stays open and has nothing is held by a child of the process.
  replica_.read_deadline(std::min(usual, client_.loop().now() + times_.gone_grace));
  auto piece = co_await reader_.body();
  if (!piece && piece.error().code() == Code::kTimedOut) co_return net::cancelled();
  co_return piece;
}

Task<AnswerRelay::Ended> AnswerRelay::rest(std::string_view head, CancelScope& reading,
                                           const std::function<bool()>& is_gone,
                                           const std::function<void()>& on_bytes) {
  if (!co_await put_out(head)) co_return Ended::kClientLeft;
  while (!reader_.message_done()) {
    const auto piece = co_await next(reading, is_gone);
    if (!piece) co_return co_await break_off(piece.error());
    on_bytes();
    take(*piece);
    const bool nothing = now_.held.empty() && now_.piece.empty();
    if (nothing && !reader_.message_done()) continue;
    if (!co_await put_out({})) co_return Ended::kClientLeft;
  }
  co_return gone_ ? Ended::kClientLeft : Ended::kWhole;
}

Task<AnswerRelay::Ended> AnswerRelay::break_off(Error why) {
  if (gone_) co_return Ended::kClientLeft;
  error_ = std::move(why);
  const CancelScope* const scope = co_await current_scope();
  const bool client_left = scope != nullptr && scope->cancelled();
  if (client_left || !events_ || !events_->may_say_error()) {
    client_.reset();
    co_return client_left ? Ended::kClientLeft : Ended::kReplicaBroke;
  }
  std::string event;
  http::write_stream_error(event, "the answer was interrupted: " + error_->text(), "stream_interrupted");
  client_.write_deadline(client_.loop().now() + times_.answer_idle);
  if (coding_ == BodyCoding::kChunked) {
    const http::ChunkHead chunk(event.size());
    // Without its last chunk the body is broken for everybody, and a reset might overtake the event.
    (void)co_await client_.write({chunk.view(), event, http::kChunkEnd});
    client_.end_writing();
  } else {
    (void)co_await client_.write(event);
    client_.reset();  // such a body ends with its connection: a clean end would pass for a whole answer
  }
  co_return Ended::kReplicaBroke;
}

}  // namespace nines::gateway
