#include "plane/plane.h"

#include <unistd.h>

#include <cmath>
#include <thread>

#include <doctest/doctest.h>

#include "base/random.h"

namespace nines::plane {

struct SeqlockTest {
  // What a writer leaves that dies in the middle of a store.
  template <class T>
  static void die_in_the_middle(Seqlock<T>& lock) {
    lock.sequence_.fetch_or(1);
    lock.words_[0].store(0xdead);
  }
};

namespace {

TEST_CASE("seqlock: a writer that died in the middle is noticed, and the next one mends it") {
  Seqlock<Route> lock;
  lock.store({.incarnation = 7});
  SeqlockTest::die_in_the_middle(lock);
  CHECK_FALSE(lock.load());
  lock.store({.incarnation = 8});
  REQUIRE(lock.load());
  CHECK(lock.load()->incarnation == 8);
}

TEST_CASE("seqlock: a reader sees whole values only") {
  struct Whole {
    std::uint64_t words[16];
  };
  Seqlock<Whole> lock;
  std::atomic<bool> stop = false, begun = false;
  std::thread writer([&] {
    for (std::uint64_t i = 1; !stop; ++i, begun = true) {
      Whole w;
      for (auto& word : w.words) word = i;
      lock.store(w);
    }
  });
  while (!begun) std::this_thread::yield();
  std::uint64_t torn = 0, last = 0, backwards = 0;
  for (int i = 0; i < 200'000; ++i) {
    const auto w = lock.load();
    if (!w) continue;
    for (const auto word : w->words) torn += word != w->words[0];
    backwards += w->words[0] < last;
    last = w->words[0];
  }
  stop = true;
  writer.join();
  CHECK(torn == 0);
  CHECK(backwards == 0);
  CHECK(last > 0);
}

TEST_CASE("events: read on where you stopped; what was overwritten is counted, not forgotten") {
  EventRing ring;
  CHECK(ring.read(1).events.empty());
  for (int i = 1; i <= 3; ++i) ring.push({.kind = EventKind::kSpawned, .a = i});
  auto read = ring.read(1);
  REQUIRE(read.events.size() == 3);
  CHECK(read.events[2].a == 3);
  CHECK(read.next == 4);
  CHECK(ring.read(read.next).events.empty());

  for (int i = 4; i <= 2000; ++i) ring.push({.kind = EventKind::kSpawned, .a = i});
  read = ring.read(read.next);
  CHECK(read.lost == 2000 - EventRing::kSize - 3);
  CHECK(read.events.size() == EventRing::kSize);
  CHECK(read.events.front().a == 2000 - EventRing::kSize + 1);
  CHECK(ring.read(1995, 3).events.size() == 3);
  CHECK(ring.read(1995, 3).next == 1998);
  CHECK(ring.read(99'999).events.size() == EventRing::kSize);  // a position from another life
}

TEST_CASE("events: text is cut between characters") {
  Event event;
  event.set_text(std::string(94, 'x') + "é");
  CHECK(std::string(event.text) == std::string(94, 'x'));
  event.set_text("short");
  CHECK(std::string(event.text) == "short");
}

TEST_CASE("histogram: a quantile is at most 25 % above the truth and never below") {
  for (unsigned seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    LatencyHistogram histogram;
    std::vector<Duration> all;
    for (int i = 0; i < 500; ++i) {
      const auto latency = Duration(static_cast<std::int64_t>(1000.0 * std::pow(10.0, random.unit() * 6)));
      all.push_back(latency);
      histogram.record(latency);
    }
    std::sort(all.begin(), all.end());
    for (const double q : {0.5, 0.9, 0.99, 1.0}) {
      const auto truth = all[static_cast<std::size_t>(std::ceil(q * 500.0)) - 1];
      const auto estimate = quantile(histogram.snapshot(), q);
      REQUIRE(estimate);
      CHECK(*estimate >= truth);
      CHECK(static_cast<double>(estimate->count()) <= 1.25 * static_cast<double>(truth.count()) + 1000.0);
    }
  }
  CHECK_FALSE(quantile(LatencyCounts{}, 0.5));
}

TEST_CASE("histogram: no latency is out of range") {
  CHECK(latency_bucket(0ns) == 0);
  CHECK(latency_bucket(-5ms) == 0);
  CHECK(latency_bucket(Duration::max()) == kLatencyBuckets - 1);
}

TEST_CASE("plane: two mappings are one table; another layout is refused") {
  Plane a = std::move(Plane::create().value());
  {
    Plane b = std::move(Plane::attach(Fd(::dup(a.fd()))).value());
    b->routes[3].store({.incarnation = 42, .port = 20'000});
    b->service.requests += 5;
  }
  REQUIRE(a->routes[3].load());
  CHECK(a->routes[3].load()->incarnation == 42);
  CHECK(a->service.requests == 5);

  a->header.layout = kLayout + 1;
  auto refused = Plane::attach(Fd(::dup(a.fd())));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Code::kExists);
  CHECK_FALSE(Plane::attach(Fd(::dup(0))));
}

}  // namespace
}  // namespace nines::plane
