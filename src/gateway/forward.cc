#include "gateway/forward.h"

#include <algorithm>

#include "base/text.h"
#include "http/writer.h"

namespace nines::gateway {
namespace {

// Of one connection by definition (RFC 9110, 7.6.1), or written anew by us. Trailer: we drop trailers.
constexpr std::string_view kOurs[] = {"connection",        "keep-alive", "proxy-connection", "te",    "trailer",
                                      "transfer-encoding", "upgrade",    "content-length",   "expect"};

bool is_ours(std::string_view name) {
  return std::any_of(std::begin(kOurs), std::end(kOurs),
                     [&](std::string_view ours) { return equals_ignoring_case(name, ours); });
}

void copy_fields(std::string& out, const http::Head& head, bool (*also_ours)(std::string_view)) {
  const bool names_more = head.find("connection").has_value();
  for (std::size_t i = 0; i < head.field_count(); ++i) {
    const http::Field field = head.field(i);
    if (is_ours(field.name) || also_ours(field.name)) continue;
    // Host belongs to the request whatever Connection says of it.
    if (names_more && !equals_ignoring_case(field.name, "host") && head.has_token("connection", field.name)) continue;
    http::write_field(out, field.name, field.value);
  }
}

}  // namespace

void write_upstream_head(std::string& out, const http::Head& request, const Hop& hop,
                         std::optional<std::uint64_t> body_length) {
  http::write_request_line(out, request.method(), request.target());
  copy_fields(out, request, [](std::string_view name) {
    return equals_ignoring_case(name, "x-forwarded-for") || equals_ignoring_case(name, "x-request-id") ||
           equals_ignoring_case(name, "x-forwarded-proto");
  });
  if (!request.find("host")) http::write_field(out, "Host", "localhost");  // HTTP/1.0 may leave it out
  std::string forwarded_for;
  for (std::size_t i = 0; i < request.field_count(); ++i) {
    const http::Field field = request.field(i);
    if (equals_ignoring_case(field.name, "x-forwarded-for")) forwarded_for += std::string(field.value) + ", ";
  }
  http::write_field(out, "X-Forwarded-For", forwarded_for + std::string(hop.client));
  http::write_field(out, "X-Forwarded-Proto", request.find("x-forwarded-proto").value_or("http"));
  http::write_field(out, "X-Request-Id", hop.request_id);
  if (body_length && (*body_length > 0 || request.find("content-length"))) {
    http::write_field(out, "Content-Length", *body_length);
  } else if (!body_length && request.framing() == http::Framing::kLength) {
    http::write_field(out, "Content-Length", request.content_length());
  } else if (!body_length && request.framing() == http::Framing::kChunked) {
    http::write_field(out, "Transfer-Encoding", "chunked");
  }
  http::end_head(out);
}

void write_client_head(std::string& out, const http::Head& response, const Hop& hop, BodyCoding coding,
                       bool keep_alive) {
  // The replica's own reason phrase: some clients show it.
  out += "HTTP/1.1 " + std::to_string(response.status()) + " " + std::string(response.reason()) + "\r\n";
  copy_fields(out, response, [](std::string_view name) { return equals_ignoring_case(name, "x-request-id"); });
  http::write_field(out, "X-Request-Id", hop.request_id);
  switch (coding) {
    case BodyCoding::kNone:
      // To HEAD and 304 a replica may say how long the body would be.
      if (const auto length = response.find("content-length"); length && response.status() != 204) {
        http::write_field(out, "Content-Length", *length);
      }
      break;
    case BodyCoding::kLength: http::write_field(out, "Content-Length", response.content_length()); break;
    case BodyCoding::kChunked: http::write_field(out, "Transfer-Encoding", "chunked"); break;
    case BodyCoding::kUntilClose: break;
  }
  if (!keep_alive) http::write_field(out, "Connection", "close");
  if (keep_alive && hop.old_client) http::write_field(out, "Connection", "keep-alive");
  http::end_head(out);
}

bool is_sane_request_id(std::string_view id) {
  return !id.empty() && id.size() <= 128 &&
         std::all_of(id.begin(), id.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

const char* target_problem(const http::Head& request) {
  if (request.target().starts_with('/')) return nullptr;
  if (request.target() == "*" && request.method() == "OPTIONS") return nullptr;
  return "only targets that begin with / are forwarded";
}

}  // namespace nines::gateway
