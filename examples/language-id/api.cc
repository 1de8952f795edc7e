#include "api.h"

#include <fmt/format.h>
#include <openssl/rand.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <utility>

#include "base/check.h"
#include "base/text.h"
#include "http/writer.h"
#include "normalize.h"
#include "page.h"

namespace nines::language_id {
namespace {

using http::error_response;
using http::json_quoted;
using http::Response;

Response with_field(Response response, std::string name, std::string value) {
  response.fields.emplace_back(std::move(name), std::move(value));
  return response;
}

Response retry_later(std::string_view message, std::string_view code, Duration pause) {
  const auto seconds = std::max(std::chrono::ceil<std::chrono::seconds>(pause), std::chrono::seconds(1));
  return with_field(error_response(503, message, code), "Retry-After", std::to_string(seconds.count()));
}

// RFC 9562, version 4.
std::string new_request_id() {
  std::array<unsigned char, 16> b{};
  INVARIANT(RAND_bytes(b.data(), static_cast<int>(b.size())) == 1);
  b[6] = static_cast<unsigned char>((b[6] & 0x0F) | 0x40);
  b[8] = static_cast<unsigned char>((b[8] & 0x3F) | 0x80);
  std::string id;
  for (std::size_t i = 0; i < b.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) id += '-';
    id += fmt::format("{:02x}", b[i]);
  }
  return id;
}

std::string row_json(const HistoryRow& row) {
  return fmt::format(R"({{"request_id":{},"time":{},"text":{},"label":{},"confidence":{:.4f},"pid":{}}})",
                     json_quoted(row.request_id), json_quoted(row.time), json_quoted(row.text), json_quoted(row.label),
                     row.confidence, row.pid);
}

// How a path is asked for; empty: there is no such path.
std::string_view methods_of(std::string_view path) {
  if (path == "/classify") return "POST";
  if (path == "/" || path == "/health" || path == "/history") return "GET, HEAD";
  return {};
}

}  // namespace

std::expected<std::string, Response> text_from(std::string_view body) {
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse(boost::json::string_view(body.data(), body.size()), error);
  if (error)
    return std::unexpected(error_response(400, "the body is not valid JSON: " + error.message(), "invalid_json"));
  const auto refuse = [](std::string_view message, std::string_view code) {
    return std::unexpected(error_response(422, message, code));
  };
  const auto* const object = value.if_object();
  if (object == nullptr) return refuse("the body must be a JSON object: {\"text\": \"…\"}", "invalid_body");
  const auto* const member = object->if_contains("text");
  if (member == nullptr) return refuse("`text` is missing", "missing_text");
  const auto* const text = member->if_string();
  if (text == nullptr) return refuse("`text` must be a string", "invalid_text");
  std::string found(text->data(), text->size());
  if (trim(found).empty()) return refuse("`text` is empty", "empty_text");
  if (count_characters(found) > Api::kCharactersMax) {
    return refuse(fmt::format("`text` may have {} characters", Api::kCharactersMax), "text_too_long");
  }
  return found;
}

std::string request_id_of(const http::Head& head) {
  const std::string_view given = head.find("X-Request-Id").value_or("");
  const bool sane = !given.empty() && given.size() <= Api::kRequestIdMax &&
                    std::ranges::all_of(given, [](char c) { return c > ' ' && c < 0x7F; });
  return sane ? std::string(given) : new_request_id();
}

Api::Api(net::EpollLoop& loop, Background& background, History& history, ApiOptions options)
    : loop_(loop),
      background_(background),
      history_(history),
      options_(options),
      started_(loop.now()),
      pid_(::getpid()) {}

bool Api::ready() const { return model_ != nullptr && loop_.now() >= started_ + options_.startup_delay; }

Response Api::not_ready() const {
  return retry_later("the model is loading", "model_loading", started_ + options_.startup_delay - loop_.now());
}

Task<Response> Api::answer(http::Request& request) {
  const std::string_view path = request.head.path();
  const std::string_view method = request.head.method();
  const std::string_view methods = methods_of(path);
  if (methods.empty()) {
    co_return error_response(404, "nothing is at this path; there are /classify, /health, /history and /", "not_found");
  }
  // Of one method's name none is part of another's.
  if (methods.find(method) == std::string_view::npos) {
    co_return with_field(error_response(405, fmt::format("this path takes {}", methods), "method_not_allowed"), "Allow",
                         std::string(methods));
  }
  if (path == "/classify") co_return co_await classify(request);
  if (path == "/history") co_return co_await show_history(request);
  co_return path == "/health" ? health() : page();
}

Task<Response> Api::classify(const http::Request& request) {
  if (!ready()) co_return not_ready();
  auto text = text_from(request.body);
  if (!text) co_return std::move(text.error());
  if (options_.delay > 0ns && !co_await loop_.sleep(options_.delay)) {
    co_return retry_later("the server is stopping", "stopping", 1s);
  }
  const auto verdict = model_->classify(*text);
  if (!verdict) co_return error_response(422, "`text` has no letters", "no_letters");
  const std::string id = request_id_of(request.head);
  Response response;
  response.body =
      fmt::format(R"({{"label":{},"confidence":{:.4f},"model":{},"request_id":{}}})", json_quoted(verdict->label),
                  verdict->confidence, json_quoted(model_->name()), json_quoted(id));
  history_.add({.request_id = id,
                .time = format_rfc3339(loop_.wall_now()),
                .text = std::move(*text),
                .label = verdict->label,
                .confidence = verdict->confidence,
                .pid = pid_});
  co_return with_field(std::move(response), "X-Process-Id", std::to_string(pid_));
}

Response Api::health() const {
  if (!ready()) return not_ready();
  const History::Counts counts = history_.counts();
  const double uptime = std::chrono::duration<double>(loop_.now() - started_).count();
  // Trouble with the history is said but does not make the server unhealthy: it answers all the same.
  return {
      .body = fmt::format(
          R"({{"status":"ok","model":{},"uptime_seconds":{:.3f},"history":{{"written":{},"dropped":{},"queued":{},"trouble":{}}}}})",
          json_quoted(model_->name()), uptime, counts.written, counts.dropped, counts.queued,
          counts.trouble.empty() ? "null" : json_quoted(counts.trouble))};
}

Task<Response> Api::show_history(const http::Request& request) {
  const std::string limit = http::query_parameter(request.head.query(), "limit").value_or("20");
  const auto number = parse_unsigned(limit);
  if (!number || *number < 1 || *number > kHistoryMax) {
    co_return error_response(422, fmt::format("`limit` must be a number from 1 to {}", kHistoryMax), "invalid_limit");
  }
  const auto rows = co_await background_.run(
      [&history = history_, count = static_cast<int>(*number)] { return history.newest(count); });
  if (!rows) co_return retry_later("the history cannot be read: " + rows.error().text(), "history_unavailable", 1s);
  std::string body = R"({"history":[)";
  for (const HistoryRow& row : *rows) {
    if (&row != &rows->front()) body += ',';
    body += row_json(row);
  }
  co_return Response{.body = body + "]}"};
}

Response Api::page() const {
  Response response{.content_type = "text/html; charset=utf-8", .body = std::string(kPage)};
  return with_field(std::move(response), "Content-Security-Policy",
                    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'");
}

}  // namespace nines::language_id
