// What clients that are turned away are told, and the queue of those who wait.
#include "gateway/admission.h"

#include <algorithm>
#include <functional>
#include <string>

#include <doctest/doctest.h>

#include "base/random.h"
#include "gateway/admission_queue.h"
#include "net/test_support.h"

namespace nines::gateway {
namespace {

using net::Loop;
using net::testing::over_both;
using net::testing::over_memory;

TEST_CASE("admission: a Retry-After is the time the queue needs, spread, between one second and sixty") {
  struct Row {
    std::string why;
    std::size_t queued;
    double rate;
    int earliest, latest;
  };
  const Row rows[] = {
      {"a short queue", 9, 100, 1, 2},
      {"ten seconds of queue: half as much again", 99, 10, 10, 15},
      {"never sooner than it takes", 20, 10, 3, 5},
      {"an hour of queue: not all after the same minute", 99, 0.03, 30, 60},
      {"nothing ends at all", 0, 0, 30, 60},
  };
  const AdmissionLimits limits;
  for (const Row& row : rows) {
    CAPTURE(row.why);
    int least = 1000, most = 0;
    for (int i = 0; i < 1000; ++i) {
      const int seconds = retry_after_seconds(limits, row.queued, row.rate, i / 1000.0);
      least = std::min(least, seconds);
      most = std::max(most, seconds);
    }
    CHECK(least == row.earliest);
    CHECK(most == row.latest);
  }
  CHECK(retry_after_outage_seconds(limits, 0) == 1);
  CHECK(retry_after_outage_seconds(limits, 0.999) == 5);
}

TEST_CASE("admission: the rate is that of the last ten seconds, or of as many as there were") {
  CompletionRate rate;
  Instant now{1h};
  CHECK(rate.per_second(now) == 0);
  for (int i = 0; i < 40; ++i) {
    rate.on_end(now);
    now = now + 100ms;
  }
  CHECK(rate.per_second(now) == doctest::Approx(10));
  for (int i = 0; i < 200; ++i) {
    rate.on_end(now);
    now = now + 100ms;
  }
  CHECK(rate.per_second(now) == doctest::Approx(10).epsilon(0.06));
  CHECK(rate.per_second(now + 5s) == doctest::Approx(5).epsilon(0.1));
  CHECK(rate.per_second(now + 1h) == 0);
}

TEST_CASE("admission: the queue is shared out over the workers, and none is left without") {
  CHECK(queue_share({.queue = 100}, 1) == 100);
  CHECK(queue_share({.queue = 100}, 8) == 12);
  CHECK(queue_share({.queue = 4}, 64) == 1);
}

// Lets the loop turn until it is so, for ten seconds at most.
Task<void> eventually(Loop& loop, const std::function<bool()>& so) {
  const Instant until = loop.now() + 10s;
  while (!so() && loop.now() < until) (void)co_await loop.sleep(1ms);
}

// A fleet with so many slots, and requests that want one.
struct Fleet {
  explicit Fleet(Loop& l, std::size_t share = 100) : loop(l), queue(l, limits, share, 7) {}

  Pick pick(bool been_here) {
    ++asked;
    if (!routable) return {Pick::What::kNobody};
    if (free == 0) return {Pick::What::kFull};
    if (been_here) return {Pick::What::kTriedAll};
    return {Pick::What::kSlot, 3};
  }
  // A request: its name goes into `served` when it gets a slot, which it keeps until done().
  Task<void> request(std::string name, Duration patience = 5s, bool been_here = false,
                     AdmissionQueue::Joins joins = AdmissionQueue::Joins::kAtEnd) {
    const AdmissionQueue::Picker picker = [this, been_here] { return pick(been_here); };
    const Admitted admitted = co_await queue.admit(picker, loop.now() + patience, joins);
    last = admitted;
    if (const CancelScope* scope = co_await current_scope(); scope != nullptr && scope->cancelled()) co_return;
    if (admitted.what == Admitted::What::kSlot) {
      --free;
      served += name;
    } else {
      refused += name;
    }
  }
  void done() {
    ++free;
    queue.on_attempt_end();
  }

  Loop& loop;
  AdmissionLimits limits{.queue_time = 5s};
  AdmissionQueue queue;
  TaskGroup requests{};
  bool routable = true;
  int free = 0;
  int asked = 0;
  std::string served{}, refused{};
  Admitted last{};
};

Task<void> first_come(Loop& loop) {
  Fleet fleet(loop);
  fleet.limits.look = 1h;  // it is not found by looking
  fleet.free = 1;
  for (const char* name : {"a", "b", "c", "d"}) fleet.requests.start(fleet.request(name));
  CHECK(fleet.served == "a");
  CHECK(fleet.queue.waiting() == 3);
  fleet.done();
  fleet.requests.start(fleet.request("e"));  // does not overtake who was woken and has not taken its slot yet
  co_await eventually(loop, [&] { return fleet.served.size() == 2; });
  CHECK(fleet.served == "ab");
  fleet.done();
  fleet.done();
  fleet.done();
  co_await fleet.requests.join();
  CHECK(fleet.served == "abcde");    // one wakes the next
  CHECK(loop.timers().size() == 0);  // nobody looks when nobody waits
}
TEST_CASE("queue: first come, first served, and each wakes the next") { over_both(first_come); }

Task<void> other_worker(Loop& loop) {
  Fleet fleet(loop);
  for (const char* name : {"a", "b", "c"}) fleet.requests.start(fleet.request(name));
  (void)co_await loop.sleep(1s);
  CHECK(fleet.served.empty());
  CHECK(fleet.asked <= 202);  // the head alone looks, 200 times a second
  CHECK(fleet.asked >= 100);
  fleet.free = 2;  // another worker's attempts ended: nobody tells us
  (void)co_await loop.sleep(10ms);
  CHECK(fleet.served == "ab");
  fleet.requests.cancel();
  co_await fleet.requests.join();
}
TEST_CASE("queue: slots that other workers free are found by the head alone") { over_memory(other_worker); }

Task<void> bounded(Loop& loop) {
  Fleet fleet(loop, 2);
  for (const char* name : {"a", "b", "c"}) fleet.requests.start(fleet.request(name));
  CHECK(fleet.refused == "c");
  CHECK(fleet.last.what == Admitted::What::kFull);
  CHECK(fleet.last.retry_after_seconds >= 30);  // nothing has ended yet
  // One that had a slot already is not turned away for those that never had one, and goes first.
  fleet.requests.start(fleet.request("r", 5s, false, AdmissionQueue::Joins::kAhead));
  fleet.requests.start(fleet.request("s", 5s, false, AdmissionQueue::Joins::kAhead));
  for (int i = 0; i < 4; ++i) fleet.done();
  co_await fleet.requests.join();
  CHECK(fleet.served == "rsab");
}
TEST_CASE("queue: beyond its length requests are turned away at once, but not those that were sent before") {
  over_memory(bounded);
}

Task<void> measured(Loop& loop) {
  Fleet fleet(loop, 50);
  for (int i = 0; i < 100; ++i) {  // ten end in a second
    fleet.done();
    (void)co_await loop.sleep(100ms);
  }
  fleet.free = 0;
  for (int i = 0; i < 50; ++i) fleet.requests.start(fleet.request("w"));
  for (int i = 0; i < 20; ++i) {
    fleet.requests.start(fleet.request("x"));
    CHECK(fleet.last.retry_after_seconds >= 5);
    CHECK(fleet.last.retry_after_seconds <= 9);
  }
  CHECK(fleet.refused.size() == 20);
  fleet.requests.cancel();
  co_await fleet.requests.join();
}
TEST_CASE("queue: the Retry-After it gives is the queue divided by what ended lately") { over_memory(measured); }

Task<void> in_time(Loop& loop) {
  Fleet fleet(loop);
  const Instant begun = loop.now();
  co_await fleet.request("a");
  CHECK(loop.now() - begun == 5s);
  CHECK(fleet.last.what == Admitted::What::kTimedOut);
  CHECK(fleet.last.retry_after_seconds >= 1);
  fleet.routable = false;
  co_await fleet.request("b");
  CHECK(fleet.last.what == Admitted::What::kNobody);
  CHECK(fleet.last.retry_after_seconds <= 5);  // an outage is short, whatever was measured
  fleet.routable = true;
  fleet.free = 1;
  co_await fleet.request("c", 5s, true);
  CHECK(fleet.last.what == Admitted::What::kNobody);  // nobody it has not been to
}
TEST_CASE("queue: who has waited for long enough is told why") { over_memory(in_time); }

Task<void> passes_on(Loop& loop) {
  Fleet fleet(loop);
  fleet.limits.look = 1h;  // it is not found by looking
  fleet.requests.start(fleet.request("r", 5s, true, AdmissionQueue::Joins::kAhead));
  fleet.requests.start(fleet.request("a"));
  fleet.requests.start(fleet.request("b"));
  fleet.done();
  co_await eventually(loop, [&] { return !fleet.served.empty(); });
  CHECK(fleet.served == "a");
  CHECK(fleet.queue.waiting() == 2);
  fleet.requests.cancel();
  co_await fleet.requests.join();
}
TEST_CASE("queue: a request that can use none of the free slots does not keep them from others") {
  over_both(passes_on);
}

Task<void> leaves(Loop& loop) {
  Fleet fleet(loop);
  fleet.limits.look = 1h;  // it is not found by looking
  CancelScope client;
  fleet.requests.start(fleet.request("a").under(client));
  fleet.requests.start(fleet.request("b"));
  fleet.done();     // wakes the one …
  client.cancel();  // … that leaves in the same turn
  co_await eventually(loop, [&] { return !fleet.served.empty(); });
  CHECK(fleet.served == "b");
  CHECK(fleet.queue.waiting() == 0);
  fleet.requests.start(fleet.request("c"));
  fleet.requests.start(fleet.request("d"));
  fleet.requests.cancel();
  co_await fleet.requests.join();
  CHECK(fleet.last.what == Admitted::What::kCancelled);
  CHECK(fleet.queue.waiting() == 0);
}
TEST_CASE("queue: a client that leaves takes no slot with it") { over_both(leaves); }

// At ten times the load: nobody is served out of turn, no slot stays free while anybody waits for longer than a look,
// and everybody is answered in the end.
Task<void> day(Loop& loop) {
  constexpr std::uint64_t kSeed = 7;
  CAPTURE(kSeed);
  Random random(kSeed);
  Fleet fleet(loop, 20);
  fleet.free = 8;
  struct Client {
    static Task<void> run(Fleet& f, int number, Duration work, int& last_served, int& served) {
      const AdmissionQueue::Picker picker = [&f] { return f.pick(false); };
      const Admitted admitted = co_await f.queue.admit(picker, f.loop.now() + 5s, AdmissionQueue::Joins::kAtEnd);
      if (admitted.what != Admitted::What::kSlot) {
        CHECK(admitted.retry_after_seconds >= 1);
        CHECK(admitted.retry_after_seconds <= 60);
        f.refused += '.';
        co_return;
      }
      CHECK(f.free > 0);
      CHECK(number > last_served);
      last_served = number;
      ++served;
      --f.free;
      (void)co_await f.loop.sleep(work);
      f.done();
    }
  };
  int last_served = 0, served = 0;
  constexpr int kRequests = 20'000;
  for (int i = 1; i <= kRequests; ++i) {
    // 8 slots of 100 ms serve 80 a second; 800 come.
    fleet.requests.start(Client::run(fleet, i, std::chrono::milliseconds(50 + random.below(100)), last_served, served));
    (void)co_await loop.sleep(std::chrono::microseconds(random.below(2500)));
  }
  co_await fleet.requests.join();
  CHECK(fleet.free == 8);
  CHECK(served + static_cast<int>(fleet.refused.size()) == kRequests);
  // 25 seconds at 80 a second.
  CHECK(served > 1900);
  CHECK(served < 2150);
}
TEST_CASE("queue: ten times the load, in order and at full capacity") { over_memory(day); }

}  // namespace
}  // namespace nines::gateway
