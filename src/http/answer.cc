#include "http/answer.h"

#include "http/writer.h"

namespace nines::http {

Response error_response(int status, std::string_view message, std::string_view code) {
  const std::string_view type = status >= 500   ? "server_error"
                                : status == 429 ? "rate_limit_error"
                                                : "invalid_request_error";
  return {.status = status, .body = error_body(message, type, code)};
}

Response response_to(const Error& error, int refusal) {
  if (error.code() == Code::kTimedOut) return error_response(408, "the request did not arrive in time", "timeout");
  switch (refusal) {
    case 414: return error_response(414, error.message(), "target_too_long");
    case 417: return error_response(417, error.message(), "expectation_failed");
    case 431: return error_response(431, error.message(), "head_too_large");
    case 501: return error_response(501, error.message(), "not_implemented");
    case 505: return error_response(505, error.message(), "version_not_supported");
    default: return error_response(400, "not a valid HTTP request: " + error.message(), "bad_request");
  }
}

Task<Result<>> send_answer(net::Stream& stream, const Response& response, AnswerTo to) {
  std::string head;
  write_status_line(head, response.status);
  write_field(head, "Date", http_date(stream.loop().wall_now()));
  if (response.status != 204) {
    write_field(head, "Content-Type", response.content_type);
    write_field(head, "Content-Length", response.body.size());
  }
  for (const auto& [name, value] : response.fields) {
    if (is_field_value(value)) write_field(head, name, value);
  }
  if (!to.keep_alive) write_field(head, "Connection", "close");
  if (to.keep_alive && to.old_client) write_field(head, "Connection", "keep-alive");
  end_head(head);
  stream.write_deadline(stream.loop().now() + to.write_idle);
  co_return co_await stream.write({head, to.head_only ? std::string_view() : std::string_view(response.body)});
}

}  // namespace nines::http
