#include "base/task.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace nines {
namespace {

// A leaf that waits until the test says so, as a socket or timer would.
class Signal {
 public:
  struct Op final : CancelHook {
    explicit Op(Signal& s) : signal(s) {}
    bool await_ready() noexcept { return false; }
    template <class P>
    void await_suspend(std::coroutine_handle<P> h) {
      waiter = h;
      signal.op = this;
      if (h.promise().scope != nullptr) h.promise().scope->add(*this);
    }
    bool await_resume() noexcept { return !cancelled; }
    void on_cancel() override { cancelled = true; }
    Signal& signal;
    std::coroutine_handle<> waiter;
    bool cancelled = false;
  };
  Op wait() { return Op(*this); }
  void fire() {
    Op* const fired = std::exchange(op, nullptr);
    fired->unlink();
    fired->waiter.resume();
  }
  Op* op = nullptr;
};

Task<int> give(int n) { co_return n; }
Task<int> add(int a, int b) { co_return co_await give(a) + co_await give(b); }
Task<void> store(Task<int> task, int& into) { into = co_await std::move(task); }

TEST_CASE("task: lazy, then runs to its value") {
  int result = 0;
  {
    auto never_awaited = add(1, 2);
    (void)never_awaited;
  }
  TaskGroup group;
  group.start(store(add(40, 2), result));
  CHECK(result == 42);
  CHECK(group.empty());
}

Task<int> deep(int n) {
  if (n == 0) co_return 0;
  co_return 1 + co_await deep(n - 1);
}

TEST_CASE("task: a long loop of awaits costs no stack") {
  struct Loop {
    static Task<int> run() {
      int sum = 0;
      for (int i = 0; i < 1'000'000; ++i) sum += co_await give(1);
      co_return sum;
    }
  };
  int result = 0;
  TaskGroup group;
  group.start(store(Loop::run(), result));
  CHECK(result == 1'000'000);
  group.start(store(deep(10'000), result));
  CHECK(result == 10'000);
}

struct Counted {
  explicit Counted(int& n) : alive(&n) { ++*alive; }
  Counted(const Counted& other) : alive(other.alive) { ++*alive; }
  Counted(Counted&& other) noexcept : alive(other.alive) { ++*alive; }
  ~Counted() { --*alive; }
  int* alive;
};

Task<void> hold(Counted counted, Signal& signal) {
  co_await signal.wait();
  (void)counted;
}

TEST_CASE("task: arguments are destroyed exactly once, finished or abandoned") {
  int alive = 0;
  Signal signal;
  {
    TaskGroup group;
    group.start(hold(Counted(alive), signal));
    CHECK(alive == 1);
    signal.fire();
    CHECK(alive == 0);
  }
  {
    TaskGroup group;
    group.start(hold(Counted(alive), signal));
    CHECK(alive == 1);
  }
  CHECK(alive == 0);
}

Task<void> note_cancel(Signal& signal, std::string& log, std::string name) {
  log += co_await signal.wait() ? name + " fired;" : name + " cancelled;";
}
Task<void> nested(Signal& signal, std::string& log, CancelScope& inner) {
  co_await note_cancel(signal, log, "inner").under(inner);
}

TEST_CASE("cancel: reaches every operation below, however deep, once") {
  std::string log;
  Signal a, b;
  TaskGroup group;
  CancelScope inner(&group.scope());
  group.start(note_cancel(a, log, "a"));
  group.start(nested(b, log, inner));
  group.cancel();
  CHECK(inner.cancelled());
  CHECK(group.running() == 2);  // cancelled is not destroyed: they still have to come back
  a.fire();
  b.fire();
  CHECK(log == "a cancelled;inner cancelled;");
  CHECK(group.empty());
}

TEST_CASE("cancel: an inner scope leaves its outside alone") {
  std::string log;
  Signal a, b;
  TaskGroup group;
  CancelScope inner(&group.scope());
  group.start(note_cancel(a, log, "a"));
  group.start(nested(b, log, inner));
  inner.cancel();
  a.fire();
  b.fire();
  CHECK(log == "a fired;inner cancelled;");
}

TEST_CASE("cancel: what starts in a cancelled scope learns it at once") {
  std::string log;
  Signal a;
  TaskGroup group;
  group.cancel();
  group.start(note_cancel(a, log, "a"));
  a.fire();
  CHECK(log == "a cancelled;");
}

Task<void> join_and_note(TaskGroup& group, bool& joined) {
  co_await group.join();
  joined = true;
}

TEST_CASE("group: join waits for the last and for no more") {
  Signal a, b;
  std::string log;
  TaskGroup group, outer;
  bool joined = false;
  group.start(note_cancel(a, log, "a"));
  group.start(note_cancel(b, log, "b"));
  outer.start(join_and_note(group, joined));
  b.fire();
  CHECK_FALSE(joined);
  a.fire();
  CHECK(joined);
  CHECK(log == "b fired;a fired;");
}

}  // namespace
}  // namespace nines
