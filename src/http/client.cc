#include "http/client.h"

#include "http/reader.h"
#include "http/writer.h"
#include "net/stream.h"

namespace nines::http {

Task<Result<Answer>> fetch(net::Loop& loop, Call call) {
  const Instant deadline = loop.now() + call.timeout;
  auto stream = co_await loop.connect(call.to, call.timeout);
  if (!stream) co_return failure(stream.error());
  (*stream)->read_deadline(deadline);
  (*stream)->write_deadline(deadline);

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
  const auto written = co_await (*stream)->write({head, call.body});
  if (!written && written.error().code() != Code::kClosed) co_return failure(written.error());

  MessageReader reader(**stream, Side::kResponses);
  Answer answer;
  do {
    if (call.method == "HEAD") reader.expect_no_body();
    const auto got = co_await reader.head(answer.head);
    if (!got) co_return failure(got.error());
    if (!*got) co_return failure(Code::kClosed, "the connection was closed without an answer");
    while (true) {
      const auto piece = co_await reader.body();
      if (!piece) co_return failure(piece.error());
      if (piece->empty()) break;
      if (answer.body.size() + piece->size() > call.body_limit) {
        co_return failure(Code::kLimit, "the answer has more than " + std::to_string(call.body_limit) + " bytes");
      }
      answer.body += *piece;
    }
  } while (answer.head.status() < 200);
  co_return answer;
}

}  // namespace nines::http
