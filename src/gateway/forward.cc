#include "gateway/forward.h"

#include <algorithm>
#include <charconv>

#include "http/writer.h"

namespace nines::gateway {
namespace {

using http::Name;

constexpr std::uint32_t bit(Name name) { return 1U << static_cast<unsigned>(name); }

// Written anew here, from what is known.
constexpr std::uint32_t kOursInRequests = bit(Name::kContentLength) | bit(Name::kExpect) | bit(Name::kHost) |
                                          bit(Name::kForwarded) | bit(Name::kXForwardedFor) |
                                          bit(Name::kXForwardedHost) | bit(Name::kXForwardedProto) |
                                          bit(Name::kXNinesProbe) | bit(Name::kXRequestId) | bit(Name::kDisguised);
constexpr std::uint32_t kOursInAnswers = bit(Name::kContentLength) | bit(Name::kXRequestId);

void copy_fields(std::string& out, const http::Head& head, std::uint32_t ours) {
  for (std::size_t i = 0; i < head.field_count(); ++i) {
    const http::Field field = head.field(i);
    if ((ours & bit(field.known)) != 0 || head.is_of_connection(field)) continue;
    http::write_field(out, field.name, field.value);
  }
}

// All lines of a field as one list, if they are believed, then `last`.
void write_continued(std::string& out, std::string_view name, const http::Head& head, Name known, bool believed,
                     std::initializer_list<std::string_view> last) {
  out += name;
  out += ": ";
  for (std::size_t i = 0; believed && head.has(known) && i < head.field_count(); ++i) {
    const http::Field field = head.field(i);
    if (field.known != known || field.value.empty()) continue;
    out += field.value;
    out += ", ";
  }
  for (const std::string_view part : last) out += part;
  out += "\r\n";
}

// RFC 7239, 6: an IPv6 address stands in brackets, and therefore in quotes; and what is no address is unknown.
void write_forwarded(std::string& out, const http::Head& request, const Hop& hop) {
  const bool six = hop.client.contains(':');
  const bool four = !six && !hop.client.empty() && hop.client.front() >= '0' && hop.client.front() <= '9';
  const std::string_view before = six ? "for=\"[" : "for=", after = six ? "]\"" : "";
  write_continued(
      out, "Forwarded", request, Name::kForwarded, hop.believed,
      {before, six || four ? hop.client : "unknown", after, ";host=\"", request.host(), "\";proto=", hop.proto});
}

void write_upgrade(std::string& out) {
  http::write_field(out, "Connection", "upgrade");
  http::write_field(out, "Upgrade", "websocket");
}

}  // namespace

void write_upstream_head(std::string& out, const http::Head& request, const Hop& hop,
                         std::optional<std::uint64_t> body_length) {
  http::write_request_line(out, request.method(), request.target());
  const std::string_view host = request.host();
  const bool hostless = !request.has(Name::kHost) && host.empty();  // HTTP/1.0 may leave it out
  http::write_field(out, "Host", hostless ? "localhost" : host);
  copy_fields(out, request, kOursInRequests);
  const auto said = [&](Name name, std::string_view otherwise) {
    return hop.believed ? request.find(name).value_or(otherwise) : otherwise;
  };
  write_continued(out, "X-Forwarded-For", request, Name::kXForwardedFor, hop.believed, {hop.client});
  http::write_field(out, "X-Forwarded-Proto", said(Name::kXForwardedProto, hop.proto));
  const std::string_view forwarded_host = said(Name::kXForwardedHost, host);
  if (!forwarded_host.empty()) http::write_field(out, "X-Forwarded-Host", forwarded_host);
  if (request.has(Name::kForwarded)) write_forwarded(out, request, hop);
  http::write_field(out, "X-Request-Id", hop.request_id);
  if (request.upgrade()) {
    write_upgrade(out);
  } else if (body_length && (*body_length > 0 || request.has(Name::kContentLength))) {
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
  const int status = response.status();
  const char digits[] = {static_cast<char>('0' + status / 100), static_cast<char>('0' + status / 10 % 10),
                         static_cast<char>('0' + status % 10), ' '};
  out += "HTTP/1.1 ";
  out.append(digits, sizeof digits);
  out += response.reason();
  out += "\r\n";
  copy_fields(out, response, kOursInAnswers);
  http::write_field(out, "X-Request-Id", hop.request_id);
  if (response.upgrade()) {
    write_upgrade(out);
    http::end_head(out);
    return;
  }
  switch (coding) {
    case BodyCoding::kNone:
      // To HEAD and 304 a replica may say how long the body would be.
      if (response.has(Name::kContentLength) && status != 204)
        http::write_field(out, "Content-Length", response.content_length());
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

}  // namespace nines::gateway
