// The same claims over memory and over real sockets: nothing above net/ may be able to tell them apart.
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "base/random.h"
#include "base/test_support.h"
#include "net/epoll_loop.h"
#include "net/memory_loop.h"
#include "net/test_support.h"

namespace nines::net {
namespace {

struct Pair {
  std::unique_ptr<Listener> listener;
  std::unique_ptr<Stream> client, server;
};

Task<Pair> connected(Loop& loop) {
  Pair pair;
  pair.listener = std::move(loop.listen(Address::loopback(0)).value());
  pair.client = std::move((co_await loop.connect(pair.listener->address(), 1s)).value());
  pair.server = std::move((co_await pair.listener->accept()).value());
  co_return std::move(pair);
}

Task<std::string> read_all(Stream& stream) {
  std::string all;
  std::array<char, 1000> buffer;
  while (true) {
    const auto n = co_await stream.read(buffer);
    if (!n) co_return all + "<" + std::string(name_of(n.error().code())) + ">";
    if (*n == 0) co_return all;
    all.append(buffer.data(), *n);
  }
}

using testing::over_both;

Task<void> echoes(Loop& loop) {
  Pair p = co_await connected(loop);
  CHECK(co_await p.client->write({"hel", "", "lo"}));
  p.client->end_writing();
  CHECK(co_await read_all(*p.server) == "hello");
  CHECK(co_await p.server->write("and back"));
  p.server.reset();
  CHECK(co_await read_all(*p.client) == "and back");
}
TEST_CASE("stream: bytes arrive, an end is an end, and half-closing leaves the way back open") { over_both(echoes); }

Task<void> write_big(Stream& stream, std::size_t size, bool& done) {
  std::string big(size, 'x');
  for (std::size_t i = 0; i < size; ++i) big[i] = static_cast<char>('a' + i % 26);
  CHECK(co_await stream.write({std::string_view(big).substr(0, 10), std::string_view(big).substr(10)}));
  stream.end_writing();
  done = true;
}
Task<void> backpressure(Loop& loop) {
  Pair p = co_await connected(loop);
  constexpr std::size_t kSize = 20'000'000;
  bool done = false;
  TaskGroup group;
  group.start(write_big(*p.client, kSize, done));
  CHECK_FALSE(done);  // far more than any buffer holds: it has to wait for the reader
  const std::string all = co_await read_all(*p.server);
  co_await group.join();
  CHECK(all.size() == kSize);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < all.size(); ++i) wrong += all[i] != static_cast<char>('a' + i % 26);
  CHECK(wrong == 0);
}
TEST_CASE("stream: a fast writer waits for a slow reader, and nothing is lost or reordered") {
  over_both(backpressure);
}

Task<void> resets(Loop& loop) {
  Pair p = co_await connected(loop);
  CHECK(co_await p.client->write("partial"));
  p.server->reset();
  co_await loop.sleep(20ms);
  const std::string seen = co_await read_all(*p.client);
  CHECK(seen == "<closed>");
  CHECK(p.client->peer_closed());
}
TEST_CASE("stream: a reset is never a clean end") { over_both(resets); }

Task<void> deadline(Loop& loop) {
  Pair p = co_await connected(loop);
  std::array<char, 10> buffer;
  const Instant begun = loop.now();
  p.client->read_deadline(loop.now() + 10s);
  p.client->read_deadline(loop.now() + 30ms);  // moved earlier
  auto n = co_await p.client->read(buffer);
  REQUIRE_FALSE(n);
  CHECK(n.error().code() == Code::kTimedOut);
  CHECK(loop.now() - begun >= 30ms);
  n = co_await p.client->read(buffer);  // a deadline that has passed stays passed
  REQUIRE_FALSE(n);
  CHECK(n.error().code() == Code::kTimedOut);
  p.client->read_deadline(loop.now() + 20ms);
  p.client->read_deadline(Instant::never());  // moved later
  CHECK(co_await p.server->write("x"));
  co_await loop.sleep(40ms);
  n = co_await p.client->read(buffer);
  CHECK(n == 1U);
}
TEST_CASE("stream: deadlines end a read, moved earlier or later") { over_both(deadline); }

Task<void> read_into(Stream& stream, std::string& log) {
  std::array<char, 10> buffer;
  const auto n = co_await stream.read(buffer);
  log += n ? "read" : std::string(name_of(n.error().code()));
}
Task<void> cancels(Loop& loop) {
  Pair p = co_await connected(loop);
  std::string log;
  TaskGroup group;
  group.start(read_into(*p.client, log));
  co_await loop.sleep(1ms);
  group.cancel();
  co_await group.join();
  CHECK(log == "cancelled");
  // The stream is as good as before.
  CHECK(co_await p.server->write("still here"));
  std::array<char, 10> buffer;
  CHECK(co_await p.client->read(buffer) == 10U);
}
TEST_CASE("stream: cancelling a read leaves the stream usable") { over_both(cancels); }

Task<void> sleep_in(Loop& loop, std::string& log) {
  const auto slept = co_await loop.sleep(1h);
  log += slept ? "slept" : std::string(name_of(slept.error().code()));
}
Task<void> close_cancels(Loop& loop) {
  Pair p = co_await connected(loop);
  std::string log;
  TaskGroup group;
  p.server->cancel_on_close(&group.scope());
  group.start(sleep_in(loop, log));
  co_await loop.sleep(1ms);
  CHECK(log.empty());
  p.client.reset();
  co_await group.join();
  CHECK(log == "cancelled");
  CancelScope late;
  p.server->cancel_on_close(&late);
  CHECK(late.cancelled());
}
TEST_CASE("stream: a client that leaves cancels the work done for it") { over_both(close_cancels); }

Task<void> waits_without_buffer(Loop& loop) {
  Pair p = co_await connected(loop);
  CHECK(co_await p.server->write("x"));
  CHECK(co_await p.client->readable() == 0U);
  CHECK(co_await p.client->readable() == 0U);  // it consumed nothing
  std::array<char, 10> buffer;
  CHECK(co_await p.client->read(buffer) == 1U);
}
TEST_CASE("stream: waiting for a byte consumes none") { over_both(waits_without_buffer); }

Task<void> refused(Loop& loop) {
  auto listener = std::move(loop.listen(Address::loopback(0)).value());
  const Address gone = listener->address();
  listener.reset();
  auto stream = co_await loop.connect(gone, 1s);
  REQUIRE_FALSE(stream);
  CHECK(stream.error().code() == Code::kRefused);
}
TEST_CASE("connect: nobody there is refused, at once") { over_both(refused); }

Task<void> taken(Loop& loop) {
  auto listener = std::move(loop.listen(Address::loopback(0)).value());
  auto second = loop.listen(listener->address());
  REQUIRE_FALSE(second);
  CHECK(second.error().code() == Code::kExists);
  co_return;
}
TEST_CASE("listen: a port in use is said so") { over_both(taken); }

Task<void> order(Loop& loop) {
  std::string log;
  TaskGroup group;
  struct Late {
    static Task<void> run(Loop& l, Duration d, std::string& into, char c) {
      co_await l.sleep(d);
      into += c;
    }
  };
  group.start(Late::run(loop, 30ms, log, 'c'));
  group.start(Late::run(loop, 0ms, log, 'a'));
  group.start(Late::run(loop, 15ms, log, 'b'));
  co_await group.join();
  CHECK(log == "abc");
}
TEST_CASE("sleep: in the order of time") { over_both(order); }

Task<void> spin(Stream& a, Stream& b, bool& stop) {
  std::array<char, 10> buffer;
  while (!stop) {
    CHECK(co_await a.write("x"));
    CHECK(co_await b.read(buffer));
  }
}
Task<void> fair(Loop& loop) {
  Pair p = co_await connected(loop);
  bool stop = false;
  TaskGroup group;
  group.start(spin(*p.client, *p.server, stop));
  co_await loop.sleep(0ms);  // in memory, work takes no time: only a turn can pass
  stop = true;
  co_await group.join();
}
TEST_CASE("loop: a pair of sockets that is always ready does not keep the others out") { over_both(fair); }

Task<void> write_at(Loop& loop, Instant at, Stream& stream, std::string_view bytes, std::string& log) {
  (void)co_await loop.sleep(at - loop.now());
  log += "resumed ";
  const auto written = co_await stream.write(bytes);
  log += written ? "wrote " : std::string(name_of(written.error().code())) + " ";
}
Task<void> do_at(Loop& loop, Instant at, std::move_only_function<void()> what) {
  (void)co_await loop.sleep(at - loop.now());
  what();
}
Task<void> writes_in_a_row(Loop& loop) {
  Pair p = co_await connected(loop), q = co_await connected(loop);
  std::string log;
  TaskGroup group;
  const Instant at = loop.now() + 10ms;
  group.start(write_at(loop, at, *p.client, "one", log));
  group.start(write_at(loop, at, *q.client, "two", log));
  co_await group.join();
  CHECK(log == "resumed resumed wrote wrote ");
  group.start(write_at(loop, loop.now() + 10ms, *p.client, "!", log));
  co_await group.join();
  log.clear();
  const Instant later = loop.now() + 10ms;
  const std::string large(4097, 'l');  // does not wait for anybody
  group.start(write_at(loop, later, *q.client, large, log));
  group.start(write_at(loop, later, *p.client, "?", log));
  co_await group.join();
  CHECK(log == "resumed wrote resumed wrote ");
  p.client->end_writing();
  q.client->end_writing();
  CHECK(co_await read_all(*p.server) == "one!?");
  CHECK(co_await read_all(*q.server) == "two" + large);
}
TEST_CASE("loop: what a turn has to write is written when all who were ready have been resumed") {
  over_both(writes_in_a_row);
}

Task<void> postponed_ends(Loop& loop) {
  struct Row {
    std::string why, log, arrives;
    void (*meanwhile)(Stream&, CancelScope&);
  };
  const Row rows[] = {
      {"cancelled", "resumed cancelled ", "", [](Stream&, CancelScope& scope) { scope.cancel(); }},
      {"reset", "resumed closed ", "<closed>", [](Stream& stream, CancelScope&) { stream.reset(); }},
      {"its deadline moved into the past", "resumed wrote ", "x",
       [](Stream& stream, CancelScope&) { stream.write_deadline(stream.loop().now()); }},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    Pair p = co_await connected(loop);
    std::string log;
    TaskGroup group;
    const Instant at = loop.now() + 10ms;
    group.start(write_at(loop, at, *p.client, "x", log));
    group.start(do_at(loop, at, [&] { row.meanwhile(*p.client, group.scope()); }));
    co_await group.join();
    CHECK(log == row.log);
    p.client.reset();
    CHECK(co_await read_all(*p.server) == row.arrives);
  }
}
TEST_CASE("loop: a write that is postponed is cancelled, reset and timed out as any other") {
  over_both(postponed_ends);
}

Task<void> postponed_too_late(Loop& loop) {
  Pair p = co_await connected(loop), q = co_await connected(loop);
  std::string log;
  TaskGroup group;
  p.client->write_deadline(loop.now() + 20ms);
  const std::string big(20'000'000, 'x');  // more than any buffer holds
  group.start(write_at(loop, loop.now(), *p.client, big, log));
  co_await group.join();
  CHECK(log == "resumed timed_out ");
  log.clear();
  const Instant at = loop.now() + 10ms;
  group.start(write_at(loop, at, *p.client, "x", log));
  group.start(write_at(loop, at, *q.client, "y", log));
  co_await group.join();
  CHECK(log.contains("timed_out"));
  CHECK(log.contains("wrote"));
}
TEST_CASE("loop: a postponed write whose deadline has passed does not wait for the peer") {
  over_both(postponed_too_late);
}

TEST_CASE("memory loop: an hour passes in no time") {
  MemoryLoop loop;
  const auto begun = boot_time();
  loop.run([](Loop& l) -> Task<void> { co_await l.sleep(1h); }(loop));
  CHECK(loop.now() == Instant{1h});
  CHECK(boot_time() - begun < 10s);
}

TEST_CASE("epoll loop: other threads can post, a doorbell rings, a signal is an event") {
  EpollLoop loop;
  Signals signals(loop, {SIGUSR2});
  Fd bell = Doorbell::make();
  const int raw = bell.get();
  Doorbell doorbell(loop, std::move(bell));
  std::string log;
  std::thread other([&] {
    loop.post([&] {
      log += "posted;";
      Doorbell::ring(raw);
    });
  });
  struct Wait {
    static Task<void> run(Doorbell& d, Signals& s, std::string& into) {
      CHECK(co_await d.rung());
      into += "rung;";
      ::kill(::getpid(), SIGUSR2);
      CHECK(co_await s.next() == SIGUSR2);
      into += "signal";
    }
  };
  loop.run(Wait::run(doorbell, signals, log));
  other.join();
  CHECK(log == "posted;rung;signal");
}

TEST_CASE("epoll loop: two loops share one listening socket, and every connection is taken once") {
  Fd fd = std::move(open_listener(Address::loopback(0)).value());
  EpollLoop a, b;
  auto listener_a = a.adopt_listener(fd.get());
  auto listener_b = b.adopt_listener(fd.get());
  std::atomic<int> accepted = 0;
  constexpr int kConnections = 100;
  struct Accept {
    static Task<void> run(EpollLoop& loop, std::unique_ptr<Listener> listener, std::atomic<int>& count,
                          EpollLoop& other) {
      while (true) {
        auto stream = co_await listener->accept();
        if (!stream) co_return;
        if (++count == kConnections) {
          loop.stop();
          other.post([&other] { other.stop(); });
        }
      }
    }
  };
  const Address at = listener_a->address();
  a.start(Accept::run(a, std::move(listener_a), accepted, b));
  b.start(Accept::run(b, std::move(listener_b), accepted, a));
  std::thread client([&] {
    for (int i = 0; i < kConnections; ++i) {
      Fd s(::socket(at.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
      CHECK(::connect(s.get(), at.get(), at.length()) == 0);
    }
  });
  std::thread runs_b([&] { b.run(); });
  a.run();
  runs_b.join();
  client.join();
  CHECK(accepted == kConnections);
}

// Every connection is made once the one before was taken, so that all loops wait: whose turn it is, is the kernel's
// choice, and without going to the end of its queue one loop would get them all.
TEST_CASE("epoll loop: connections spread over the loops that share a socket") {
  constexpr std::size_t kLoops = 3;
  constexpr int kConnections = 300;
  Fd fd = std::move(open_listener(Address::loopback(0)).value());
  struct Lane {
    EpollLoop loop;
    Address at;
    std::atomic<int> taken = 0;
    std::thread thread;
    Task<void> accept(std::unique_ptr<Listener> listener) {
      while (co_await listener->accept()) ++taken;
    }
  };
  std::array<Lane, kLoops> lanes;
  for (Lane& lane : lanes) {
    auto listener = lane.loop.adopt_listener(fd.get());
    lane.at = listener->address();
    lane.loop.start(lane.accept(std::move(listener)));
  }
  for (Lane& lane : lanes) lane.thread = std::thread([&lane] { lane.loop.run(); });
  const auto taken = [&] { return lanes[0].taken + lanes[1].taken + lanes[2].taken; };
  const Address at = lanes[0].at;
  for (int i = 0; i < kConnections; ++i) {
    Fd client(::socket(at.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    REQUIRE(::connect(client.get(), at.get(), at.length()) == 0);
    REQUIRE(nines::testing::eventually([&] { return taken() > i; }));
  }
  for (Lane& lane : lanes) lane.loop.post([&lane] { lane.loop.stop(); });
  for (Lane& lane : lanes) {
    lane.thread.join();
    CHECK(lane.taken >= kConnections / 10);
  }
}

TEST_CASE("address: what it understands, and how it writes it back") {
  for (const char* same : {"127.0.0.1:8000", "[::1]:8000", "0.0.0.0:0", "unix:/tmp/x.sock"}) {
    CHECK(Address::parse(same).value().text() == same);
  }
  CHECK(Address::parse("localhost:80").value().text() == "127.0.0.1:80");
  CHECK(Address::parse(":80").value().text() == "0.0.0.0:80");
  for (const char* bad : {"", "8000", "host:80", "127.0.0.1:", "127.0.0.1:65536", "1.2.3:80", "::1:80", "unix:"}) {
    CAPTURE(bad);
    CHECK_FALSE(Address::parse(bad));
  }
  CHECK(Address::parse("unix:/" + std::string(200, 'x')).error().code() == Code::kLimit);
}

class Noting final : public Timer {
 public:
  Noting() = default;
  std::vector<int>* log = nullptr;
  int id = 0;

 private:
  void on_timer() override { log->push_back(id); }
};

TEST_CASE("timers: fire in order whatever was armed, moved and disarmed before") {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    TimerQueue queue;
    std::vector<int> log;
    std::vector<Noting> timers(50);
    std::vector<std::pair<Instant, int>> expected;
    for (int i = 0; i < 50; ++i) {
      timers[static_cast<std::size_t>(i)].log = &log;
      timers[static_cast<std::size_t>(i)].id = i;
    }
    for (int step = 0; step < 500; ++step) {
      Noting& timer = timers[random.below(50)];
      if (random.below(4) == 0) {
        timer.disarm();
      } else {
        queue.arm(timer, Instant{Duration(random.below(1'000'000))});
      }
    }
    for (const Noting& timer : timers) {
      if (timer.armed()) expected.emplace_back(timer.due(), timer.id);
    }
    std::sort(expected.begin(), expected.end());
    REQUIRE(queue.size() == expected.size());
    queue.fire(Instant{500us});
    queue.fire(Instant{1ms});
    REQUIRE(log.size() == expected.size());
    for (std::size_t i = 0; i < log.size(); ++i) {
      const auto due = [&](int id) { return timers[static_cast<std::size_t>(id)].due(); };
      if (i > 0) CHECK(due(log[i - 1]) <= due(log[i]));
    }
    CHECK(queue.size() == 0);
  }
}

// Re-arms itself for the very moment it fires at.
class Insisting final : public Timer {
 public:
  explicit Insisting(TimerQueue& q) : queue_(q) {}
  int fired = 0;

 private:
  void on_timer() override {
    ++fired;
    queue_.arm(*this, due());
  }
  TimerQueue& queue_;
};

TEST_CASE("timers: not a nanosecond early, at the moment itself, and once in one go") {
  TimerQueue queue;
  queue.fire(Instant{1h});  // nothing is armed
  Insisting timer(queue);
  queue.arm(timer, Instant{10ms});
  CHECK(queue.next() == Instant{10ms});
  queue.fire(Instant{10ms - 1ns});
  CHECK(timer.fired == 0);
  queue.fire(Instant{10ms});
  CHECK(timer.fired == 1);
  queue.fire(Instant{10ms});
  CHECK(timer.fired == 2);
}

}  // namespace
}  // namespace nines::net
