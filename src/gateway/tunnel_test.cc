// Joined connections, over memory and over sockets: a client's and a replica's end are played by hand.
#include <string>

#include <doctest/doctest.h>

#include "gateway/test_support.h"
#include "gateway/tunnel.h"

namespace nines::gateway {
namespace {

using namespace testing;
using net::Address;
using net::Loop;
using net::Stream;
using net::testing::over_both;
using net::testing::over_memory;

// A peer on the left, the joined streams in the middle, a peer on the right.
struct Bridge {
  static Task<std::unique_ptr<Bridge>> build(Loop& loop, Duration idle, std::string from_client = "",
                                             std::string from_replica = "") {
    auto bridge = std::make_unique<Bridge>();
    for (const auto& [outer, inner] :
         {std::pair(&bridge->client, &bridge->client_end), std::pair(&bridge->replica, &bridge->replica_end)}) {
      auto listener = std::move(loop.listen(Address::loopback(0)).value());
      *outer = std::move((co_await loop.connect(listener->address(), 1s)).value());
      *inner = std::move((co_await listener->accept()).value());
    }
    bridge->early_client = std::move(from_client);
    bridge->early_replica = std::move(from_replica);
    bridge->group.start(run(*bridge, idle));
    co_return bridge;
  }
  static Task<void> run(Bridge& b, Duration idle) {
    b.ended = co_await join_streams({*b.client_end, b.early_client}, {*b.replica_end, b.early_replica}, idle,
                                    [&b] { ++b.replica_bytes; });
  }
  // What comes until the end, or until so much is there.
  static Task<std::string> read(Stream& stream, std::size_t bytes = std::string::npos) {
    std::string all;
    std::array<char, 4096> buffer;
    while (all.size() < bytes) {
      const auto n = co_await stream.read(buffer);
      if (!n) co_return all + "<" + std::string(name_of(n.error().code())) + ">";
      if (*n == 0) break;
      all.append(buffer.data(), *n);
    }
    co_return all;
  }
  std::string early_client, early_replica;
  std::unique_ptr<Stream> client, client_end, replica, replica_end;
  std::optional<TunnelEnded> ended;
  int replica_bytes = 0;
  TaskGroup group;
};

Task<void> carries(Loop& loop) {
  auto b = co_await Bridge::build(loop, 1h, "early ", "first ");
  CHECK(co_await b->client->write("to the replica"));
  CHECK(co_await b->replica->write("to the client"));
  CHECK(co_await Bridge::read(*b->replica, 20) == "early to the replica");
  CHECK(co_await Bridge::read(*b->client, 19) == "first to the client");
  CHECK(b->replica_bytes == 1);
  b->client->end_writing();
  CHECK(co_await Bridge::read(*b->replica) == "");  // the end arrives, and the other direction goes on
  CHECK(co_await b->replica->write("last words"));
  b->replica->end_writing();
  CHECK(co_await Bridge::read(*b->client) == "last words");
  co_await b->group.join();
  CHECK(b->ended == TunnelEnded::kByBoth);
}
TEST_CASE("tunnel: carries both directions, what had come already first, until each has ended") { over_both(carries); }

Task<void> breaks(Loop& loop) {
  for (const bool client_breaks : {true, false}) {
    auto b = co_await Bridge::build(loop, 1h);
    Stream& one = client_breaks ? *b->client : *b->replica;
    Stream& other = client_breaks ? *b->replica : *b->client;
    CHECK(co_await other.write("x"));
    CHECK(co_await Bridge::read(one, 1) == "x");
    one.reset();
    CHECK(co_await Bridge::read(other) == "<closed>");
    co_await b->group.join();
    CHECK(b->ended == TunnelEnded::kBroken);
  }
}
TEST_CASE("tunnel: a side that breaks is seen to break by the other") { over_both(breaks); }

Task<void> idles(Loop& loop) {
  auto b = co_await Bridge::build(loop, 60s);
  for (int i = 0; i < 10; ++i) {
    (void)co_await loop.sleep(50s);
    CHECK(co_await b->client->write("."));  // one direction is busy: neither is idle
  }
  const Instant last = loop.now();
  CHECK(co_await Bridge::read(*b->client) == "<closed>");
  CHECK(loop.now() - last == 60s);
  co_await b->group.join();
  CHECK(b->ended == TunnelEnded::kIdle);
}
TEST_CASE("tunnel: ends when neither direction has moved for long") { over_memory(idles); }

Task<void> cancelled(Loop& loop) {
  auto b = co_await Bridge::build(loop, 1h);
  b->group.cancel();
  co_await b->group.join();
  CHECK(b->ended == TunnelEnded::kCancelled);
  CHECK(co_await Bridge::read(*b->client) == "<closed>");
  CHECK(co_await Bridge::read(*b->replica) == "<closed>");
}
TEST_CASE("tunnel: is cut when its scope is cancelled") { over_both(cancelled); }

Task<void> slow_side(Loop& loop) {
  auto b = co_await Bridge::build(loop, 1h);
  constexpr std::size_t kBytes = 12'000'000;
  struct Send {
    static Task<void> run(Stream& s) {
      const std::string piece(100'000, 'w');
      for (std::size_t sent = 0; sent < kBytes; sent += piece.size()) CHECK(co_await s.write(piece));
      s.end_writing();
    }
  };
  b->group.start(Send::run(*b->replica));
  b->client->end_writing();
  CHECK((co_await Bridge::read(*b->client)).size() == kBytes);
  co_await b->group.join();
  CHECK(b->ended == TunnelEnded::kByBoth);
}
TEST_CASE("tunnel: more than all sockets hold arrives whole") { over_both(slow_side); }

const std::string kWish =
    "GET /p HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n";

Task<void> upgrades(Loop& loop) {
  HandServer server(loop);
  World world(loop);
  world.route(0, server.at);
  auto client = std::move((co_await loop.connect(world.at, 1s)).value());
  CHECK(co_await client->write(kWish + "early frame"));
  auto replica = co_await server.next();
  const std::string head = co_await HandServer::read_head(*replica);
  CHECK(head.contains("Upgrade: websocket\r\n"));
  CHECK(head.contains("Sec-WebSocket-Key: k\r\n"));
  CHECK(co_await replica->write("HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nhello"));
  const std::string answer = co_await HandServer::read_head(*client);
  CHECK(answer.starts_with("HTTP/1.1 101"));
  std::string seen = answer.substr(answer.find("\r\n\r\n") + 4);
  if (seen.size() < 5) seen += co_await Bridge::read(*client, 5 - seen.size());
  CHECK(seen == "hello");
  CHECK((head.substr(head.find("\r\n\r\n") + 4) + co_await Bridge::read(*replica, 1)).starts_with("e"));
  CHECK(world.table->observed[0].in_flight[0] == 1);  // a drain waits for it
  CHECK(world.counters().upgrades == 1);
  CHECK(world.counters().requests == 1);
  replica->reset();
  CHECK(co_await Bridge::read(*client) == "<closed>");
  client.reset();
  replica.reset();
  co_await world.worker.drain(1s);
  CHECK(world.table->observed[0].in_flight[0] == 0);
}
TEST_CASE("gateway: a WebSocket passes, with what was sent too early on either side") { over_both(upgrades); }

Task<void> unwished(Loop& loop) {
  const std::string switched = "HTTP/1.1 101 Yes\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
  ScriptedReplica eager(loop, {.answer = switched}), ordinary(loop, {.answer = kOk});
  World world(loop);
  world.route(0, eager.at);
  CHECK((co_await world.raw("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"))
            .starts_with("HTTP/1.1 502"));
  world.route(0, ordinary.at);
  auto client = std::move((co_await loop.connect(world.at, 1s)).value());
  CHECK(co_await client->write(kWish));
  CHECK((co_await HandServer::read_head(*client)).starts_with("HTTP/1.1 200"));  // an ordinary answer
  client.reset();
  co_await world.worker.drain(1s);
  co_await eager.stop();
  co_await ordinary.stop();
}
TEST_CASE("gateway: protocols are switched for nobody who has not asked") { over_both(unwished); }

}  // namespace
}  // namespace nines::gateway
