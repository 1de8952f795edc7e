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

Task<void> store(Task<std::string> task, std::string& into) { into = co_await std::move(task); }

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
        "414 ");
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

// Answers one request with a head and, an hour after each other, two chunks; then it breaks off, or ends.
Task<void> answers_slowly(net::Listener& listener, bool whole) {
  auto stream = std::move((co_await listener.accept()).value());
  std::array<char, 1024> request;
  CHECK((co_await stream->read(request)).value_or(0) > 0);
  CHECK(co_await stream->write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"));
  for (const std::string_view piece : {"1\r\na\r\n", "1\r\nb\r\n"}) {
    CHECK(co_await stream->loop().sleep(1h));
    CHECK(co_await stream->write(piece));
  }
  if (whole) CHECK(co_await stream->write("0\r\n\r\n"));
}

Task<std::string> downloaded(Loop& loop, Address at) {
  auto download = co_await Download::open(loop, {.to = at, .timeout = 5s});
  if (!download) co_return "<" + std::string(name_of(download.error().code())) + ">";
  CHECK(download->head().status() == 200);
  std::string all;
  while (true) {
    const auto piece = co_await download->piece();
    if (!piece) co_return all + "<" + std::string(name_of(piece.error().code())) + ">";
    if (piece->empty()) co_return all;
    all += *piece;
  }
}

TEST_CASE("client: a download lasts as long as its answer, and one that breaks off is no end") {
  for (const bool whole : {true, false}) {
    CAPTURE(whole);
    MemoryLoop loop;
    auto listener = std::move(loop.listen(Address::loopback(0)).value());
    loop.start(answers_slowly(*listener, whole));
    CHECK(loop.run(downloaded(loop, listener->address())) == (whole ? "ab" : "ab<closed>"));
  }
}

TEST_CASE("client: a download that does not begin is given up") {
  MemoryLoop loop;
  auto listener = std::move(loop.listen(Address::loopback(0)).value());
  CHECK(loop.run(downloaded(loop, listener->address())) == "<timed_out>");
}

}  // namespace
}  // namespace nines::http
