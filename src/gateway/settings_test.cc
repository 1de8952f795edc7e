// What a user may change: that it changes what happens to a request, end to end.
#include <string>

#include <doctest/doctest.h>

#include "gateway/test_support.h"

namespace nines::gateway {
namespace {

using namespace testing;
using net::testing::over_both;
using net::testing::over_memory;

Task<void> routes_override(Loop& loop) {
  ScriptedReplica slow(loop, {.answer = kOk, .before = 20s});
  Settings settings;
  settings.patience = {.first_byte = 60s, .first_byte_max = 60s};
  settings.routes =
      RouteTable({{.path = "/quick", .first_byte = 5s}, {.path = "/small", .body_bytes = 3}, {.path = "/large"}});
  settings.body_bytes = 10;
  World world(loop, std::move(settings));
  world.route(0, slow.at);
  const Instant begun = loop.now();
  CHECK((co_await world.call("POST", "/quick")).head.status() == 504);
  CHECK(loop.now() - begun < 20s);
  CHECK((co_await world.call("GET", "/patient")).head.status() == 200);
  CHECK((co_await world.call("POST", "/small", "four")).head.status() == 413);
  CHECK((co_await world.call("POST", "/large", "four")).head.status() == 200);
  CHECK((co_await world.call("POST", "/large", "more than ten")).head.status() == 413);
  co_await world.worker.drain(1s);
  co_await slow.stop();
}
TEST_CASE("settings: a route has its own patience and its own largest body") { over_memory(routes_override); }

Task<void> stream_patience(Loop& loop) {
  HandServer replica(loop);
  Settings settings;
  settings.stream_idle = 100s;
  settings.routes = RouteTable({{.path = "/hasty", .stream_idle = 3s}});
  World world(loop, std::move(settings));
  world.route(0, replica.at);
  struct Play {
    static Task<void> one_event(HandServer& server, std::unique_ptr<Stream>& stream) {
      stream = co_await server.next();
      (void)co_await HandServer::read_head(*stream);
      (void)co_await stream->write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n");
    }
  };
  for (const auto& [path, patience] : {std::pair{"/hasty", 3s}, std::pair{"/other", 100s}}) {
    std::unique_ptr<Stream> stream;
    TaskGroup playing;
    playing.start(Play::one_event(replica, stream));
    const Instant begun = loop.now();
    const std::string all =
        co_await world.raw("GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(all.contains("stream_interrupted"));
    CHECK(loop.now() - begun >= patience);
    CHECK(loop.now() - begun < patience + 2s);
    co_await playing.join();
  }
  co_await world.worker.drain(1s);
}
TEST_CASE("settings: a route has its own patience with a silent stream") { over_memory(stream_patience); }

Task<void> page(Loop& loop) {
  Settings settings;
  settings.admission.queue_time = 0s;
  settings.unavailable_page = "<p>We will be back.";
  World world(loop, std::move(settings));  // nobody is ready
  struct Row {
    const char* accept;
    bool html;
  };
  for (const Row& row : {Row{"text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", true}, Row{"application/json", false},
                         Row{"*/*", false}}) {
    CAPTURE(row.accept);
    const auto answer = co_await world.call("GET", "/", "", {{"Accept", row.accept}});
    CHECK(answer.head.status() == 503);
    CHECK(answer.head.find("retry-after"));
    CHECK((answer.head.find("content-type") == "text/html; charset=utf-8") == row.html);
    CHECK((answer.body == "<p>We will be back.") == row.html);
  }
  co_await world.worker.drain(1s);
}
TEST_CASE("settings: a browser gets the page while nobody is ready, a program the JSON") { over_both(page); }

// How often a replica is left in the middle when a client leaves before the answer, and during it.
struct Left {
  int before = 0;
  bool read_to_the_end = false;
};
Task<Left> leave(Loop& loop, bool cancel_upstream) {
  Left left;
  Settings settings;
  settings.cancel_upstream = cancel_upstream;
  {
    ScriptedReplica slow(loop, {.answer = kOk, .before = 2s});
    World world(loop, settings);
    world.route(0, slow.at);
    auto client = std::move((co_await loop.connect(world.at, 1s)).value());
    (void)co_await client->write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    while (slow.requests == 0) (void)co_await loop.sleep(5ms);
    client->reset();
    client.reset();
    (void)co_await loop.sleep(3s);
    left.before = slow.abandoned;
    CHECK(world.counters().abandoned == 1);
    co_await world.worker.drain(1s);
    co_await slow.stop();
  }
  HandServer replica(loop);
  World world(loop, settings);
  world.route(0, replica.at);
  auto client = std::move((co_await loop.connect(world.at, 1s)).value());
  (void)co_await client->write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  auto stream = co_await replica.next();
  (void)co_await HandServer::read_head(*stream);
  const std::string piece(64 * 1024, 'x');
  constexpr int kPieces = 64;
  (void)co_await stream->write("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kPieces * piece.size()) +
                               "\r\n\r\n");
  (void)co_await stream->write(piece);
  std::array<char, 1024> some;
  CHECK(co_await client->read(some));
  client->reset();
  client.reset();
  left.read_to_the_end = true;
  for (int i = 1; i < kPieces && left.read_to_the_end; ++i) {
    stream->write_deadline(loop.now() + 2s);
    left.read_to_the_end = (co_await stream->write(piece)).has_value();
  }
  stream.reset();
  co_await world.worker.drain(1s);
  co_return left;
}
Task<void> client_leaves(Loop& loop) {
  const Left cancelled = co_await leave(loop, true);
  CHECK(cancelled.before == 1);
  CHECK_FALSE(cancelled.read_to_the_end);
  const Left kept = co_await leave(loop, false);
  CHECK(kept.before == 0);
  CHECK(kept.read_to_the_end);
}
TEST_CASE("settings: the work for a client that left ends, or is let go on") { over_both(client_leaves); }

Task<void> forwarded(Loop& loop) {
  ScriptedReplica replica(loop, {.answer = kOk});
  struct Row {
    std::string trusted;
    const char* seen;
    const char* client;  // in the log
  };
  const Row rows[] = {{"", "X-Forwarded-For=203.0.113.9, 127.0.0.1\n", "127.0.0.1"},
                      {"127.0.0.1", "X-Forwarded-For=203.0.113.9, 127.0.0.1\n", "203.0.113.9"},
                      {"10.0.0.1", "X-Forwarded-For=127.0.0.1\n", "127.0.0.1"}};
  for (const Row& row : rows) {
    CAPTURE(row.trusted);
    Settings settings;
    if (!row.trusted.empty()) REQUIRE(settings.trusted_proxies.add(row.trusted, 32));
    AccessLog log({.what = AccessLogged::kAll});
    World world(loop, std::move(settings));
    world.worker.log_to(log);
    world.route(0, replica.at);
    (void)co_await world.call("GET", "/", "", {{"X-Forwarded-For", "203.0.113.9"}, {"X-Forwarded-Proto", "https"}});
    CHECK(replica.last_head.contains(row.seen));
    CHECK(replica.last_head.contains("X-Forwarded-Proto=https\n") == (row.trusted != "10.0.0.1"));
    co_await world.worker.drain(1s);
    std::string lines;
    log.take(lines);
    CHECK(lines.contains("\"client\":\"" + std::string(row.client) + "\""));
  }
  co_await replica.stop();
}
TEST_CASE("settings: whose word about the client is taken") { over_memory(forwarded); }

}  // namespace
}  // namespace nines::gateway
