// One suite over in-memory streams and over sockets.
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "base/random.h"
#include "http/client.h"
#include "http/reader.h"
#include "http/server.h"
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
    if (!got) co_return all + "<" + std::string(name_of(got.error().code())) + ">";
    if (!*got) co_return all + "end";
    all += side == Side::kRequests ? std::string(head.method()) + " " + std::string(head.target())
                                   : std::to_string(head.status());
    if (!head.keep_alive()) all += " close";
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
      {"an upgrade is an ordinary request here",
       "GET / HTTP/1.1\r\n" + host + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nGET /b HTTP/1.1\r\n" + host +
           "\r\n",
       "GET / | GET /b | end"},
      {"cut in the head", "GET / HTTP/1.1\r\nHos", "<closed>"},
      {"cut in the body", "POST /a HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nab", "POST /a body=ab<closed>"},
      {"cut in the chunks", "POST /a HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n5\r\nab",
       "POST /a body=ab<closed>"},
      {"junk", "hello\r\n\r\n", "<protocol>"},
      {"both lengths",
       "POST / HTTP/1.1\r\n" + host + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
       "<protocol>"},
      {"two lengths", "POST / HTTP/1.1\r\n" + host + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", "<protocol>"},
      {"a list of lengths", "POST / HTTP/1.1\r\n" + host + "Content-Length: 3, 3\r\n\r\nabc", "<protocol>"},
      {"a signed length", "POST / HTTP/1.1\r\n" + host + "Content-Length: +3\r\n\r\nabc", "<protocol>"},
      {"a length too long to count", "POST / HTTP/1.1\r\n" + host + "Content-Length: 99999999999999999999\r\n\r\n",
       "<protocol>"},
      {"another coding", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
       "<protocol>"},
      {"a coding twice",
       "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       "<protocol>"},
      {"chunked in 1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "<protocol>"},
      {"no host", "GET / HTTP/1.1\r\n\r\n", "<protocol>"},
      {"two hosts", "GET / HTTP/1.1\r\n" + host + host + "\r\n", "<protocol>"},
      {"a folded field", "GET / HTTP/1.1\r\n" + host + "X: a\r\n b\r\n\r\n", "<protocol>"},
      {"a folded field after an empty line before the request", "\r\nGET / HTTP/1.1\r\n" + host + "X: a\r\n b\r\n\r\n",
       "<protocol>"},
      {"white space around a value is not part of it", "POST /a HTTP/1.1\r\n" + host + "Content-Length:  3 \r\n\r\nabc",
       "POST /a body=abc | end"},
      {"a folded field by tab", "GET / HTTP/1.1\r\n" + host + "X: a\r\n\tb\r\n\r\n", "<protocol>"},
      {"a field without a name", "GET / HTTP/1.1\r\n" + host + "X: a\r\n: b\r\n\r\n", "<protocol>"},
      {"a first field without a name", "GET / HTTP/1.1\r\n: b\r\n" + host + "\r\n", "<protocol>"},
      {"a trailer without a name", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n0\r\n: b\r\n\r\n",
       "POST / body=<protocol>"},
      {"a space before the colon", "GET / HTTP/1.1\r\nHost : x\r\n\r\n", "<protocol>"},
      {"a bare LF", "GET / HTTP/1.1\nHost: x\n\n", "<protocol>"},
      {"a bare LF that ends the head", "GET / HTTP/1.1\r\n" + host + "\n", "<protocol>"},
      {"a bare LF after a field", "GET / HTTP/1.1\r\n" + host + "A: b\n\r\n", "<protocol>"},
      {"a NUL", std::string("GET / HTTP/1.1\r\nHost: x\r\nA: b") + '\0' + "c\r\n\r\n", "<protocol>"},
      {"a bad chunk size", "POST / HTTP/1.1\r\n" + host + "Transfer-Encoding: chunked\r\n\r\nx\r\nabc\r\n0\r\n\r\n",
       "POST / body=<protocol>"},
      {"HTTP/2", "GET / HTTP/2.0\r\n" + host + "\r\n", "<protocol>"},
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
      {"both lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok", "<protocol>"},
      {"junk", "ok\r\n\r\n", "<protocol>"},
      {"a control character in the reason", std::string("HTTP/1.1 200 O") + '\0' + "K\r\nContent-Length: 0\r\n\r\n",
       "<protocol>"},
  };
  check_rows(rows, Side::kResponses);
  CHECK(parsed("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
               Side::kResponses, 1, {}, true) == "200 | 200 | end");
}

TEST_CASE("reader: a head has limits") {
  const std::string start = "GET / HTTP/1.1\r\nHost: x\r\n";
  const ReadLimits limits{.head_bytes = 1000, .fields = 10};
  CHECK(parsed(start + "A: " + std::string(900, 'a') + "\r\n\r\n", Side::kRequests, 7, limits) == "GET / | end");
  CHECK(parsed(start + "A: " + std::string(1000, 'a') + "\r\n\r\n", Side::kRequests, 7, limits) == "<limit>");
  CHECK(parsed("GET /" + std::string(1000, 'a') + " HTTP/1.1\r\n", Side::kRequests, 7, limits) == "<limit>");
  std::string fields;
  for (int i = 0; i < 9; ++i) fields += "A: b\r\n";
  CHECK(parsed(start + fields + "\r\n", Side::kRequests, 7, limits) == "GET / | end");
  CHECK(parsed(start + fields + "A: b\r\n\r\n", Side::kRequests, 7, limits) == "<limit>");
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

TEST_CASE("head: tokens in lists, and query parameters") {
  MemoryLoop loop;
  auto [client, server] = loop.pair();
  Head head;
  struct Read {
    static Task<void> run(Stream& c, Stream& s, Head& h) {
      CHECK(
          co_await c.write("GET /history?limit=5&q=a%20b+c&empty=&bad=%zz HTTP/1.1\r\nHost: x\r\nConnection: "
                           "keep-alive , Upgrade\r\nconnection: X\r\n\r\n"));
      MessageReader reader(s, Side::kRequests);
      CHECK(co_await reader.head(h) == true);
    }
  };
  loop.run(Read::run(*client, *server, head));
  CHECK(head.has_token("Connection", "upgrade"));
  CHECK(head.has_token("Connection", "x"));
  CHECK_FALSE(head.has_token("Connection", "keep"));
  CHECK(head.path() == "/history");
  CHECK(query_parameter(head.query(), "limit") == "5");
  CHECK(query_parameter(head.query(), "q") == "a b c");
  CHECK(query_parameter(head.query(), "empty") == "");
  CHECK(query_parameter(head.query(), "bad") == "%zz");
  CHECK(query_parameter(head.query(), "none") == std::nullopt);
}

TEST_CASE("writer: dates, chunks and JSON strings") {
  CHECK(http_date(WallTime{std::chrono::seconds(784111777)}) == "Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK(ChunkHead(26).view() == "1a\r\n");
  CHECK(json_quoted("a\"b\\c\n\x01 é") == "\"a\\\"b\\\\c\\n\\u0001 é\"");
  CHECK_FALSE(is_field_value("a\r\nSet-Cookie: x"));
  CHECK(is_field_value("é\t"));
}

Task<Response> echo(Request& request) {
  co_return Response{.body = std::string(request.head.method()) + " " + std::string(request.head.path()) + " " +
                             request.body};
}

struct Served {
  Server server;
  Address at;
  Served(Loop& loop, Server::Handler handler, ServerLimits limits = {}) : server(loop, std::move(handler), limits) {
    auto listener = std::move(loop.listen(Address::loopback(0)).value());
    at = listener->address();
    server.serve(std::move(listener));
  }
};

using net::testing::over_both;

// Sends raw bytes on one connection and returns all that comes back.
Task<std::string> raw(Loop& loop, Address at, std::string bytes) {
  auto stream = std::move((co_await loop.connect(at, 1s)).value());
  (void)co_await stream->write(bytes);
  std::string all;
  std::array<char, 4096> buffer;
  while (true) {
    const auto n = co_await stream->read(buffer);
    if (!n) co_return all + "<" + std::string(name_of(n.error().code())) + ">";
    if (*n == 0) co_return all;
    all.append(buffer.data(), *n);
  }
}

std::string statuses(const std::string& bytes) {
  std::string found;
  for (std::size_t at = bytes.find("HTTP/1.1 "); at != std::string::npos; at = bytes.find("HTTP/1.1 ", at + 1)) {
    found += bytes.substr(at + 9, 3) + " ";
  }
  return found;
}

Task<void> serves(Loop& loop) {
  Served served(loop, echo);
  const auto answer =
      co_await fetch(loop, {.to = served.at, .method = "POST", .target = "/x", .body = std::string(100'000, 'b')});
  REQUIRE(answer);
  CHECK(answer->head.status() == 200);
  CHECK(answer->body == "POST /x " + std::string(100'000, 'b'));
  const auto head = co_await fetch(loop, {.to = served.at, .method = "HEAD", .target = "/x"});
  REQUIRE(head);
  CHECK(head->body.empty());
  CHECK(head->head.find("content-length") == "8");
  co_await served.server.drain(1s);
}
TEST_CASE("server: answers") { over_both(serves); }

Task<void> keeps_order(Loop& loop) {
  Served served(loop, echo);
  const std::string all =
      co_await raw(loop, served.at,
                   "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
                   "GET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  CHECK(statuses(all) == "200 200 200 ");
  CHECK(all.find("GET /1") < all.find("POST /2 hi"));
  CHECK(all.find("POST /2 hi") < all.find("GET /3"));
  CHECK(all.ends_with("GET /3 "));  // a clean end
  co_await served.server.drain(1s);
}
TEST_CASE("server: pipelined requests are answered in order") { over_both(keeps_order); }

Task<void> refuses(Loop& loop) {
  Served served(loop, echo, {.body_bytes = 10});
  CHECK(statuses(co_await raw(loop, served.at, "junk\r\n\r\n")) == "400 ");
  const std::string too_large =
      co_await raw(loop, served.at, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello world");
  CHECK(statuses(too_large) == "413 ");
  CHECK(too_large.find("\"error\"") != std::string::npos);
  CHECK(statuses(co_await raw(loop, served.at,
                              "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: "
                              "chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n")) == "413 ");
  CHECK(statuses(co_await raw(loop, served.at, "GET /" + std::string(40'000, 'x') + " HTTP/1.1\r\nHost: x\r\n\r\n")) ==
        "431 ");
  CHECK(
      statuses(co_await raw(
          loop, served.at,
          "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")) ==
      "100 200 ");
  co_await served.server.drain(1s);
}
TEST_CASE("server: bad, large and long requests are refused with the reason") { over_both(refuses); }

TEST_CASE("server: slow clients are timed out, by the part they are slow at") {
  MemoryLoop loop;
  struct Slow {
    static Task<void> run(Loop& l) {
      Served served(l, echo);
      Instant begun = l.now();
      CHECK(statuses(co_await raw(l, served.at, "GET / HT")) == "408 ");
      CHECK(l.now() - begun >= 10s);
      CHECK(l.now() - begun < 12s);
      begun = l.now();
      CHECK(statuses(co_await raw(l, served.at, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")) ==
            "408 ");
      CHECK(l.now() - begun >= 30s);
      CHECK(l.now() - begun < 32s);
      begun = l.now();
      CHECK(statuses(co_await raw(l, served.at, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")) == "200 ");  // then idle
      CHECK(l.now() - begun == 75s);
      co_await served.server.drain(1s);
    }
  };
  loop.run(Slow::run(loop));
}

Task<void> drains(Loop& loop) {
  Served served(loop, [&loop](Request&) -> Task<Response> {
    co_await loop.sleep(50ms);
    co_return Response{.body = "done"};
  });
  auto idle = std::move((co_await loop.connect(served.at, 1s)).value());
  std::string busy;
  TaskGroup group;
  group.start(store(raw(loop, served.at, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"), busy));
  co_await loop.sleep(10ms);
  co_await served.server.drain(5s);
  co_await group.join();
  CHECK(busy.ends_with("done"));  // answered, then closed cleanly
  CHECK(busy.find("Connection: close") != std::string::npos);
  std::array<char, 10> buffer;
  CHECK(co_await idle->read(buffer) == 0U);
  const auto refused = co_await fetch(loop, {.to = served.at});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Code::kRefused);
}
Task<void> drains_what_arrived(Loop& loop) {
  const std::string big(20'000'000, 'x');
  Served served(loop, [&big](Request& request) -> Task<Response> {
    co_return Response{.body = request.head.path() == "/big" ? big : "late"};
  });
  auto client = std::move((co_await loop.connect(served.at, 1s)).value());
  CHECK(co_await client->write("GET /big HTTP/1.1\r\nHost: x\r\n\r\n"));
  co_await loop.sleep(20ms);  // its answer is on its way, keeps the connection, and waits for a reader
  TaskGroup group;
  group.start(served.server.drain(60s));
  CHECK(co_await client->write("GET /late HTTP/1.1\r\nHost: x\r\n\r\n"));
  std::string all;
  std::vector<char> buffer(1'000'000);
  while (const auto n = co_await client->read(buffer)) {
    if (*n == 0) break;
    all.append(buffer.data(), *n);
  }
  co_await group.join();
  CHECK(all.size() > big.size());
  CHECK(all.ends_with("late"));
}
TEST_CASE("server: a request on a connection that was told to stay is answered, draining or not") {
  over_both(drains_what_arrived);
}

TEST_CASE("server: draining refuses new, closes idle, finishes begun") { over_both(drains); }

Task<void> crowded(Loop& loop) {
  Served served(loop, echo, {.connections = 2});
  auto one = std::move((co_await loop.connect(served.at, 1s)).value());
  auto two = std::move((co_await loop.connect(served.at, 1s)).value());
  co_await loop.sleep(5ms);
  CHECK(statuses(co_await raw(loop, served.at, "")) == "503 ");
  CHECK(served.server.connections_refused() == 1);
  one.reset();
  two.reset();
  co_await served.server.drain(1s);
}
TEST_CASE("server: connections are bounded, and the one too many is told") { over_both(crowded); }

}  // namespace
}  // namespace nines::http
