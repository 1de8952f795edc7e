// The data path end to end, over memory and over sockets: clients, a worker, and replicas that misbehave on purpose.
#include <array>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "base/text.h"
#include "gateway/test_support.h"

namespace nines::gateway {
namespace {

using namespace testing;
using net::Address;
using net::Loop;
using net::Stream;
using net::testing::over_both;
using net::testing::over_memory;

Task<void> forwards(Loop& loop) {
  Echo echo(loop, "a");
  World world(loop);
  world.route(0, echo.at);
  CHECK((co_await world.call("POST", "/x", std::string(1000, 'b'))).body == "a POST 1000");
  CHECK((co_await world.call("POST", "/x", std::string(2'000'000, 'b'))).head.status() ==
        413);  // by the replica, at 1 MiB
  CHECK((co_await world.call("GET", "/x")).body == "a GET 0");
  CHECK((co_await world.call("HEAD", "/x")).body.empty());
  CHECK(world.counters().requests == 4);
  CHECK(world.counters().errors == 0);
  CHECK(world.table->observed[0].requests == 4);
  CHECK(world.table->observed[0].in_flight[0] == 0);
  co_await world.worker.drain(1s);
  co_await echo.server.drain(1s);
}
TEST_CASE("gateway: forwards requests and answers") { over_both(forwards); }

Task<void> pools(Loop& loop) {
  Echo echo(loop, "a");
  World world(loop);
  world.route(0, echo.at);
  const std::string two = "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  const std::string all = co_await world.raw(two);
  CHECK(all.find("a GET 0") != all.rfind("a GET 0"));
  CHECK(all.ends_with("a GET 0"));
  CHECK(echo.server.connections() == 1);  // the second went over the connection of the first
  co_await loop.sleep(6s);
  CHECK(echo.server.connections() == 0);  // idle ones are closed before the replica would
  co_await world.worker.drain(1s);
  co_await echo.server.drain(1s);
}
TEST_CASE("gateway: upstream connections are used again, and closed when idle") { over_memory(pools); }

Task<void> heads(Loop& loop) {
  ScriptedReplica replica(loop, {.answer = "HTTP/1.1 200 Fine\r\nContent-Length: 2\r\nConnection: X-Secret, "
                                           "close\r\nX-Secret: 1\r\nKeep-Alive: timeout=5\r\nServer: s\r\n\r\nok"});
  World world(loop);
  world.route(0, replica.at);
  const auto answer = co_await world.call("POST", "/p?q=1", "body",
                                          {{"X-Forwarded-For", "9.9.9.9"},
                                           {"X-Request-Id", "abc-1"},
                                           {"TE", "trailers"},
                                           {"Upgrade", "h2c"},
                                           {"X-Own", "kept"}});
  const std::string& seen = replica.last_head;
  CHECK(seen.starts_with("POST /p?q=1\n"));
  CHECK(seen.find("X-Forwarded-For=9.9.9.9, 127.0.0.1\n") != std::string::npos);
  CHECK(seen.find("X-Request-Id=abc-1\n") != std::string::npos);
  CHECK(seen.find("X-Forwarded-Proto=http\n") != std::string::npos);
  CHECK(seen.find("Content-Length=4\n") != std::string::npos);
  CHECK(seen.find("X-Own=kept\n") != std::string::npos);
  CHECK(seen.find("Host=localhost\n") != std::string::npos);
  for (const char* gone : {"TE=", "Upgrade=", "Connection="}) CHECK(seen.find(gone) == std::string::npos);
  CHECK(answer.head.reason() == "Fine");
  CHECK(answer.head.find("server") == "s");
  CHECK(answer.head.find("x-request-id") == "abc-1");
  CHECK_FALSE(answer.head.find("x-secret"));
  CHECK_FALSE(answer.head.find("keep-alive"));
  const auto insane = co_await world.call("GET", "/", "", {{"X-Request-Id", "two words"}});
  CHECK(insane.head.find("x-request-id")->size() == 32);
  co_await world.worker.drain(1s);
  co_await replica.stop();
}
TEST_CASE("gateway: what belongs to one connection stays there; what the other side needs to know is added") {
  over_both(heads);
}

// What a client gets when the first replica behaves as scripted and the second is fine.
struct Outcome {
  int status;
  std::string body;
  int first_requests, second_requests;
};
Task<Outcome> against(Loop& loop, Script first, std::string method, std::vector<RouteRule> rules,
                      std::vector<std::pair<std::string, std::string>> fields = {}) {
  ScriptedReplica bad(loop, first), good(loop, {.answer = kOk});
  Settings settings;
  settings.routes = RouteTable(std::move(rules));
  World world(loop, std::move(settings));
  world.route(0, bad.at);
  world.route(1, good.at);
  world.table->observed[1].in_flight[0] = 20;  // so that the bad one is chosen first
  const auto answer = co_await world.call(method, "/p", method == "POST" ? "body" : "", fields);
  CHECK(world.counters().requests == 1);
  CHECK(world.counters().errors == (answer.head.status() >= 500 ? 1U : 0U));
  CHECK(world.table->observed[0].in_flight[0] == 0);
  const Outcome outcome{answer.head.status(), answer.body, bad.requests, good.requests};
  co_await world.worker.drain(1s);
  co_await bad.stop();
  co_await good.stop();
  co_return outcome;
}

Task<void> replays(Loop& loop) {
  const Script dies{.answer = "", .reset = true}, closes{.answer = ""},
      dies_in_head{.answer = "HTTP/1.1 200 OK\r\nContent-", .reset = true},
      dies_before_body{.answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n", .reset = true},
      talks_junk{.answer = "junk\r\n\r\n"};
  for (const Script& script : {dies, closes, dies_in_head, dies_before_body, talks_junk}) {
    CAPTURE(script.answer);
    Outcome o = co_await against(loop, script, "GET", {});
    CHECK(o.status == 200);
    CHECK(o.first_requests == 1);
    o = co_await against(loop, script, "POST", {{"/p", true}});
    CHECK(o.status == 200);
    CHECK(o.second_requests == 1);
    o = co_await against(loop, script, "POST", {}, {{"Idempotency-Key", "k"}});
    CHECK(o.status == 200);
    o = co_await against(loop, script, "POST", {});
    CHECK(o.status == 502);
    CHECK(o.second_requests == 0);
    CHECK(o.body.find("replica-1 failed while it had POST /p") != std::string::npos);
    CHECK(o.body.find("replay: safe") != std::string::npos);
  }
}
TEST_CASE("gateway: a request whose replica dies goes elsewhere, if that can do no harm; else a 502 says why") {
  over_both(replays);
}

Task<void> refused_connection(Loop& loop) {
  Echo echo(loop, "good");
  World world(loop);
  auto listener = std::move(loop.listen(Address::loopback(0)).value());
  const Address nobody = listener->address();
  listener.reset();
  world.route(0, nobody);
  world.route(1, echo.at);
  world.table->observed[1].in_flight[0] = 20;
  CHECK((co_await world.call("POST", "/unsafe", "x")).body == "good POST 1");  // nothing was sent: any method
  world.remove(1);
  const auto alone = co_await world.call("POST", "/unsafe", "x");
  CHECK(alone.head.status() == 503);
  CHECK(parse_unsigned(alone.head.find("retry-after").value_or("")).value_or(0) >= 1);
  co_await world.worker.drain(1s);
  co_await echo.server.drain(1s);
}
TEST_CASE("gateway: a replica that refuses the connection costs nothing") { over_memory(refused_connection); }

Task<void> breaks_off(Loop& loop) {
  for (const char* head : {"Content-Length: 100\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n4\r\n"}) {
    for (const bool reset : {false, true}) {
      CAPTURE(std::string(head));
      CAPTURE(reset);
      ScriptedReplica replica(loop, {.answer = std::string("HTTP/1.1 200 OK\r\n") + head + "part", .reset = reset});
      World world(loop);
      world.route(0, replica.at);
      const std::string seen = co_await world.raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
      CHECK(seen.ends_with("<closed>"));  // a reset: never a clean end
      CHECK(seen.find("\r\n0\r\n\r\n") == std::string::npos);
      CHECK(world.counters().errors == 1);
      CHECK(replica.requests == 1);
      co_await world.worker.drain(1s);
      co_await replica.stop();
    }
  }
}
TEST_CASE("gateway: a broken answer never ends cleanly") { over_both(breaks_off); }

Task<void> codings(Loop& loop) {
  ScriptedReplica chunked(
      loop, {.answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"}),
      until_close(loop, {.answer = "HTTP/1.1 200 OK\r\n\r\nabcde"}),
      empty(loop, {.answer = "HTTP/1.1 204 No Content\r\n\r\n"});
  World world(loop);
  for (const Address& at : {chunked.at, until_close.at}) {
    world.route(0, at);
    CHECK((co_await world.call("GET", "/")).body == "abcde");
    const std::string old = co_await world.raw("GET / HTTP/1.0\r\n\r\n");
    CHECK(old.ends_with("\r\n\r\nabcde"));
    CHECK(old.find("chunked") == std::string::npos);
    // The connection goes on after an answer of unknown length.
    const std::string two =
        co_await world.raw("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    CHECK(two.find("HTTP/1.1 200") != two.rfind("HTTP/1.1 200"));
  }
  world.route(0, empty.at);
  CHECK((co_await world.call("DELETE", "/")).head.status() == 204);
  co_await world.worker.drain(1s);
  co_await chunked.stop();
  co_await until_close.stop();
  co_await empty.stop();
}
TEST_CASE("gateway: answers of every framing reach clients of 1.1 and 1.0") { over_both(codings); }

Task<void> large(Loop& loop) {
  std::size_t seen = 0;
  http::Server server(loop,
                      [&seen](http::Request& request) -> Task<http::Response> {
                        seen = request.body.size();
                        co_return http::Response{.body = request.body};
                      },
                      {.body_bytes = 64 << 20});
  auto listener = std::move(loop.listen(Address::loopback(0)).value());
  World world(loop);
  world.route(0, listener->address());
  server.serve(std::move(listener));
  const std::string big(5'000'000, 'x');
  CHECK((co_await world.call("POST", "/", big)).body == big);
  CHECK(seen == big.size());
  const std::string chunked =
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n7a120\r\n" +
      std::string(500'000, 'y') + "\r\n0\r\n\r\n";
  CHECK((co_await world.raw(chunked)).ends_with(std::string(500'000, 'y')));
  CHECK(seen == 500'000);
  CHECK((co_await world.raw("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n"))
            .starts_with("HTTP/1.1 413"));
  co_await world.worker.drain(1s);
  co_await server.drain(1s);
}
TEST_CASE("gateway: bodies larger than what is kept are streamed both ways") { over_both(large); }

Task<void> waits(Loop& loop) {
  Echo echo(loop, "late");
  World world(loop);
  const Instant begun = loop.now();
  const auto none = co_await world.call("GET", "/");
  CHECK(none.head.status() == 503);
  CHECK(parse_unsigned(none.head.find("retry-after").value_or("")).value_or(0) >= 1);
  CHECK(loop.now() - begun == 5s);
  CHECK(world.counters().unroutable == 1);

  TaskGroup group;
  struct Later {
    static Task<void> run(Loop& l, World& w, Address at) {
      co_await l.sleep(3s);
      w.route(0, at);
    }
  };
  group.start(Later::run(loop, world, echo.at));
  CHECK((co_await world.call("POST", "/", "x")).body == "late POST 1");
  co_await group.join();
  co_await world.worker.drain(1s);
  co_await echo.server.drain(1s);
}
TEST_CASE("gateway: with nobody ready a request waits a while, then is told when to come again") { over_memory(waits); }

Task<void> routes_by_state(Loop& loop) {
  Echo a(loop, "a");
  World world(loop);
  for (const auto& [wanted, health] : {std::pair{plane::Wanted::kServe, plane::Health::kUnknown},
                                       {plane::Wanted::kDrain, plane::Health::kUp},
                                       {plane::Wanted::kAbsent, plane::Health::kUp}}) {
    world.route(0, a.at, wanted, health);
    CHECK((co_await world.call("GET", "/")).head.status() == 503);
  }
  // A verdict on another incarnation says nothing.
  world.route(0, a.at);
  world.table->observed[0].verdict.store({.incarnation = 999, .health = plane::Health::kUp});
  world.worker.refresh();
  CHECK((co_await world.call("GET", "/")).head.status() == 503);
  CHECK(a.requests == 0);
  co_await world.worker.drain(1s);
  co_await a.server.drain(1s);
}
TEST_CASE("gateway: nothing is sent to a replica that is unknown, draining or gone") { over_memory(routes_by_state); }

Task<void> client_leaves(Loop& loop) {
  ScriptedReplica slow(loop, {.answer = kOk, .before = 60s});
  World world(loop);
  world.route(0, slow.at);
  auto client = std::move((co_await loop.connect(world.at, 1s)).value());
  CHECK(co_await client->write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"));
  while (slow.requests == 0) co_await loop.sleep(1ms);
  const Instant left = loop.now();
  client.reset();
  while (slow.abandoned == 0) co_await loop.sleep(1ms);
  CHECK(loop.now() - left < 1s);
  while (world.counters().abandoned == 0) co_await loop.sleep(1ms);
  CHECK(world.counters().requests == 0);
  CHECK(world.table->observed[0].in_flight[0] == 0);
  co_await world.worker.drain(1s);
  co_await slow.stop();
}
TEST_CASE("gateway: a client that leaves frees its replica") { over_both(client_leaves); }

Task<void> client_gives_up(Loop& loop) {
  for (const bool cancel_upstream : {true, false}) {
    for (const Duration patience : {Duration(900ms), Duration(1100ms)}) {
      CAPTURE(patience.count());
      ScriptedReplica slow(loop, {.answer = kOk, .before = 5s});
      Settings settings;
      settings.cancel_upstream = cancel_upstream;
      World world(loop, settings);
      world.route(0, slow.at);
      auto client = std::move((co_await loop.connect(world.at, 1s)).value());
      CHECK(co_await client->write("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
      (void)co_await loop.sleep(patience);
      client->reset();
      client.reset();
      (void)co_await loop.sleep(10s);
      CHECK(world.counters().abandoned == 1);
      // A replica that may finish does, and so has answered.
      CHECK(world.counters().given_up == (patience > 1s && cancel_upstream ? 1 : 0));
      co_await world.worker.drain(1s);
      co_await slow.stop();
    }
  }
}
TEST_CASE("gateway: a client that has waited and leaves without a byte has given up") { over_memory(client_gives_up); }

Task<void> replica_taken_away(Loop& loop) {
  ScriptedReplica stuck(loop, {.answer = kOk, .before = 600s});
  Echo good(loop, "good");
  Settings settings;
  settings.routes = RouteTable({{"/p", true}});
  World world(loop, std::move(settings));
  world.route(0, stuck.at);
  TaskGroup group;
  struct Kill {
    static Task<void> run(Loop& l, World& w, ScriptedReplica& s, Address other) {
      while (s.requests == 0) co_await l.sleep(1ms);
      w.remove(0);  // its process is gone, yet a child of it keeps the connection open
      w.route(1, other);
    }
  };
  group.start(Kill::run(loop, world, stuck, good.at));
  const Instant begun = loop.now();
  CHECK((co_await world.call("POST", "/p", "x")).body == "good POST 1");
  CHECK(loop.now() - begun < 2s);
  co_await group.join();
  co_await world.worker.drain(1s);
  co_await stuck.stop();
  co_await good.server.drain(1s);
}
TEST_CASE("gateway: what is in flight on a replica that is gone goes elsewhere, even if its connection stays open") {
  over_both(replica_taken_away);
}

Task<void> poison(Loop& loop) {
  HandServer server(loop);
  World world(loop);
  world.route(0, server.at);
  struct Serve {
    static Task<void> run(Loop& l, HandServer& s) {
      auto first = co_await s.next();
      (void)co_await HandServer::read_head(*first);
      CHECK(co_await first->write(kOk));
      (void)co_await l.sleep(50ms);
      CHECK(co_await first->write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON"));
      auto second = co_await s.next();
      (void)co_await HandServer::read_head(*second);
      CHECK(co_await second->write(kOk));
      (void)co_await l.sleep(100ms);
    }
  };
  TaskGroup group;
  group.start(Serve::run(loop, server));
  CHECK((co_await world.call("GET", "/1")).body == "ok");
  co_await loop.sleep(80ms);
  CHECK((co_await world.call("GET", "/2")).body == "ok");
  co_await group.join();
  co_await world.worker.drain(1s);
}
TEST_CASE("gateway: what a replica sends beyond its answer reaches nobody") { over_both(poison); }

Task<void> stale(Loop& loop) {
  HandServer server(loop);
  World world(loop);
  world.route(0, server.at);
  struct Serve {
    static Task<void> run(HandServer& s) {
      {
        auto first = co_await s.next();
        (void)co_await HandServer::read_head(*first);
        CHECK(co_await first->write(kOk));
        (void)co_await HandServer::read_head(*first);  // the next request: closed in its face
      }
      auto second = co_await s.next();
      (void)co_await HandServer::read_head(*second);
      CHECK(co_await second->write(kOk));
      std::array<char, 10> buffer;
      (void)co_await second->read(buffer);
    }
  };
  TaskGroup group;
  group.start(Serve::run(server));
  CHECK((co_await world.call("GET", "/1")).body == "ok");
  const Instant begun = loop.now();
  CHECK((co_await world.call("GET", "/2")).body == "ok");  // the only replica is asked again, over a new connection
  CHECK(loop.now() - begun < 2s);
  co_await world.worker.drain(1s);
  world.remove(0);
  co_await group.join();
}
TEST_CASE("gateway: a connection closed as it is used again does not count against its replica") { over_both(stale); }

Task<void> hangs_when_used_again(Loop& loop) {
  HandServer server(loop);
  Echo good(loop, "good");
  World world(loop);
  world.route(0, server.at);
  world.route(1, good.at);
  world.table->observed[1].in_flight[0] = 20;  // so that the bad one is chosen first
  std::vector<std::unique_ptr<Stream>> connections;
  struct Serve {
    static Task<void> run(HandServer& s, std::vector<std::unique_ptr<Stream>>& accepted) {
      accepted.push_back(co_await s.next());
      (void)co_await HandServer::read_head(*accepted.back());
      CHECK(co_await accepted.back()->write(kOk));
      while (true) {  // and hears, but says nothing more
        auto another = co_await s.listener->accept();
        if (!another) co_return;
        accepted.push_back(std::move(*another));
      }
    }
  };
  TaskGroup group;
  group.start(Serve::run(server, connections));
  CHECK((co_await world.call("GET", "/1")).body == "ok");
  const Instant begun = loop.now();
  CHECK((co_await world.call("GET", "/2")).body == "good GET 0");
  CHECK(loop.now() - begun == 60s);
  CHECK(connections.size() == 1);
  CHECK(world.table->observed[0].errors == 1);
  group.cancel();
  co_await group.join();
  co_await world.worker.drain(1s);
  co_await good.server.drain(1s);
}
TEST_CASE("gateway: a replica that hangs on a connection used again costs one first-byte time, not two") {
  over_memory(hangs_when_used_again);
}

Task<void> upload_lost(Loop& loop) {
  HandServer server(loop);
  World world(loop);
  world.route(0, server.at);
  std::unique_ptr<Stream> upstream;
  struct Serve {
    static Task<void> run(HandServer& s, std::unique_ptr<Stream>& kept) {
      kept = co_await s.next();
      (void)co_await HandServer::read_head(*kept);
    }
  };
  TaskGroup group;
  group.start(Serve::run(server, upstream));
  auto client = std::move((co_await loop.connect(world.at, 1s)).value());
  CHECK(co_await client->write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" +
                               std::string(300'000, 'x')));
  co_await group.join();
  world.remove(0);  // its process is gone; its connection is not, yet
  std::string seen;
  std::array<char, 4096> buffer;
  while (seen.find("replay: safe") == std::string::npos) {
    const auto n = co_await client->read(buffer);
    REQUIRE(n);
    REQUIRE(*n > 0);
    seen.append(buffer.data(), *n);
  }
  CHECK(seen.starts_with("HTTP/1.1 502"));
  CHECK(seen.find("its process ended") != std::string::npos);
  CHECK(world.counters().abandoned == 0);
  upstream.reset();
  client.reset();
  co_await world.worker.drain(5s);
}
TEST_CASE("gateway: a replica lost during a large upload is a 502 that says so") { over_both(upload_lost); }

Task<void> slow_reader(Loop& loop) {
  const std::string body(3'000'000, 'z');
  HandServer server(loop);
  World world(loop);
  world.route(0, server.at);
  struct Serve {
    static Task<void> run(HandServer& s, World& w, const std::string& text) {
      auto stream = co_await s.next();
      (void)co_await HandServer::read_head(*stream);
      CHECK(co_await stream->write({"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n", text}));
      w.remove(0);  // it has said all it had to say, and ends
    }
  };
  TaskGroup group;
  group.start(Serve::run(server, world, body));
  auto client = std::move((co_await loop.connect(world.at, 1s)).value());
  CHECK(co_await client->write("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  std::size_t seen = 0;
  bool paused = false;
  std::vector<char> buffer(20'000);
  while (true) {
    const auto n = co_await client->read(buffer);
    REQUIRE(n);
    if (*n == 0) break;
    seen += *n;
    // Slower than the grace that lost attempts get, and once still for longer.
    (void)co_await loop.sleep(seen < body.size() / 2 || paused ? 2ms : 300ms);
    paused = seen >= body.size() / 2;
  }
  CHECK(seen > body.size());
  co_await group.join();
  co_await world.worker.drain(1s);
}
TEST_CASE("gateway: an answer that was sent whole arrives whole, however slow its reader") { over_both(slow_reader); }

Task<void> too_many_fields(Loop& loop) {
  std::string fields;
  for (int i = 0; i < 101; ++i) fields += "A: b\r\n";
  const Outcome o = co_await against(loop, {.answer = "HTTP/1.1 200 OK\r\n" + fields + "\r\n"}, "POST", {});
  CHECK(o.status == 502);
}
TEST_CASE("gateway: an answer beyond our limits is the replica's fault, not the client's") {
  over_memory(too_many_fields);
}

Task<void> old_clients(Loop& loop) {
  Echo echo(loop, "a");
  World world(loop);
  world.route(0, echo.at);
  const std::string seen = co_await world.raw("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n");
  CHECK(seen.find("Connection: keep-alive\r\n") != std::string::npos);
  CHECK(seen.find("Connection: close\r\n") != std::string::npos);
  co_await world.worker.drain(1s);
  co_await echo.server.drain(1s);
}
TEST_CASE("gateway: a client of HTTP/1.0 is told that its connection stays") { over_memory(old_clients); }

Task<void> times_out(Loop& loop) {
  ScriptedReplica hangs(loop, {.answer = kOk, .before = 3600s});
  World world(loop);
  world.route(0, hangs.at);
  const Instant begun = loop.now();
  const auto answer = co_await world.call("POST", "/", "x");
  CHECK(answer.head.status() == 504);
  CHECK(loop.now() - begun == 60s);
  CHECK(hangs.abandoned == 1);
  CHECK((co_await world.raw("GET / HT")).starts_with("HTTP/1.1 408"));
  CHECK((co_await world.raw("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab")).starts_with("HTTP/1.1 408"));
  CHECK((co_await world.raw("junk\r\n\r\n")).starts_with("HTTP/1.1 400"));
  CHECK((co_await world.raw("GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n")).starts_with("HTTP/1.1 400"));
  CHECK((co_await world.raw("GET /" + std::string(40'000, 'x') + " HTTP/1.1\r\nHost: x\r\n\r\n"))
            .starts_with("HTTP/1.1 414"));
  co_await world.worker.drain(1s);
  co_await hangs.stop();
}
TEST_CASE("gateway: slow replicas, slow clients and bad requests are told so") { over_memory(times_out); }

Task<void> ask_and_leave(Loop& loop, World& world) {
  auto stream = std::move((co_await loop.connect(world.at, 1s)).value());
  (void)co_await stream->write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  std::string seen;
  std::array<char, 4096> buffer;
  while (!seen.ends_with("\r\n\r\nok")) {
    const auto n = co_await stream->read(buffer);
    REQUIRE(n);
    REQUIRE(*n > 0);
    seen.append(buffer.data(), *n);
  }
}
Task<void> leave_once_answered(Loop& loop) {
  ScriptedReplica replica(loop, {.answer = kOk, .before = 10ms});
  World world(loop);
  world.route(0, replica.at);
  TaskGroup clients;
  for (int i = 0; i < 20; ++i) clients.start(ask_and_leave(loop, world));
  co_await clients.join();
  co_await world.worker.drain(1s);
  CHECK(world.counters().requests == 20);
  CHECK(world.counters().abandoned == 0);
  co_await replica.stop();
}
TEST_CASE("gateway: a client that leaves once it has its answer was served") { over_both(leave_once_answered); }

Task<void> refusals_logged(Loop& loop) {
  World world(loop);
  AccessLog log({.what = AccessLogged::kProblems});
  world.worker.log_to(log);
  (void)co_await world.raw("junk\r\n\r\n");
  (void)co_await world.raw("GET / HT");
  std::string lines;
  log.take(lines);
  CHECK(lines.contains(R"("status":400,)"));
  CHECK(lines.contains(R"("cause":"bad_request")"));
  CHECK(lines.contains(R"("status":408,)"));
  CHECK(lines.contains(R"("cause":")" + std::string(plane::name_of(plane::Timeout::kRequestHead)) + '"'));
  CHECK(std::ranges::count(lines, '\n') == 2);
  co_await world.worker.drain(1s);
}
TEST_CASE("gateway: what is refused before there is a request is in the access log") { over_memory(refusals_logged); }

using Outcomes = std::array<std::uint64_t, plane::kOutcomes>;

Outcomes outcomes_of(World& world) {
  Outcomes all{};
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = world.counters().outcomes[i];
  return all;
}

// Every request is one of good, bad, excluded, aborted.
Task<void> outcomes(Loop& loop) {
  const auto status = [](const std::string& line) { return "HTTP/1.1 " + line + "\r\nContent-Length: 0\r\n\r\n"; };
  struct Row {
    const char* name;
    Script replica;
    std::string request;
    Outcomes expected;
  };
  const std::string get = "GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
  const Row rows[] = {
      {"200", {.answer = status("200 OK")}, get + "\r\n", {1, 0, 0, 0}},
      {"304", {.answer = status("304 Not Modified")}, get + "\r\n", {1, 0, 0, 0}},
      {"a 4xx of the replica's", {.answer = status("404 Not Found")}, get + "\r\n", {1, 0, 0, 0}},
      {"a caller's quota", {.answer = status("429 Too Many Requests")}, get + "\r\n", {0, 0, 1, 0}},
      {"a 5xx of the replica's", {.answer = status("500 Oops")}, get + "\r\n", {0, 1, 0, 0}},
      {"no answer",
       {.answer = "", .reset = true},
       "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
       {0, 1, 0, 0}},
      {"an answer that breaks off",
       {.answer = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", .reset = true},
       get + "\r\n",
       {0, 1, 0, 0}},
      {"a request that is refused", {.answer = status("200 OK")}, "GET /x HTTP/1.1\r\n\r\n", {0, 0, 1, 0}},
      {"a body that is too large",
       {.answer = status("200 OK")},
       "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
       {0, 0, 1, 0}},
      {"a probe of ours", {.answer = status("200 OK")}, get + "X-Nines-Probe: secret\r\n\r\n", {0, 0, 1, 0}},
      {"a probe of ours that fails",
       {.answer = status("500 Oops")},
       get + "X-Nines-Probe: secret\r\n\r\n",
       {0, 0, 1, 0}},
      {"who says so and is not", {.answer = status("200 OK")}, get + "X-Nines-Probe: guess\r\n\r\n", {1, 0, 0, 0}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    ScriptedReplica replica(loop, row.replica);
    World world(loop, {.probe_key = "secret"});
    world.route(0, replica.at);
    (void)co_await world.raw(row.request);
    CHECK(outcomes_of(world) == row.expected);
    CHECK(replica.last_head.find("Probe") == std::string::npos);  // nobody learns the key
    const bool ours = row.request.find("secret") != std::string::npos;
    const bool reached = replica.requests > 0;
    CHECK(world.table->observed[0].requests == (reached && !ours ? 1U : 0U));
    if (ours) CHECK(world.counters().requests == 0);
    co_await world.worker.drain(1s);
    co_await replica.stop();
  }
  World nobody(loop, {.admission = {.queue_time = 100ms}});
  (void)co_await nobody.raw(get + "\r\n");
  CHECK(outcomes_of(nobody) == Outcomes{0, 1, 0, 0});
  co_await nobody.worker.drain(1s);
  // Without a key nobody can be excluded by an empty one.
  ScriptedReplica replica(loop, {.answer = status("200 OK")});
  World keyless(loop);
  keyless.route(0, replica.at);
  (void)co_await keyless.raw(get + "X-Nines-Probe:\r\n\r\n");
  CHECK(outcomes_of(keyless) == Outcomes{1, 0, 0, 0});
  co_await keyless.worker.drain(1s);
  co_await replica.stop();
  // A client that leaves.
  ScriptedReplica slow(loop, {.answer = status("200 OK"), .before = 10s});
  World world(loop);
  world.route(0, slow.at);
  auto stream = std::move((co_await loop.connect(world.at, 1s)).value());
  (void)co_await stream->write(get + "\r\n");
  (void)co_await loop.sleep(50ms);
  stream->reset();
  while (world.counters().abandoned == 0) co_await loop.sleep(1ms);
  CHECK(outcomes_of(world) == Outcomes{0, 0, 0, 1});
  co_await world.worker.drain(1s);
  co_await slow.stop();
}
TEST_CASE("gateway: what a request counts as when availability is measured") { over_both(outcomes); }

Task<void> drains(Loop& loop) {
  ScriptedReplica slow(loop, {.answer = kOk, .before = 50ms});
  World world(loop);
  world.route(0, slow.at);
  TaskGroup group;
  std::string seen;
  struct Call {
    static Task<void> run(World& w, std::string& into) { into = co_await w.raw("GET / HTTP/1.1\r\nHost: x\r\n\r\n"); }
  };
  group.start(Call::run(world, seen));
  while (slow.requests == 0) co_await loop.sleep(1ms);
  co_await world.worker.drain(10s);
  co_await group.join();
  CHECK(seen.ends_with("\r\n\r\nok"));
  const auto refused = co_await http::fetch(loop, {.to = world.at});
  CHECK_FALSE(refused);
  co_await slow.stop();
}
TEST_CASE("gateway: draining finishes what was begun and takes nothing new") { over_both(drains); }

}  // namespace
}  // namespace nines::gateway
