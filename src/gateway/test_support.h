// What the gateway's tests play with: replicas that misbehave on purpose, and a worker in front of them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "gateway/worker.h"
#include "http/client.h"
#include "http/server.h"
#include "net/test_support.h"

namespace nines::gateway::testing {

using net::Address;
using net::Loop;
using net::Stream;

// A replica that plays a script on every connection: reads one request head and body, then does what it is told.
struct Script {
  std::string answer;  // raw bytes
  bool reset = false;  // breaks the connection afterwards; else it ends cleanly
  Duration before{0};  // pause before the answer
};

class ScriptedReplica {
 public:
  ScriptedReplica(Loop& loop, Script script) : loop_(loop), script_(std::move(script)) {
    auto listener = std::move(loop.listen(Address::loopback(0)).value());
    at = listener->address();
    group_.start(accept(std::move(listener)));
  }
  Task<void> stop() {
    group_.cancel();
    co_await group_.join();
  }

  Address at;
  int requests = 0;
  int abandoned = 0;  // the gateway closed before we answered
  std::string last_head;

 private:
  Task<void> accept(std::unique_ptr<net::Listener> listener) {
    while (true) {
      auto stream = co_await listener->accept();
      if (!stream) co_return;
      group_.start(play(std::move(*stream)));
    }
  }
  Task<void> play(std::unique_ptr<Stream> stream) {
    http::MessageReader reader(*stream, http::Side::kRequests);
    http::Head head;
    const auto got = co_await reader.head(head);
    if (!got || !*got) co_return;
    while (true) {
      const auto piece = co_await reader.body();
      if (!piece || piece->empty()) break;
    }
    ++requests;
    last_head = std::string(head.method()) + " " + std::string(head.target()) + "\n";
    for (std::size_t i = 0; i < head.field_count(); ++i) {
      last_head += std::string(head.field(i).name) + "=" + std::string(head.field(i).value) + "\n";
    }
    if (script_.before > 0ns) {
      CancelScope left(co_await current_scope());
      stream->cancel_on_close(&left);
      struct Wait {
        static Task<bool> run(Loop& l, Duration d) { co_return (co_await l.sleep(d)).has_value(); }
      };
      const bool waited = co_await Wait::run(loop_, script_.before).under(left);
      stream->cancel_on_close(nullptr);
      abandoned += waited ? 0 : 1;
      if (!waited) co_return;
    }
    (void)co_await stream->write(script_.answer);
    if (script_.reset) {
      // Let the bytes out first: a reset may overtake them.
      (void)co_await loop_.sleep(20ms);
      stream->reset();
    }
  }

  Loop& loop_;
  Script script_;
  TaskGroup group_;
};

// A table with replicas in it, and a worker in front.
class World {
 public:
  explicit World(Loop& l, Settings s = Settings())
      : loop(l), settings(std::move(s)), worker(loop, *table, settings, 7) {
    auto listener = std::move(loop.listen(Address::loopback(0)).value());
    at = listener->address();
    worker.serve(std::move(listener));
  }

  void route(std::size_t slot, const Address& to, plane::Wanted wanted = plane::Wanted::kServe,
             plane::Health health = plane::Health::kUp) {
    plane::Route r{.incarnation = table->header.next_incarnation++, .pid = 1, .port = to.port(), .wanted = wanted};
    plane::set_field(r.name, "replica-" + std::to_string(slot + 1));
    table->observed[slot].verdict.store({.incarnation = r.incarnation, .health = health});
    table->routes[slot].store(r);
    worker.refresh();
  }
  void remove(std::size_t slot) {
    plane::Route r = *table->routes[slot].load();
    r.wanted = plane::Wanted::kAbsent;
    table->routes[slot].store(r);
    worker.refresh();
  }

  Task<http::Answer> call(std::string method, std::string target, std::string body = "",
                          std::vector<std::pair<std::string, std::string>> fields = {}) {
    auto answer = co_await http::fetch(
        loop, {.to = at, .method = method, .target = target, .body = body, .fields = fields, .timeout = 1h});
    REQUIRE(answer);
    co_return std::move(*answer);
  }
  Task<std::string> raw(std::string bytes, bool end_writing = false) {
    auto stream = std::move((co_await loop.connect(at, 1s)).value());
    (void)co_await stream->write(bytes);
    if (end_writing) stream->end_writing();
    std::string all;
    std::array<char, 4096> buffer;
    while (true) {
      const auto n = co_await stream->read(buffer);
      if (!n) co_return all + "<" + std::string(name_of(n.error().code())) + ">";
      if (*n == 0) co_return all;
      all.append(buffer.data(), *n);
    }
  }
  plane::ServiceCounters& counters() { return table->service; }

  Loop& loop;
  Settings settings;
  plane::Plane table = std::move(plane::Plane::create().value());
  Worker worker;
  Address at;
};

struct Echo {
  Echo(Loop& loop, const std::string& name)
      : server(loop, [this, name](http::Request& request) -> Task<http::Response> {
          ++requests;
          co_return http::Response{.body = name + " " + std::string(request.head.method()) + " " +
                                           std::to_string(request.body.size())};
        }) {
    auto listener = std::move(loop.listen(Address::loopback(0)).value());
    at = listener->address();
    server.serve(std::move(listener));
  }
  int requests = 0;
  http::Server server;
  Address at;
};

inline const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

// A server written out by hand: reads a head, then lets the test speak.
struct HandServer {
  explicit HandServer(Loop& l)
      : loop(l), listener(std::move(l.listen(Address::loopback(0)).value())), at(listener->address()) {}
  Task<std::unique_ptr<Stream>> next() { co_return std::move((co_await listener->accept()).value()); }
  static Task<std::string> read_head(Stream& stream) {
    std::string all;
    std::array<char, 4096> buffer;
    while (all.find("\r\n\r\n") == std::string::npos) {
      const auto n = co_await stream.read(buffer);
      if (!n || *n == 0) break;
      all.append(buffer.data(), *n);
    }
    co_return all;
  }
  Loop& loop;
  std::unique_ptr<net::Listener> listener;
  Address at;
};

}  // namespace nines::gateway::testing
