// What a replica is told of a request, and a client of an answer. Rows: the fields that come in, and those that go out.
#include "gateway/forward.h"

#include <string>

#include <doctest/doctest.h>

#include "http/head_parser.h"

namespace nines::gateway {
namespace {

using http::Head;
using http::Side;

void parse(Head& head, Side side, const std::string& text) {
  http::HeadParser parser(side, {});
  parser.begin(head, false);
  CHECK(parser.feed(text) == text.size());
  CHECK(parser.done());
}

// `head` with its line ends as '|'.
std::string in_one_line(const std::string& head) {
  std::string line;
  for (const char c : head) {
    if (c != '\r') line += c == '\n' ? '|' : c;
  }
  return line;
}

std::string upstream(const std::string& request, std::optional<std::uint64_t> body = 0,
                     std::string_view client = "10.0.0.9") {
  Head head;
  parse(head, Side::kRequests, request);
  std::string out;
  write_upstream_head(out, head, {.client = client, .request_id = "id"}, body);
  return in_one_line(out);
}

constexpr std::string_view kAdded =
    "X-Forwarded-For: 10.0.0.9|X-Forwarded-Proto: http|X-Forwarded-Host: x|X-Request-Id: id||";

TEST_CASE("forward: which fields of a request go on") {
  struct {
    const char* why;
    std::string fields, expected;
  } const rows[] = {
      {"ordinary ones, in order", "B: 1\r\nA: 2\r\nB: 3\r\n", "B: 1|A: 2|B: 3|"},
      {"traces", "traceparent: 00-a-b-01\r\ntracestate: x=y\r\n", "traceparent: 00-a-b-01|tracestate: x=y|"},
      {"Via is passed on", "Via: 1.1 proxy\r\n", "Via: 1.1 proxy|"},
      {"an empty one", "A:\r\n", "A: |"},
      {"those of the connection",
       "Keep-Alive: 5\r\nTE: trailers\r\nTrailer: A\r\nProxy-Connection: close\r\nHTTP2-Settings: x\r\n", ""},
      {"what Connection names", "A: 1\r\nConnection: close, a\r\nB: 2\r\n", "B: 2|"},
      {"what Connection names, known", "Connection: Idempotency-Key\r\nIdempotency-Key: 1\r\nB: 2\r\n", "B: 2|"},
      {"Connection in two lines", "A: 1\r\nConnection: b\r\nB: 2\r\nConnection: a\r\n", ""},
      {"Connection cannot name Host away", "Connection: host\r\n", ""},
      {"an upgrade to anything but WebSocket", "Connection: upgrade\r\nUpgrade: h2c\r\n", ""},
      {"WebSocket without Connection", "Upgrade: websocket\r\n", ""},
      {"disguised ones", "Content_Length: 5\r\nX_Forwarded_For: 6.6.6.6\r\nTransfer_Encoding: chunked\r\nX_Y: z\r\n",
       "X_Y: z|"},
      {"an expectation that was met here", "Expect: 100-continue\r\n", ""},
  };
  for (const auto& row : rows) {
    CAPTURE(row.why);
    CHECK(upstream("GET /a?b HTTP/1.1\r\nHost: x\r\n" + row.fields + "\r\n") ==
          "GET /a?b HTTP/1.1|Host: x|" + row.expected + std::string(kAdded));
  }
}

TEST_CASE("forward: what a replica is told of the client") {
  const std::string get = "GET / HTTP/1.1\r\nHost: x\r\n";
  CHECK(upstream(get + "X-Forwarded-For: 1.1.1.1, 2.2.2.2\r\nX-Forwarded-For: 3.3.3.3\r\n\r\n")
            .contains("|X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 10.0.0.9|"));
  CHECK(upstream(get + "X-Forwarded-For:\r\n\r\n").contains("|X-Forwarded-For: 10.0.0.9|"));
  CHECK(upstream(get + "Connection: x-forwarded-for\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n").contains("10.0.0.9|"));
  CHECK(upstream(get + "X-Forwarded-Proto: https\r\nX-Forwarded-Host: y\r\n\r\n")
            .contains("|X-Forwarded-Proto: https|X-Forwarded-Host: y|"));
  CHECK(upstream(get + "X-Request-Id: theirs\r\n\r\n").contains("|X-Request-Id: id|"));
  CHECK_FALSE(upstream(get + "X-Request-Id: theirs\r\n\r\n").contains("theirs"));
  CHECK_FALSE(upstream(get + "\r\n").contains("|Forwarded:"));
  CHECK(upstream(get + "Forwarded: for=1.1.1.1\r\nForwarded: for=2.2.2.2\r\n\r\n")
            .contains("|Forwarded: for=1.1.1.1, for=2.2.2.2, for=10.0.0.9;host=\"x\";proto=http|"));
  CHECK(upstream(get + "Forwarded: for=1.1.1.1\r\n\r\n", 0, "::1")
            .contains("|Forwarded: for=1.1.1.1, for=\"[::1]\";host=\"x\";proto=http|"));
  CHECK(upstream(get + "Forwarded: for=1.1.1.1\r\n\r\n", 0, "unix")
            .contains("|Forwarded: for=1.1.1.1, for=unknown;host=\"x\";proto=http|"));
}

TEST_CASE("forward: an absolute target decides the host") {
  CHECK(upstream("GET http://y:81/a HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("GET /a HTTP/1.1|Host: y:81|"));
  CHECK(upstream("GET http://y?q HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("GET /?q HTTP/1.1|Host: y|"));
  CHECK(upstream("GET http://y/ HTTP/1.0\r\n\r\n").starts_with("GET / HTTP/1.1|Host: y|"));
  CHECK(upstream("GET / HTTP/1.0\r\n\r\n").starts_with("GET / HTTP/1.1|Host: localhost|X-Forwarded-For"));
  CHECK(upstream("GET / HTTP/1.1\r\nHost:\r\n\r\n").starts_with("GET / HTTP/1.1|Host: |X-Forwarded-For"));
}

TEST_CASE("forward: how the end of a request's body is told") {
  const std::string post = "POST / HTTP/1.1\r\nHost: x\r\n";
  CHECK(upstream(post + "Content-Length: 5\r\n\r\n", 5).contains("|Content-Length: 5||"));
  CHECK(upstream(post + "Content-Length: 5\r\n\r\n", std::nullopt).contains("|Content-Length: 5||"));
  CHECK(upstream(post + "Content-Length: 0\r\n\r\n", 0).contains("|Content-Length: 0||"));
  CHECK_FALSE(upstream(post + "\r\n", 0).contains("Content-Length"));
  CHECK(upstream(post + "Transfer-Encoding: chunked\r\n\r\n", 5).contains("|Content-Length: 5||"));
  CHECK(upstream(post + "Transfer-Encoding: chunked\r\n\r\n", std::nullopt).contains("|Transfer-Encoding: chunked||"));
}

TEST_CASE("forward: WebSocket is asked for on the replica's connection, too") {
  const std::string ask = "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Key: k\r\n\r\n";
  const std::string out = upstream("GET /ws HTTP/1.1\r\nHost: x\r\n" + ask);
  CHECK(out.contains("|Sec-WebSocket-Key: k|"));
  CHECK(out.contains("|Connection: upgrade|Upgrade: websocket||"));
  CHECK_FALSE(upstream("POST /ws HTTP/1.1\r\nHost: x\r\n" + ask).contains("pgrade"));
}

std::string client(const std::string& answer, BodyCoding coding, bool keep, bool old = false) {
  Head head;
  parse(head, Side::kResponses, answer);
  std::string out;
  write_client_head(out, head, {.client = "c", .request_id = "id", .old_client = old}, coding, keep);
  return in_one_line(out);
}

TEST_CASE("forward: what a client is told") {
  struct {
    const char* why;
    std::string answer;
    BodyCoding coding;
    std::string expected;
  } const rows[] = {
      {"the replica's reason", "200 Sure\r\nA: b\r\nContent-Length: 2\r\n", BodyCoding::kLength,
       "200 Sure|A: b|X-Request-Id: id|Content-Length: 2||"},
      {"no reason", "200\r\nContent-Length: 2\r\n", BodyCoding::kLength, "200 |X-Request-Id: id|Content-Length: 2||"},
      {"chunks", "200 OK\r\nTransfer-Encoding: chunked\r\n", BodyCoding::kChunked,
       "200 OK|X-Request-Id: id|Transfer-Encoding: chunked||"},
      {"what belongs to the replica's connection", "200 OK\r\nConnection: close, a\r\nA: b\r\nKeep-Alive: 5\r\n",
       BodyCoding::kChunked, "200 OK|X-Request-Id: id|Transfer-Encoding: chunked||"},
      {"how long it would be", "304 Not\r\nContent-Length: 9\r\n", BodyCoding::kNone,
       "304 Not|X-Request-Id: id|Content-Length: 9||"},
      {"204 has no length", "204 No\r\nContent-Length: 9\r\n", BodyCoding::kNone, "204 No|X-Request-Id: id||"},
      {"one id", "200 OK\r\nX-Request-Id: theirs\r\nContent-Length: 0\r\n", BodyCoding::kLength,
       "200 OK|X-Request-Id: id|Content-Length: 0||"},
      {"a switch of protocols", "101 Yes\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: a\r\n",
       BodyCoding::kNone, "101 Yes|Sec-WebSocket-Accept: a|X-Request-Id: id|Connection: upgrade|Upgrade: websocket||"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.why);
    CHECK(client("HTTP/1.1 " + row.answer + "\r\n", row.coding, true) == "HTTP/1.1 " + row.expected);
  }
  const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
  CHECK(client(ok, BodyCoding::kLength, false).ends_with("|Connection: close||"));
  CHECK(client(ok, BodyCoding::kLength, true, true).ends_with("|Connection: keep-alive||"));
}

TEST_CASE("forward: whose request id counts") {
  CHECK(is_sane_request_id("a-1"));
  CHECK(is_sane_request_id(std::string(128, 'a')));
  CHECK_FALSE(is_sane_request_id(""));
  CHECK_FALSE(is_sane_request_id(std::string(129, 'a')));
  CHECK_FALSE(is_sane_request_id("a b"));
  CHECK_FALSE(is_sane_request_id("\xc3\xa9"));
}

}  // namespace
}  // namespace nines::gateway
