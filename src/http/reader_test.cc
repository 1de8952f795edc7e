// One suite over in-memory streams and over sockets: what a reader makes of bytes, and what it refuses.
#include "http/reader.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "base/random.h"
#include "http/buffer_pool.h"
#include "http/writer.h"
#include "net/epoll_loop.h"
#include "net/memory_loop.h"
#include "net/test_support.h"

namespace nines::http {
namespace {

using net::Address;
using net::EpollLoop;
using net::Loop;
using net::MemoryLoop;
using net::Stream;
using net::testing::over_both;

// Writes `bytes` in pieces of `step`, ends, and reads everything the other side says.
Task<void> send_in_steps(Stream& stream, std::string bytes, std::size_t step) {
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    if (!co_await stream.write(std::string_view(bytes).substr(at, step))) co_return;
    co_await stream.loop().sleep(0ns);
  }
  stream.end_writing();
}

// Everything a reader made of some bytes, as text: "GET /x body=abc | GET /y | end".
Task<std::string> read_messages(Stream& stream, Side side, ReadLimits limits, bool head_answers) {
  MessageReader reader(stream, side, limits);
  std::string all;
  while (true) {
    Head head;
    if (head_answers) reader.expect_no_body();
    const auto got = co_await reader.head(head);
    if (!got) {
      const int refusal = reader.refusal();
      co_return all + "<" + (refusal > 0 ? std::to_string(refusal) : std::string(name_of(got.error().code()))) + ">";
    }
    if (!*got) co_return all + "end";
    all += side == Side::kRequests ? std::string(head.method()) + " " + std::string(head.target())
                                   : std::to_string(head.status());
    if (!head.keep_alive()) all += " close";
    if (head.upgrade()) all += " upgrade";
    if (head.expects_continue()) all += " expects";
    std::string body;
    while (true) {
      const auto piece = co_await reader.body();
      if (!piece) co_return all + " body=" + body + "<" + std::string(name_of(piece.error().code())) + ">";
      if (piece->empty()) break;
      body += *piece;
    }
    if (!body.empty()) all += " body=" + body;
    all += " | ";
  }
}

Task<void> store(Task<std::string> task, std::string& into) { into = co_await std::move(task); }

struct Ends {
  std::unique_ptr<Stream> client, server;
};
Task<Ends> connect_ends(Loop& loop) {
  auto listener = std::move(loop.listen(Address::loopback(0)).value());
  Ends ends;
  ends.client = std::move((co_await loop.connect(listener->address(), 1s)).value());
  ends.server = std::move((co_await listener->accept()).value());
  co_return std::move(ends);
}

std::string parsed_over(Loop& loop, const std::string& bytes, Side side, std::size_t step, ReadLimits limits,
                        bool head_answers) {
  const Ends ends = loop.run(connect_ends(loop));
  std::string result;
  TaskGroup group;
  group.start(store(read_messages(*ends.server, side, limits, head_answers), result));
  group.start(send_in_steps(*ends.client, bytes, step));
  while (!group.empty()) REQUIRE(loop.turn());
  return result;
}

// What a reader makes of these bytes, sent `step` at a time: the same over memory and over sockets.
std::string parsed(const std::string& bytes, Side side, std::size_t step, ReadLimits limits = {},
                   bool head_answers = false) {
  MemoryLoop memory;
  EpollLoop sockets;
  const std::string in_memory = parsed_over(memory, bytes, side, step, limits, head_answers);
  CHECK(parsed_over(sockets, bytes, side, step, limits, head_answers) == in_memory);
  return in_memory;
}

struct Row {
  std::string why;
  std::string bytes;
  std::string expected;
};

void check_rows(std::span<const Row> rows, Side side) {
  for (const Row& row : rows) {
    for (const std::size_t step : {std::size_t{100'000}, std::size_t{1}, std::size_t{3}}) {
      CAPTURE(row.why);
      CAPTURE(step);
      CHECK(parsed(row.bytes, side, step) == row.expected);
    }
  }
}

TEST_CASE("reader: requests, whole and byte by byte") {
  const std::string host = "Host: x\r\n";
  const std::string chunked = "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n";
  const Row rows[] = {
      {"nothing at all", "", "end"},
      {"one without a body", "GET / HTTP/1.1\r\n" + host + "\r\n", "GET / | end"},
      {"empty lines before it", "\r\n\r\nGET / HTTP/1.1\r\n" + host + "\r\n", "GET / | end"},
      {"a body by length", "POST /a HTTP/1.1\r\n" + host + "Content-Length: 3\r\n\r\nabc", "POST /a body=abc | end"},
      {"a body of no bytes", "POST /a HTTP/1.1\r\n" + host + "Content-Length: 0\r\n\r\n", "POST /a | end"},
      {"chunks", "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
       "POST /a body=abcde | end"},
      {"trailers are dropped",
       "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n",
       "POST /a body=abc | end"},
      {"pipelined",
       "POST /a HTTP/1.1\r\n" + host + "Content-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\n" + host +
           "\r\nGET /c HTTP/1.1\r\n" + host + "\r\n",
       "POST /a body=abc | GET /b | GET /c | end"},
      {"pipelined after chunks",
       "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /b HTTP/1.1\r\n" +
           host + "\r\n",
       "POST /a body=abc | GET /b | end"},
      {"Connection: close", "GET / HTTP/1.1\r\n" + host + "Connection: foo, Close\r\n\r\n", "GET / close | end"},
      {"1.0 closes", "GET / HTTP/1.0\r\n\r\n", "GET / close | end"},
      {"1.0 may stay", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET / | end"},
      {"an upgrade is an ordinary request that says so",
       "GET / HTTP/1.1\r\n" + host + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET /b HTTP/1.1\r\n" + host +
           "\r\n",
       "GET / upgrade | GET /b | end"},
      {"cut in the head", "GET / HTTP/1.1\r\nHos", "<closed>"},
      {"cut in the body", "POST /a HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nab", "POST /a body=ab<closed>"},
      {"cut in the chunks", "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n5\r\nab",
       "POST /a body=ab<closed>"},
      {"junk", "hello\r\n\r\n", "<400>"},
      {"both lengths",
       "POST / HTTP/1.1\r\n" + host + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
       "<400>"},
      {"two lengths", "POST / HTTP/1.1\r\n" + host + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "<400>"},
      {"a list of lengths", "POST / HTTP/1.1\r\n" + host + "Content-Length: 3, 3\r\n\r\nabc", "<400>"},
      {"a signed length", "POST / HTTP/1.1\r\n" + host + "Content-Length: +3\r\n\r\nabc", "<400>"},
      {"a length too long to count", "POST / HTTP/1.1\r\n" + host + "Content-Length: 99999999999999999999\r\n\r\n",
       "<400>"},
      {"another coding", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "<400>"},
      {"a coding twice",
       "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       "<400>"},
      {"chunked in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "<400>"},
      {"no host", "GET / HTTP/1.1\r\n\r\n", "<400>"},
      {"two hosts", "GET / HTTP/1.1\r\n" + host + host + "\r\n", "<400>"},
      {"a folded field", "GET / HTTP/1.1\r\n" + host + "X: a\r\n b\r\n\r\n", "<400>"},
      {"a folded field after an empty line before the request", "\r\nGET / HTTP/1.1\r\n" + host + "X: a\r\n b\r\n\r\n",
       "<400>"},
      {"white space around a value is not part of it", "POST /a HTTP/1.1\r\n" + host + "Content-Length:  3 \r\n\r\nabc",
       "POST /a body=abc | end"},
      {"a folded field by tab", "GET / HTTP/1.1\r\n" + host + "X: a\r\n\tb\r\n\r\n", "<400>"},
      {"a field without a name", "GET / HTTP/1.1\r\n" + host + "X: a\r\n: b\r\n\r\n", "<400>"},
      {"a first field without a name", "GET / HTTP/1.1\r\n: b\r\n" + host + "\r\n", "<400>"},
      {"a trailer without a name", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n: b\r\n\r\n",
       "POST / body=<protocol>"},
      {"a space before the colon", "GET / HTTP/1.1\r\nHost : x\r\n\r\n", "<400>"},
      {"a bare LF", "GET / HTTP/1.1\nHost: x\n\n", "<400>"},
      {"a bare LF that ends the head", "GET / HTTP/1.1\r\n" + host + "\n", "<400>"},
      {"a bare LF after a field", "GET / HTTP/1.1\r\n" + host + "A: b\n\r\n", "<400>"},
      {"a NUL", std::string("GET / HTTP/1.1\r\nHost: x\r\nA: b") + '\0' + "c\r\n\r\n", "<400>"},
      {"a bad chunk size", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nx\r\nabc\r\n0\r\n\r\n",
       "POST / body=<protocol>"},
      {"chunks of all kinds of sizes",
       chunked + "1;x=\"y\"\r\na\r\n000A\r\nbcdefghijk\r\n0a\r\nlmnopqrstu\r\n00\r\n\r\n",
       "POST / body=abcdefghijklmnopqrstu | end"},
      {"a signed chunk size", chunked + "+3\r\nabc\r\n0\r\n\r\n", "POST / body=<protocol>"},
      {"a chunk size in 0x", chunked + "0x3\r\nabc\r\n0\r\n\r\n", "POST / body=<protocol>"},
      {"a space before a chunk size", chunked + " 3\r\nabc\r\n0\r\n\r\n", "POST / body=<protocol>"},
      {"a space after a chunk size", chunked + "3 \r\nabc\r\n0\r\n\r\n", "POST / body=<protocol>"},
      {"no chunk size", chunked + "\r\nabc\r\n0\r\n\r\n", "POST / body=<protocol>"},
      {"an extension without a chunk size", chunked + ";x\r\nabc\r\n0\r\n\r\n", "POST / body=<protocol>"},
      {"a chunk size beyond all bounds", chunked + "10000000000000003\r\nabc\r\n0\r\n\r\n", "POST / body=<protocol>"},
      {"a bare LF after a chunk size", chunked + "3\nabc\r\n0\r\n\r\n", "POST / body=<protocol>"},
      {"a bare CR after a chunk size", chunked + "3\rabc\r\n0\r\n\r\n", "POST / body=<protocol>"},
      {"a bare LF after a chunk", chunked + "3\r\nabc\n0\r\n\r\n", "POST / body=abc<protocol>"},
      {"a chunk longer than its size", chunked + "3\r\nabcd\r\n0\r\n\r\n", "POST / body=abc<protocol>"},
      {"a bare LF in an extension", chunked + "3;x\ny\r\nabc\r\n0\r\n\r\n", "POST / body=<protocol>"},
      {"a bare LF at the end", chunked + "3\r\nabc\r\n0\r\n\n", "POST / body=abc<protocol>"},
      {"an extension of 256 bytes", chunked + "3;" + std::string(256, 'x') + "\r\nabc\r\n0\r\n\r\n",
       "POST / body=abc | end"},
      {"an extension of 257 bytes", chunked + "3;" + std::string(257, 'x') + "\r\nabc\r\n0\r\n\r\n",
       "POST / body=<protocol>"},
      {"a folded trailer", chunked + "0\r\nA: b\r\n c\r\n\r\n", "POST / body=<protocol>"},
      {"a space before a trailer's colon", chunked + "0\r\nA : b\r\n\r\n", "POST / body=<protocol>"},
      {"a bare LF after a trailer", chunked + "0\r\nA: b\n\r\n", "POST / body=<protocol>"},
      {"trailers that would frame are dropped like others",
       chunked + "0\r\nContent-Length: 5\r\nHost: y\r\n\r\n" + "GET /b HTTP/1.1\r\n" + host + "\r\n",
       "POST / | GET /b | end"},
      {"trailers without end", chunked + "0\r\n" + "A: " + std::string(10'000, 'x') + "\r\n\r\n",
       "POST / body=<protocol>"},
      {"HTTP/2", "GET / HTTP/2.0\r\n" + host + "\r\n", "<505>"},
      {"HTTP/2 without asking first", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "<505>"},
      {"a version yet unknown", "GET / HTTP/1.2\r\n" + host + "\r\n", "<505>"},
      {"HTTP/0.9", "GET /\r\n", "<400>"},
      {"no version", "GET / \r\n" + host + "\r\n", "<400>"},
      {"a version in lower case", "GET / http/1.1\r\n" + host + "\r\n", "<400>"},
      {"a version with more digits", "GET / HTTP/1.10\r\n" + host + "\r\n", "<400>"},
      {"two spaces before the target", "GET  / HTTP/1.1\r\n" + host + "\r\n", "<400>"},
      {"two spaces after the target", "GET /  HTTP/1.1\r\n" + host + "\r\n", "<400>"},
      {"a space in the target", "GET /a b HTTP/1.1\r\n" + host + "\r\n", "<400>"},
      {"a tab for a space", "GET\t/ HTTP/1.1\r\n" + host + "\r\n", "<400>"},
      {"a space after the version", "GET / HTTP/1.1 \r\n" + host + "\r\n", "<400>"},
      {"a space before the method", " GET / HTTP/1.1\r\n" + host + "\r\n", "<400>"},
      {"five empty lines before it", "\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n" + host + "\r\n", "<400>"},
      {"TLS spoken to us", "\x16\x03\x01", "<400>"},
      {"a method nobody has heard of", "BREW / HTTP/1.1\r\n" + host + "\r\n", "BREW / | end"},
      {"methods have a case", "get / HTTP/1.1\r\n" + host + "\r\n", "get / | end"},
      {"a method that is no token", "GE(T / HTTP/1.1\r\n" + host + "\r\n", "<400>"},
      {"a tunnel", "CONNECT x:443 HTTP/1.1\r\n" + host + "\r\n", "<501>"},
      {"an authority without CONNECT", "GET x:443 HTTP/1.1\r\n" + host + "\r\n", "<400>"},
      {"an absolute target is forwarded as a path", "GET http://y/a?b HTTP/1.1\r\n" + host + "\r\n", "GET /a?b | end"},
      {"an absolute target without a path", "GET HTTP://y:80 HTTP/1.1\r\n" + host + "\r\n", "GET / | end"},
      {"an absolute target with a query only", "GET https://y?b HTTP/1.1\r\n" + host + "\r\n", "GET /?b | end"},
      {"an absolute target still needs a Host", "GET http://y/ HTTP/1.1\r\n\r\n", "<400>"},
      {"an absolute target without a host", "GET http:///a HTTP/1.1\r\n" + host + "\r\n", "<400>"},
      {"an absolute target with a user", "GET http://u:p@y/a HTTP/1.1\r\n" + host + "\r\n", "<400>"},
      {"another scheme", "GET ftp://y/a HTTP/1.1\r\n" + host + "\r\n", "<400>"},
      {"the whole server", "OPTIONS * HTTP/1.1\r\n" + host + "\r\n", "OPTIONS * | end"},
      {"the whole server, absolutely", "OPTIONS http://y HTTP/1.1\r\n" + host + "\r\n", "OPTIONS * | end"},
      {"only OPTIONS is of the whole server", "GET * HTTP/1.1\r\n" + host + "\r\n", "<400>"},
      {"a fragment", "GET /a#b HTTP/1.1\r\n" + host + "\r\n", "<400>"},
      {"a byte beyond ASCII in the target", "GET /\xc3\xa9 HTTP/1.1\r\n" + host + "\r\n", "<400>"},
      {"a control character in the target", "GET /\x01 HTTP/1.1\r\n" + host + "\r\n", "<400>"},
      {"a target that is no path", "GET a HTTP/1.1\r\n" + host + "\r\n", "<400>"},
      {"a Host with a port", "GET / HTTP/1.1\r\nHost: x.y:8080\r\n\r\n", "GET / | end"},
      {"a Host of IPv6", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", "GET / | end"},
      {"an empty Host is one", "GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / | end"},
      {"a Host with a user", "GET / HTTP/1.1\r\nHost: u@x\r\n\r\n", "<400>"},
      {"a Host with a path", "GET / HTTP/1.1\r\nHost: x/y\r\n\r\n", "<400>"},
      {"a Host with a space", "GET / HTTP/1.1\r\nHost: x y\r\n\r\n", "<400>"},
      {"a Host that is a list", "GET / HTTP/1.1\r\nHost: x, \"y\"\r\n\r\n", "<400>"},
      {"a Host with a port that is no number", "GET / HTTP/1.1\r\nHost: x:8x\r\n\r\n", "<400>"},
      {"a Host that is a port", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", "<400>"},
      {"two Hosts in 1.0", "GET / HTTP/1.0\r\n" + host + host + "\r\n", "<400>"},
      {"a hidden Host", "GET / HTTP/1.1\r\n" + host + "A: b\r\n Host: y\r\n\r\n", "<400>"},
      {"a space before the first field", "GET / HTTP/1.1\r\n " + host + "\r\n", "<400>"},
      {"a CR in a value", "GET / HTTP/1.1\r\n" + host + "A: b\rc\r\n\r\n", "<400>"},
      {"a CR at the end of a value", "GET / HTTP/1.1\r\n" + host + "A: b\r\r\n\r\n", "<400>"},
      {"a CR in a name", "GET / HTTP/1.1\r\n" + host + "A\r: b\r\n\r\n", "<400>"},
      {"a CR in the request line", "GET /\r HTTP/1.1\r\n" + host + "\r\n", "<400>"},
      {"a CR before the end of the head", "GET / HTTP/1.1\r\n" + host + "\r\r\n\r\n", "<400>"},
      {"an end of the head that is none", "GET / HTTP/1.1\r\n" + host + "\r\n\rX: y\r\n\r\n", "GET / | <400>"},
      {"a vertical tab in a value", "GET / HTTP/1.1\r\n" + host + "A: b\vc\r\n\r\n", "<400>"},
      {"DEL in a value", "GET / HTTP/1.1\r\n" + host + "A: b\x7f\r\n\r\n", "<400>"},
      {"tabs and bytes beyond ASCII in a value", "GET / HTTP/1.1\r\n" + host + "A: b\tlong enough \xc3\xa9\r\n\r\n",
       "GET / | end"},
      {"a space in a name", "GET / HTTP/1.1\r\n" + host + "A b: c\r\n\r\n", "<400>"},
      {"a field without a colon", "GET / HTTP/1.1\r\n" + host + "A\r\n\r\n", "<400>"},
      {"a byte beyond ASCII in a name", "GET / HTTP/1.1\r\n" + host + "\xc3\xa9: c\r\n\r\n", "<400>"},
      {"a negative length", "POST / HTTP/1.1\r\n" + host + "Content-Length: -3\r\n\r\nabc", "<400>"},
      {"a length in hex", "POST / HTTP/1.1\r\n" + host + "Content-Length: 0x3\r\n\r\nabc", "<400>"},
      {"a length with a space in it", "POST / HTTP/1.1\r\n" + host + "Content-Length: 3 3\r\n\r\nabc", "<400>"},
      {"a length of no digits", "POST / HTTP/1.1\r\n" + host + "Content-Length:\r\n\r\nabc", "<400>"},
      {"a length and a coding by another name",
       "POST / HTTP/1.1\r\n" + host + "Content_Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       "POST / | end"},
      {"a coding with a parameter", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked;a\r\n\r\n0\r\n\r\n",
       "<400>"},
      {"a coding with a vertical tab", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n",
       "<400>"},
      {"an empty coding", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding:\r\n\r\n0\r\n\r\n", "<400>"},
      {"identity is no coding", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: identity\r\n\r\n", "<400>"},
      {"a coding in capitals", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n",
       "POST / | end"},
      {"waits to be told to go on", "POST / HTTP/1.1\r\n" + host + "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\na",
       "POST / expects body=a | end"},
      {"waits, and has nothing to send", "GET / HTTP/1.1\r\n" + host + "Expect: 100-continue\r\n\r\n", "GET / | end"},
      {"expects something else", "GET / HTTP/1.1\r\n" + host + "Expect: miracles\r\n\r\n", "<417>"},
      {"expects that, too", "GET / HTTP/1.1\r\n" + host + "Expect: 100-continue, miracles\r\n\r\n", "<417>"},
      {"1.0 expects nothing", "GET / HTTP/1.0\r\nExpect: miracles\r\n\r\n", "GET / close | end"},
      {"close in a list", "GET / HTTP/1.1\r\n" + host + "Connection: x,close ,y\r\n\r\n", "GET / close | end"},
      {"close in a second line", "GET / HTTP/1.1\r\n" + host + "Connection: x\r\nConnection: close\r\n\r\n",
       "GET / close | end"},
      {"close wins over keep-alive", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", "GET / close | end"},
      {"close is a whole word", "GET / HTTP/1.1\r\n" + host + "Connection: close-x\r\n\r\n", "GET / | end"},
      {"an upgrade without Connection", "GET / HTTP/1.1\r\n" + host + "Upgrade: websocket\r\n\r\n", "GET / | end"},
      {"an upgrade to something else", "GET / HTTP/1.1\r\n" + host + "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
       "GET / | end"},
      {"an upgrade with a body",
       "GET / HTTP/1.1\r\n" + host + "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\na",
       "GET / body=a | end"},
      {"an upgrade of 1.0", "GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "GET / close | end"},
  };
  check_rows(rows, Side::kRequests);
}

TEST_CASE("reader: responses") {
  const Row rows[] = {
      {"by length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "200 body=ok | end"},
      {"until the end", "HTTP/1.1 200 OK\r\n\r\nall of it", "200 close body=all of it | end"},
      {"chunks, then another",
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
       "200 body=ok | 204 | end"},
      {"an interim answer", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
       "100 | 200 body=ok | end"},
      {"304 has no body whatever it says",
       "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
       "304 | 200 | end"},
      {"cut short", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", "200 body=ok<closed>"},
      {"chunks cut short", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", "200 body=ok<closed>"},
      {"both lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok", "<400>"},
      {"junk", "ok\r\n\r\n", "<400>"},
      {"no reason", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "200 | end"},
      {"not even the space before it", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "200 | end"},
      {"two digits", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", "<400>"},
      {"four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", "<400>"},
      {"below 100", "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n", "<400>"},
      {"another version", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", "<400>"},
      {"an empty line before it", "\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "<400>"},
      {"1.0 may stay", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", "200 | end"},
      {"1.0 closes", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "200 close | end"},
      {"chunked in 1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "<400>"},
      {"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", "<400>"},
      {"a list of lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", "<400>"},
      {"204 has no body whatever it says", "HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n", "204 | end"},
      {"early hints are interim, too",
       "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
       "103 | 102 | 204 | end"},
      {"a switch of protocols", "HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
       "101 upgrade | end"},
      {"a folded field", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n", "<400>"},
      {"a control character in the reason", std::string("HTTP/1.1 200 O") + '\0' + "K\r\nContent-Length: 0\r\n\r\n",
       "<400>"},
  };
  check_rows(rows, Side::kResponses);
  CHECK(parsed("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
               Side::kResponses, 1, {}, true) == "200 | 200 | end");
}

TEST_CASE("reader: a head has limits") {
  const std::string start = "GET / HTTP/1.1\r\nHost: x\r\n";
  const ReadLimits limits{.head_bytes = 1000, .fields = 10};
  CHECK(parsed(start + "A: " + std::string(900, 'a') + "\r\n\r\n", Side::kRequests, 7, limits) == "GET / | end");
  CHECK(parsed(start + "A: " + std::string(1000, 'a') + "\r\n\r\n", Side::kRequests, 7, limits) == "<431>");
  CHECK(parsed("GET /" + std::string(1000, 'a') + " HTTP/1.1\r\n", Side::kRequests, 7, limits) == "<414>");
  CHECK(parsed("GET /" + std::string(1000, 'a'), Side::kRequests, 7, limits) == "<414>");
  const std::string most = start + "A: " + std::string(limits.head_bytes - start.size() - 7, 'a') + "\r\n\r\n";
  for (const std::size_t step : {1U, 999U, 1000U, 2000U}) {
    CHECK(parsed(most, Side::kRequests, step, limits) == "GET / | end");
    CHECK(parsed(start + "B" + most.substr(start.size()), Side::kRequests, step, limits) == "<431>");
  }
  std::string fields;
  for (int i = 0; i < 9; ++i) fields += "A: b\r\n";
  CHECK(parsed(start + fields + "\r\n", Side::kRequests, 7, limits) == "GET / | end");
  CHECK(parsed(start + fields + "A: b\r\n\r\n", Side::kRequests, 7, limits) == "<431>");
  CHECK(parsed(std::string(5000, '\n'), Side::kRequests, 7, limits) != "end");
}

TEST_CASE("reader: a body that looks like folded fields is none, wherever the bytes are split") {
  const std::string body = "{\n  \"text\": 1,\n\t\"b\": 2\n}\n x";
  const std::string message =
      "POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  for (std::size_t at = 1; at < message.size(); ++at) {
    CAPTURE(at);
    MemoryLoop loop;
    auto [client, server] = loop.pair();
    struct Split {
      static Task<void> run(Stream& stream, std::string first, std::string second) {
        CHECK(co_await stream.write(first));
        co_await stream.loop().sleep(0ns);
        CHECK(co_await stream.write(second));
        stream.end_writing();
      }
    };
    std::string result;
    TaskGroup group;
    group.start(store(read_messages(*server, Side::kRequests, {}, false), result));
    group.start(Split::run(*client, message.substr(0, at), message.substr(at)));
    while (!group.empty()) REQUIRE(loop.turn());
    CHECK(result == "POST /p body=" + body + " | end");
  }
}

TEST_CASE("reader: what it is given, in whatever pieces, it reads the same") {
  for (unsigned seed = 1; seed <= 100; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    std::string bytes, expected;
    for (int i = 0; i < 3; ++i) {
      std::string body(random.below(50'000), 'x');
      for (char& c : body) c = static_cast<char>('a' + random.below(26));
      bytes += "POST /p HTTP/1.1\r\nHost: x\r\n";
      if (random.below(2) == 0) {
        bytes += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
      } else {
        bytes += "Transfer-Encoding: chunked\r\n\r\n";
        for (std::size_t at = 0; at < body.size();) {
          const std::size_t n = std::min<std::size_t>(1 + random.below(9000), body.size() - at);
          bytes += std::string(ChunkHead(n).view()) + body.substr(at, n) + std::string(kChunkEnd);
          at += n;
        }
        bytes += kLastChunk;
      }
      expected += "POST /p" + (body.empty() ? "" : " body=" + body) + " | ";
    }
    const bool same = parsed(bytes, Side::kRequests, 1 + random.below(20'000)) == expected + "end";
    REQUIRE(same);
  }
}

Task<void> gives_the_rest(Loop& loop) {
  const Ends ends = co_await connect_ends(loop);
  CHECK(co_await ends.client->write("HTTP/1.1 101 Yes\r\nConnection: upgrade\r\n\r\nnot HTTP"));
  MessageReader reader(*ends.server, Side::kResponses);
  Head head;
  CHECK(co_await reader.head(head) == true);
  CHECK(reader.message_done());
  CHECK(reader.take_rest() == "not HTTP");
  CHECK_FALSE(reader.has_more());
  CHECK(reader.take_rest().empty());
}
TEST_CASE("reader: what follows a switch of protocols is handed over as it came") { over_both(gives_the_rest); }

Task<void> holds_no_buffer(Loop& loop) {
  const Ends ends = co_await connect_ends(loop);
  MessageReader reader(*ends.server, Side::kResponses);
  Head head;
  CHECK(co_await ends.client->write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"));
  CHECK(co_await reader.head(head) == true);
  CHECK(co_await reader.body() == "abc");
  CHECK(Buffer::taken() == 1);
  struct Next {
    static Task<void> run(MessageReader& r, std::string& piece) { piece = (co_await r.body()).value_or("none"); }
  };
  std::string piece;
  TaskGroup group;
  group.start(Next::run(reader, piece));
  CHECK(Buffer::taken() == 0);
  CHECK(co_await ends.client->write("1\r\nd\r\n"));
  co_await group.join();
  CHECK(piece == "d");
  CHECK(Buffer::taken() == 1);
  reader.release_buffer();
  CHECK(Buffer::taken() == 0);
}
TEST_CASE("reader: while it waits it holds no buffer") { over_both(holds_no_buffer); }

}  // namespace
}  // namespace nines::http
