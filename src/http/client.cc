#include "http/client.h"

#include "http/reader.h"
#include "http/writer.h"
#include "net/stream.h"

namespace nines::http {

struct Download::State {
  std::unique_ptr<net::Stream> stream;
  std::unique_ptr<MessageReader> reader;  // of the stream
  Head head;
};

namespace {

Task<Result<>> send(net::Stream& stream, const Call& call) {
  std::string head;
  write_request_line(head, call.method, call.target);
  write_field(head, "Host", call.host);
  write_field(head, "Connection", "close");
  if (!call.body.empty()) {
    write_field(head, "Content-Type", call.content_type);
    write_field(head, "Content-Length", call.body.size());
  }
  for (const auto& [name, value] : call.fields) write_field(head, name, value);
  end_head(head);
  // A server may answer and close before it has read everything: the answer counts, not that we could not finish.
  const auto written = co_await stream.write({head, call.body});
  if (!written && written.error().code() != Code::kClosed) co_return failure(written.error());
  co_return Result<>{};
}

// The final answer's, after any number of interim ones.
Task<Result<>> read_head(MessageReader& reader, const Call& call, Head& head) {
  do {
    if (call.method == "HEAD") reader.expect_no_body();
    const auto got = co_await reader.head(head);
    if (!got) co_return failure(got.error());
    if (!*got) co_return failure(Code::kClosed, "the connection was closed without an answer");
    if (head.status() >= 200) break;
    while (true) {
      const auto piece = co_await reader.body();
      if (!piece) co_return failure(piece.error());
      if (piece->empty()) break;
    }
  } while (true);
  co_return Result<>{};
}

}  // namespace

Task<Result<Answer>> fetch(net::Loop& loop, Call call) {
  const Instant deadline = loop.now() + call.timeout;
  auto stream = co_await loop.connect(call.to, call.timeout);
  if (!stream) co_return failure(stream.error());
  (*stream)->read_deadline(deadline);
  (*stream)->write_deadline(deadline);
  if (const auto sent = co_await send(**stream, call); !sent) co_return failure(sent.error());
  MessageReader reader(**stream, Side::kResponses);
  Answer answer;
  if (const auto got = co_await read_head(reader, call, answer.head); !got) co_return failure(got.error());
  while (true) {
    const auto piece = co_await reader.body();
    if (!piece) co_return failure(piece.error());
    if (piece->empty()) break;
    if (answer.body.size() + piece->size() > call.body_limit) {
      co_return failure(Code::kLimit, "the answer has more than " + std::to_string(call.body_limit) + " bytes");
    }
    answer.body += *piece;
  }
  co_return answer;
}

Download::Download(std::unique_ptr<State> state) : state_(std::move(state)) {}
Download::Download(Download&&) noexcept = default;
Download::~Download() = default;

Task<Result<Download>> Download::open(net::Loop& loop, Call call) {
  const Instant deadline = loop.now() + call.timeout;
  auto stream = co_await loop.connect(call.to, call.timeout);
  if (!stream) co_return failure(stream.error());
  (*stream)->read_deadline(deadline);
  (*stream)->write_deadline(deadline);
  if (const auto sent = co_await send(**stream, call); !sent) co_return failure(sent.error());
  auto state = std::make_unique<State>();
  state->stream = std::move(*stream);
  state->reader = std::make_unique<MessageReader>(*state->stream, Side::kResponses);
  if (const auto got = co_await read_head(*state->reader, call, state->head); !got) co_return failure(got.error());
  state->stream->read_deadline(Instant::never());
  co_return Download(std::move(state));
}

const Head& Download::head() const { return state_->head; }

Task<Result<std::string_view>> Download::piece() { return state_->reader->body(); }

}  // namespace nines::http
