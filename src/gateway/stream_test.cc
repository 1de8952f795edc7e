// Event streams, early answers and large uploads, end to end over memory and over sockets.
#include <string>

#include <doctest/doctest.h>

#include "gateway/test_support.h"
#include "http/writer.h"

namespace nines::gateway {
namespace {

using namespace testing;
using net::Address;
using net::Loop;
using net::Stream;
using net::testing::over_both;
using net::testing::over_memory;

const std::string kStreamHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
const std::string kRequest = "POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx";

std::string chunk(std::string_view text) {
  return std::string(http::ChunkHead(text.size()).view()) + std::string(text) + "\r\n";
}

Settings safe() {
  Settings settings;
  settings.routes = RouteTable({{"/p", true}});
  return settings;
}

// A client that reads as it comes.
struct Reading {
  explicit Reading(std::unique_ptr<Stream> s) : stream(std::move(s)) {}
  static Task<Reading> begin(Loop& loop, World& world, std::string_view request = kRequest) {
    Reading reading(std::move((co_await loop.connect(world.at, 1s)).value()));
    CHECK(co_await reading.stream->write(request));
    co_return reading;
  }
  // Until `text` has come, or the end: then it says so.
  Task<bool> until(std::string_view text) {
    std::array<char, 4096> buffer;
    while (!seen.contains(text)) {
      const auto n = co_await stream->read(buffer);
      ended = !n ? std::string(name_of(n.error().code())) : *n == 0 ? "end" : "";
      if (!ended.empty()) co_return false;
      seen.append(buffer.data(), *n);
    }
    co_return true;
  }
  std::unique_ptr<Stream> stream;
  std::string seen, ended;
};

// A test of one replica that is played by hand, beside one that answers.
struct TwoReplicas {
  TwoReplicas(Loop& loop, Settings settings = safe())
      : first(loop),
        second(loop, {.answer = kStreamHead + chunk("data: whole\n\n") + "0\r\n\r\n"}),
        world(loop, std::move(settings)) {
    world.route(0, first.at);
    world.route(1, second.at);
    world.table->observed[1].in_flight[0] = 20;  // so that the first is chosen first
  }
  Task<void> end() {
    co_await world.worker.drain(1s);
    co_await second.stop();
  }
  HandServer first;
  ScriptedReplica second;
  World world;
};

Task<void> held_until_first_event(Loop& loop) {
  for (const char* early : {"", ": ping\n\n", "id: 1\nevent: x\n\n", "data: {\"half"}) {
    CAPTURE(std::string(early));
    TwoReplicas two(loop);
    auto client = co_await Reading::begin(loop, two.world);
    auto replica = co_await two.first.next();
    (void)co_await HandServer::read_head(*replica);
    CHECK(co_await replica->write(kStreamHead + (*early == '\0' ? "" : chunk(early))));
    (void)co_await loop.sleep(20ms);
    replica->reset();
    CHECK(co_await client.until("\r\n0\r\n\r\n"));
    CHECK(client.seen.contains("data: whole\n\n"));
    CHECK_FALSE(client.seen.contains("half"));
    CHECK(two.world.counters().errors == 0);
    CHECK(two.world.counters().replayed == 1);
    client.stream.reset();
    replica.reset();
    co_await two.end();
  }
}
TEST_CASE("gateway: a stream that dies before its first data event is asked for elsewhere, unseen") {
  over_both(held_until_first_event);
}

Task<void> not_buffered(Loop& loop) {
  TwoReplicas two(loop);
  auto client = co_await Reading::begin(loop, two.world);
  auto replica = co_await two.first.next();
  (void)co_await HandServer::read_head(*replica);
  CHECK(co_await replica->write(kStreamHead));
  for (int i = 0; i < 5; ++i) {
    const std::string event = "data: token " + std::to_string(i) + "\n\n";
    CHECK(co_await replica->write(chunk(event)));
    CHECK(co_await client.until(event));  // before the next one is made
  }
  CHECK(co_await replica->write(chunk(": ping\n\n")));
  CHECK(co_await client.until(": ping"));
  CHECK(co_await replica->write("0\r\n\r\n"));
  CHECK(co_await client.until("\r\n0\r\n\r\n"));
  CHECK(two.world.counters().streams == 1);
  CHECK(two.world.counters().streams_interrupted == 0);
  client.stream.reset();
  replica.reset();
  co_await two.end();
}
TEST_CASE("gateway: every event is passed on before the next one is there") { over_both(not_buffered); }

Task<void> broken_stream(Loop& loop) {
  for (const bool old_client : {false, true}) {
    for (const char* half : {"", "data: {\"ha"}) {
      CAPTURE(old_client);
      CAPTURE(std::string(half));
      TwoReplicas two(loop);
      auto client = co_await Reading::begin(
          loop, two.world, old_client ? "GET /p HTTP/1.0\r\n\r\n" : "GET /p HTTP/1.1\r\nHost: x\r\n\r\n");
      auto replica = co_await two.first.next();
      (void)co_await HandServer::read_head(*replica);
      CHECK(co_await replica->write(kStreamHead + chunk("data: one\n\n")));
      CHECK(co_await client.until("data: one\n\n"));
      if (*half != '\0') CHECK(co_await replica->write(chunk(half)));
      (void)co_await loop.sleep(20ms);
      replica->reset();
      CHECK(co_await client.until("stream_interrupted"));
      CHECK_FALSE(co_await client.until("nothing ends like this"));
      CHECK_FALSE(client.seen.contains("\"ha"));
      CHECK_FALSE(client.seen.contains("\r\n0\r\n\r\n"));
      CHECK_FALSE(client.seen.contains("[DONE]"));
      if (old_client) CHECK(client.ended == "closed");  // a clean end would pass for a whole answer
      CHECK(two.world.counters().errors == 1);
      CHECK(two.world.counters().streams_interrupted == 1);
      CHECK(two.second.requests == 0);
      client.stream.reset();
      replica.reset();
      co_await two.end();
    }
  }
}
TEST_CASE("gateway: a stream that breaks ends with an event that says so, without half an event and never cleanly") {
  over_both(broken_stream);
}

Task<void> idle_stream(Loop& loop) {
  TwoReplicas two(loop);
  auto client = co_await Reading::begin(loop, two.world);
  auto replica = co_await two.first.next();
  (void)co_await HandServer::read_head(*replica);
  CHECK(co_await replica->write(kStreamHead + chunk("data: one\n\n")));
  CHECK(co_await client.until("data: one"));
  const Instant begun = loop.now();
  TaskGroup pings;
  struct Ping {
    static Task<void> run(Loop& l, Stream& s) {
      while (co_await l.sleep(15s)) {
        if (!co_await s.write(chunk(": ping\n\n"))) co_return;
      }
    }
  };
  pings.start(Ping::run(loop, *replica));
  CHECK(co_await client.until("stream_interrupted"));
  CHECK(loop.now() - begun == 120s);
  (void)co_await loop.sleep(1ms);  // the client may see what is written before the gateway counts it
  CHECK(two.world.counters().timeouts[static_cast<std::size_t>(plane::Timeout::kStreamIdle)] == 1);
  pings.cancel();
  co_await pings.join();
  client.stream.reset();
  replica.reset();
  co_await two.end();
}
TEST_CASE("gateway: comments keep no stream alive") { over_memory(idle_stream); }

Task<void> leaves_mid_stream(Loop& loop) {
  TwoReplicas two(loop);
  auto client = co_await Reading::begin(loop, two.world);
  auto replica = co_await two.first.next();
  (void)co_await HandServer::read_head(*replica);
  CHECK(co_await replica->write(kStreamHead + chunk("data: one\n\n")));
  CHECK(co_await client.until("data: one"));
  client.stream.reset();
  std::array<char, 10> buffer;
  const Instant left = loop.now();
  const auto n = co_await replica->read(buffer);
  CHECK((!n || *n == 0));
  CHECK(loop.now() - left < 1s);
  while (two.world.counters().abandoned == 0) co_await loop.sleep(1ms);
  CHECK(two.world.counters().requests == 0);
  replica.reset();
  co_await two.end();
}
TEST_CASE("gateway: a client that leaves a stream frees its replica") { over_both(leaves_mid_stream); }

// Reads and drops until the other side ends.
Task<std::size_t> swallow(Stream& stream) {
  std::vector<char> buffer(64 * 1024);
  std::size_t all = 0;
  while (true) {
    const auto n = co_await stream.read(buffer);
    if (!n || *n == 0) co_return all;
    all += *n;
  }
}

Task<void> answers_early(Loop& loop) {
  TwoReplicas two(loop);
  auto client = co_await Reading::begin(
      loop, two.world, "POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n" + std::string(300'000, 'x'));
  auto replica = co_await two.first.next();
  (void)co_await HandServer::read_head(*replica);
  CHECK(co_await replica->write("HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge"));
  CHECK(co_await client.until("large"));  // though it has not sent it all
  CHECK(client.seen.starts_with("HTTP/1.1 413"));
  CHECK(client.seen.contains("Connection: close"));
  CHECK(two.world.counters().requests == 1);
  client.stream->end_writing();
  (void)co_await swallow(*client.stream);
  client.stream.reset();
  replica.reset();
  co_await two.end();
}
TEST_CASE("gateway: an answer that comes before the request is sent is passed on at once") { over_both(answers_early); }

Task<void> read_slowly(HandServer& server, std::string& head) {
  auto replica = co_await server.next();
  const std::string fields = "Answer: " + std::string(10'000, 'a') + "\r\n";
  CHECK(co_await replica->write("HTTP/1.1 200 OK\r\n" + fields + "Content-Length: 2\r\n\r\nok"));
  (void)co_await server.loop.sleep(20ms);
  head = co_await HandServer::read_head(*replica);
}
Task<void> answers_unread(Loop& loop) {
  TwoReplicas two(loop);
  std::string upstream_head;
  TaskGroup replica;
  replica.start(read_slowly(two.first, upstream_head));
  auto client = co_await Reading::begin(loop, two.world,
                                        "GET /p HTTP/1.1\r\nHost: x\r\nSent: " + std::string(20'000, 's') + "\r\n\r\n");
  (void)co_await loop.sleep(100ms);  // the answer waits for its reader, and so does what is left of the request
  CHECK(co_await client.until("\r\n\r\nok"));
  co_await replica.join();
  CHECK(upstream_head.starts_with("GET /p HTTP/1.1\r\n"));
  CHECK(upstream_head.find_first_not_of('s', upstream_head.find("Sent: ") + 6) >=
        20'000 + upstream_head.find("Sent: "));
  CHECK_FALSE(upstream_head.contains("200 OK"));
  CHECK_FALSE(upstream_head.contains("aaa"));
  client.stream.reset();
  co_await two.end();
}
TEST_CASE("gateway: an answer to a request whose head is still on its way spoils neither") {
  net::MemoryLoop loop(2048);  // sockets that hold no whole head
  loop.run(answers_unread(loop));
}

// A replica that sends back what it gets, while it gets it: neither side's sockets hold all of it.
Task<void> both_ways_at_once(Loop& loop) {
  constexpr std::size_t kBytes = 20'000'000;
  HandServer server(loop);
  World world(loop);
  world.route(0, server.at);
  struct EchoBack {
    static Task<void> run(HandServer& s) {
      auto stream = co_await s.next();
      http::MessageReader reader(*stream, http::Side::kRequests);
      http::Head head;
      CHECK((co_await reader.head(head)).value());
      CHECK(co_await stream->write("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kBytes) + "\r\n\r\n"));
      while (true) {
        const auto piece = co_await reader.body();
        if (!piece || piece->empty()) break;
        CHECK(co_await stream->write(*piece));
      }
    }
  };
  struct Send {
    static Task<void> run(Stream& s) {
      const std::string piece(50'000, 'e');
      for (std::size_t sent = 0; sent < kBytes; sent += piece.size()) CHECK(co_await s.write(piece));
    }
  };
  TaskGroup group;
  group.start(EchoBack::run(server));
  auto client = std::move((co_await loop.connect(world.at, 1s)).value());
  CHECK(co_await client->write(
      "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " + std::to_string(kBytes) + "\r\n\r\n"));
  group.start(Send::run(*client));
  CHECK(co_await swallow(*client) > kBytes);
  co_await group.join();
  client.reset();
  co_await world.worker.drain(1s);
}
TEST_CASE("gateway: an answer flows while its request does, more than all sockets hold") {
  over_both(both_ways_at_once);
}

Task<void> full_replica(Loop& loop) {
  ScriptedReplica full(loop, {.answer = "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nfull"}),
      free(loop, {.answer = kOk});
  World world(loop, safe());
  world.route(0, full.at);
  world.route(1, free.at);
  world.table->observed[1].in_flight[0] = 20;
  CHECK((co_await world.call("POST", "/p", "x")).body == "ok");
  CHECK(full.requests == 1);
  const auto unsafe = co_await world.call("POST", "/other", "x");
  CHECK(unsafe.head.status() == 503);
  CHECK(unsafe.head.find("retry-after") == "7");
  world.remove(1);
  const auto alone = co_await world.call("POST", "/p", "x");
  CHECK(alone.head.status() == 503);  // as it is: nobody else could take it
  CHECK(alone.body == "full");
  co_await world.worker.drain(1s);
  co_await full.stop();
  co_await free.stop();
}
TEST_CASE("gateway: a replica that has no room is passed over where another has and that does no harm") {
  over_memory(full_replica);
}

}  // namespace
}  // namespace nines::gateway
