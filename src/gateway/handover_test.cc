// One gateway takes over from another on the same listening socket, and no request fails of a client that never tries
// again. Over memory and over sockets.
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "gateway/tenure.h"
#include "gateway/test_support.h"
#include "net/epoll_loop.h"
#include "net/memory_loop.h"

namespace nines::gateway {
namespace {

using namespace testing;
using net::Address;
using net::Loop;
using net::Stream;
using net::testing::over_both;
using net::testing::over_memory;

// The listening socket as the supervisor holds it, whoever accepts.
class Door {
 public:
  explicit Door(Loop& loop)
      : memory_(dynamic_cast<net::MemoryLoop*>(&loop)), epoll_(dynamic_cast<net::EpollLoop*>(&loop)) {
    if (memory_ != nullptr) held_ = std::move(loop.listen(Address::loopback(0)).value());
    if (epoll_ != nullptr) fd_ = std::move(net::open_listener(Address::loopback(0)).value());
  }
  std::unique_ptr<net::Listener> open() {
    return memory_ != nullptr ? memory_->share(held_->address()) : epoll_->adopt_listener(fd_.get());
  }

 private:
  net::MemoryLoop* memory_;
  net::EpollLoop* epoll_;
  std::unique_ptr<net::Listener> held_;
  Fd fd_;
};

// A client that keeps its connection as long as it may, and never sends a request twice.
struct Tally {
  int answered = 0, failed = 0, told_to_close = 0, refused = 0;
};
Task<void> ask_again_and_again(Loop& loop, Address at, Duration pause, const bool& enough, Tally& tally) {
  std::unique_ptr<Stream> stream;
  std::optional<http::MessageReader> reader;
  http::Head head;
  while (!enough) {
    if (!stream) {
      auto connected = co_await loop.connect(at, 10s);
      tally.refused += connected ? 0 : 1;
      if (!connected) co_return;
      stream = std::move(*connected);
      reader.emplace(*stream, http::Side::kResponses);
    }
    const auto written = co_await stream->write("POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx");
    auto got = co_await reader->head(head);
    while (got && *got && !reader->message_done()) {
      if (!co_await reader->body()) break;
    }
    const bool answered = written && got && *got && reader->message_done() && head.status() == 200;
    ++(answered ? tally.answered : tally.failed);
    if (!answered || !head.keep_alive()) {
      tally.told_to_close += answered ? 1 : 0;
      reader.reset();
      stream.reset();
    }
    (void)co_await loop.sleep(pause);
  }
}

Task<void> hands_over(Loop& loop) {
  Echo echo(loop, "a");
  Door door(loop);
  World world(loop);
  world.route(0, echo.at);
  bool enough = false;
  Tally tally;
  TaskGroup clients, leaving;
  constexpr int kClients = 24;
  const Address at = door.open()->address();
  std::vector<std::unique_ptr<Settings>> settings;
  std::vector<std::unique_ptr<Worker>> workers;
  constexpr std::uint64_t kHandovers = 8;
  for (std::uint64_t epoch = 0; epoch <= kHandovers; ++epoch) {
    if (epoch > 0) {
      co_await workers.back()->stop_accepting();
      leaving.start(workers.back()->drain({.begun = 60s, .idle = 5s}));
      (void)co_await loop.sleep(2ms);  // nobody accepts: who connects now waits
    }
    world.table->header.gateway_epoch = epoch;
    settings.push_back(std::make_unique<Settings>());
    settings.back()->epoch = epoch;
    workers.push_back(std::make_unique<Worker>(loop, *world.table, *settings.back(), epoch));
    workers.back()->serve(door.open());
    for (int i = 0; epoch == 0 && i < kClients; ++i) {
      clients.start(ask_again_and_again(loop, at, i % 3 == 0 ? 20us : 170us * i, enough, tally));
    }
    const int before = tally.answered;
    while (tally.answered < before + 300) (void)co_await loop.sleep(1ms);
  }
  enough = true;
  co_await clients.join();
  co_await leaving.join();
  CHECK(tally.failed == 0);
  CHECK(tally.refused == 0);
  CHECK(tally.answered >= 2700);
  CHECK(tally.told_to_close >= static_cast<int>(kHandovers) * kClients / 2);
  CHECK(tally.told_to_close <= static_cast<int>(kHandovers) * kClients);  // each at most once a handover
  CHECK(world.counters().errors == 0);
  co_await workers.back()->drain(1s);
  CHECK(plane::total(world.table->service.connections) == 0);
  CHECK(plane::total(world.table->observed[0].in_flight) == 0);
  co_await world.worker.drain(1s);
  co_await echo.server.drain(1s);
}
TEST_CASE("handover: one gateway after another, and no request of a client that never tries again fails") {
  over_both(hands_over);
}

// A client that has had one answer on its connection, which stays.
Task<std::unique_ptr<Stream>> idle_client(World& world) {
  auto stream = std::move((co_await world.loop.connect(world.at, 1s)).value());
  CHECK(co_await stream->write("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  std::string seen;
  std::array<char, 1000> buffer;
  while (!seen.ends_with("GET 0")) {
    const auto n = co_await stream->read(buffer);
    REQUIRE(n);
    REQUIRE(*n > 0);
    seen.append(buffer.data(), *n);
  }
  (void)co_await world.loop.sleep(5ms);  // the gateway waits for the next request
  co_return stream;
}
Task<std::string> rest_of(Stream& stream) {
  std::string all;
  std::array<char, 1000> buffer;
  while (true) {
    const auto n = co_await stream.read(buffer);
    if (!n) co_return all + "<" + std::string(name_of(n.error().code())) + ">";
    if (*n == 0) co_return all;
    all.append(buffer.data(), *n);
  }
}

Task<void> idle_to_the_end(Loop& loop) {
  Echo echo(loop, "a");
  World world(loop);
  world.route(0, echo.at);
  auto client = co_await idle_client(world);
  const Instant begun = loop.now();
  TaskGroup leaving;
  leaving.start(world.worker.drain({.begun = 60s, .idle = 50ms}));
  CHECK((co_await rest_of(*client)).empty());  // a clean end
  CHECK(loop.now() - begun >= 50ms);
  co_await leaving.join();
  co_await echo.server.drain(1s);
}
TEST_CASE("handover: a connection that stays idle is closed cleanly, after the time it is given") {
  over_both(idle_to_the_end);
}

Task<void> at_the_same_moment(Loop& loop) {
  for (const Duration idle : {Duration(0), Duration(5s)}) {
    for (const bool request_first : {true, false}) {
      CAPTURE(idle.count());
      CAPTURE(request_first);
      Echo echo(loop, "a");
      World world(loop);
      world.route(0, echo.at);
      auto client = co_await idle_client(world);
      co_await world.worker.stop_accepting();
      TaskGroup leaving;
      if (!request_first) leaving.start(world.worker.drain({.begun = 60s, .idle = idle}));
      CHECK(co_await client->write("GET /2 HTTP/1.1\r\nHost: x\r\n\r\n"));
      if (request_first) leaving.start(world.worker.drain({.begun = 60s, .idle = idle}));
      const std::string seen = co_await rest_of(*client);
      CHECK(seen.find("Connection: close\r\n") != std::string::npos);
      CHECK(seen.ends_with("a GET 0"));
      client.reset();
      co_await leaving.join();
      co_await echo.server.drain(1s);
    }
  }
}
TEST_CASE("handover: a request that comes in the very turn the gateway begins to leave is answered") {
  over_both(at_the_same_moment);
}

Task<void> hurries(Loop& loop) {
  Echo echo(loop, "a");
  World world(loop);
  world.route(0, echo.at);
  auto client = co_await idle_client(world);
  const Instant begun = loop.now();
  TaskGroup leaving;
  leaving.start(world.worker.drain({.begun = 60s, .idle = 1h}));
  (void)co_await loop.sleep(10ms);
  world.worker.close_idle();
  CHECK((co_await rest_of(*client)).empty());
  co_await leaving.join();
  CHECK(loop.now() - begun < 10s);
  co_await echo.server.drain(1s);
}
TEST_CASE("handover: when the service goes down meanwhile, idle connections are closed at once") { over_both(hurries); }

Task<void> accepted_at_the_same_moment(Loop& loop) {
  Echo echo(loop, "a");
  World world(loop);
  world.route(0, echo.at);
  auto client = std::move((co_await loop.connect(world.at, 1s)).value());  // accepted, and nobody has looked at it yet
  TaskGroup leaving;
  leaving.start(world.worker.drain({.begun = 60s, .idle = 5s}));
  CHECK(co_await client->write("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  CHECK((co_await rest_of(*client)).ends_with("a GET 0"));
  client.reset();
  co_await leaving.join();
  co_await echo.server.drain(1s);
}
TEST_CASE("handover: a connection accepted in the very turn the gateway stops accepting is served") {
  over_memory(accepted_at_the_same_moment);
}

// An answer that was promised another request after it, and outlasts the time idle connections are given.
Task<void> long_answer(Loop& loop) {
  HandServer server(loop);
  World world(loop);
  world.route(0, server.at);
  struct Serve {
    static Task<void> run(Loop& l, HandServer& s) {
      auto stream = co_await s.next();
      (void)co_await HandServer::read_head(*stream);
      CHECK(co_await stream->write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"));
      (void)co_await l.sleep(20s);
      CHECK(co_await stream->write("k"));
      (void)co_await HandServer::read_head(*stream);
      CHECK(co_await stream->write(kOk));
      (void)co_await l.sleep(1s);
    }
  };
  TaskGroup group;
  group.start(Serve::run(loop, server));
  auto client = std::move((co_await loop.connect(world.at, 1s)).value());
  CHECK(co_await client->write("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  (void)co_await loop.sleep(1s);
  group.start(world.worker.drain({.begun = 60s, .idle = 5s}));
  (void)co_await loop.sleep(22s);  // answered 3 s ago
  CHECK(co_await client->write("GET /2 HTTP/1.1\r\nHost: x\r\n\r\n"));
  const std::string seen = co_await rest_of(*client);
  CHECK(seen.find("Connection: close") != std::string::npos);
  CHECK(seen.ends_with("ok"));
  CHECK(seen.find("HTTP/1.1 200 OK") != seen.rfind("HTTP/1.1 200 OK"));
  co_await group.join();
}
TEST_CASE("handover: a connection that an answer has promised another request gets it, however long the answer took") {
  over_memory(long_answer);
}

Task<void> left_alone(Loop& loop) {
  Echo old(loop, "old"), fresh(loop, "new");
  World world(loop);
  world.route(0, old.at);
  auto client = co_await idle_client(world);
  TaskGroup leaving;
  leaving.start(world.worker.drain({.begun = 60s, .idle = 5s}));
  // Nobody tells it: the doorbell is its successor's.
  plane::Route route = *world.table->routes[0].load();
  route.wanted = plane::Wanted::kDrain;
  world.table->routes[0].store(route);
  world.table->observed[1].verdict.store({.incarnation = 77, .health = plane::Health::kUp});
  world.table->routes[1].store({.incarnation = 77, .pid = 1, .port = fresh.at.port(), .wanted = plane::Wanted::kServe});
  ++world.table->header.routes_version;
  CHECK(co_await client->write("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  CHECK((co_await rest_of(*client)).ends_with("new GET 0"));
  client.reset();
  co_await leaving.join();
  co_await old.server.drain(1s);
  co_await fresh.server.drain(1s);
}
TEST_CASE("handover: a gateway that leaves sends nothing to a replica that was taken out meanwhile") {
  over_both(left_alone);
}

TEST_CASE("tenure: a gateway as many epochs behind as there are parts leaves the gauges to the newest") {
  plane::Plane table = std::move(plane::Plane::create().value());
  plane::Gauge& gauge = table->service.connections;
  table->header.gateway_epoch = 4;
  std::optional<Share> oldest(std::in_place, *table, gauge, 4);
  CHECK(plane::total(gauge) == 1);
  table->header.gateway_epoch = 4 + plane::kGauges - 1;
  std::optional<Share> middle(std::in_place, *table, gauge, 5);
  CHECK(plane::total(gauge) == 2);
  table->header.gateway_epoch = 4 + plane::kGauges;
  clear_gauges(*table, 4 + plane::kGauges);
  CHECK(plane::total(gauge) == 1);
  {
    const Share newest(*table, gauge, 4 + plane::kGauges), too_late(*table, gauge, 4);
    CHECK(plane::total(gauge) == 2);
    oldest.reset();
    CHECK(plane::total(gauge) == 2);
  }
  middle.reset();
  CHECK(plane::total(gauge) == 0);
}

}  // namespace
}  // namespace nines::gateway
