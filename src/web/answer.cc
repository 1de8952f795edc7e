#include "web/answer.h"

#include <arpa/inet.h>

#include <algorithm>

#include "base/text.h"
#include "web/metrics.h"
#include "web/page.h"
#include "web/text.h"

namespace nines::web {
namespace {

constexpr std::string_view kText = "text/plain; charset=utf-8";

// The page needs its own style and nothing else, and belongs into nobody's frame.
http::Response with_fences(http::Response response) {
  response.fields.insert(
      response.fields.end(),
      {{"Cache-Control", "no-store"},
       {"Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
       {"X-Content-Type-Options", "nosniff"},
       {"Referrer-Policy", "no-referrer"},
       {"Cross-Origin-Resource-Policy", "same-origin"}});
  return response;
}

http::Response text_response(int status, std::string text) {
  return {.status = status, .content_type = std::string(kText), .body = std::move(text) + "\n"};
}

// Host without its port: "127.0.0.1:9900" -> "127.0.0.1", "[::1]:9900" -> "::1". nullopt: neither a name nor an
// address.
std::optional<std::string> name_in(std::string_view host) {
  std::string_view name = host;
  std::string_view rest;
  if (host.starts_with('[')) {
    const auto end = host.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    name = host.substr(1, end - 1);
    rest = host.substr(end + 1);
    // Only an address stands in brackets.
    if (name.find(':') == std::string_view::npos) return std::nullopt;
  } else if (const auto colon = host.find(':'); colon != std::string_view::npos) {
    name = host.substr(0, colon);
    rest = host.substr(colon);
  }
  const auto port = rest.empty() ? std::optional<std::uint64_t>(0) : parse_unsigned(rest.substr(1));
  if (name.empty() || !port || *port > 65535 || (!rest.empty() && rest.front() != ':')) return std::nullopt;
  return std::string(name);
}

bool is_ip_address(const std::string& name) {
  in6_addr address;  // large enough for both
  return ::inet_pton(AF_INET, name.c_str(), &address) == 1 || ::inet_pton(AF_INET6, name.c_str(), &address) == 1;
}

bool may_be_called(std::string_view host, const std::vector<std::string>& names) {
  const auto name = name_in(host);
  if (!name) return false;
  return is_ip_address(*name) || equals_ignoring_case(*name, "localhost") ||
         std::ranges::any_of(names, [&](const std::string& known) { return equals_ignoring_case(*name, known); });
}

http::Response health(const View& view) {
  const bool down = view.service.state == ServiceState::kDown;
  std::string text(name_of(view.service.state));
  for (const std::string& sentence : view.service.lacking) text += "\n" + clean(sentence);
  return text_response(down ? 503 : 200, std::move(text));
}

http::Response answer_plainly(const Asked& asked, const View& view) {
  if (asked.host && !may_be_called(*asked.host, view.hosts)) {
    return text_response(403,
                         "nines does not answer by this name, so that no web page can read its dashboard through "
                         "one. Use the IP address or localhost.");
  }
  const std::string_view path = asked.path;
  if (path != "/" && path != "/metrics" && path != "/healthz")
    return text_response(404, "there is /, /metrics and /healthz");
  if (asked.method != "GET" && asked.method != "HEAD") {
    auto refused = text_response(405, "use GET");
    refused.fields.emplace_back("Allow", "GET, HEAD");
    return refused;
  }
  if (path == "/metrics") return {.content_type = std::string(kMetricsType), .body = metrics(view)};
  if (path == "/healthz") return health(view);
  const bool hold = http::query_parameter(asked.query, "hold").has_value();
  return {.content_type = "text/html; charset=utf-8", .body = page(view, {.refreshes = !hold})};
}

}  // namespace

http::Response answer(const Asked& asked, const View& view) { return with_fences(answer_plainly(asked, view)); }

http::Response answer(const http::Request& request, const View& view) {
  const http::Head& head = request.head;
  return answer(Asked{.method = head.method(), .path = head.path(), .query = head.query(), .host = head.find("Host")},
                view);
}

}  // namespace nines::web
