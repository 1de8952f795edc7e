// What the dashboard's address answers: `/` the page, `/metrics`, `/healthz` (200 while the service is up or degraded,
// else 503). GET and HEAD only; nothing here changes anything. Pure.
//
// A page on the internet must not read this through a name of its own that it points at 127.0.0.1 (DNS rebinding), so
// the Host of a request has to be an IP address, localhost or one of View::hosts. A request without a Host (HTTP/1.0)
// comes from no browser and is answered.
#pragma once

#include <optional>
#include <string_view>

#include "http/server.h"
#include "web/view.h"

namespace nines::web {

// What of a request matters.
struct Asked {
  std::string_view method, path, query;
  std::optional<std::string_view> host;
};

http::Response answer(const Asked& asked, const View& view);
// The server leaves out the body of an answer to HEAD.
http::Response answer(const http::Request& request, const View& view);

}  // namespace nines::web
