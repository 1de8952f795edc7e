// Which requests are sent again, how often and at whose expense; and that the budget holds over a long outage.
#include "gateway/replay.h"

#include <algorithm>
#include <deque>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "base/random.h"
#include "gateway/retry_budget.h"

namespace nines::gateway {
namespace {

constexpr Instant kNow{1h};

TEST_CASE("replay: what may be sent again") {
  struct Row {
    std::string why;
    FailedAttempt failed;
    Replay verdict;
  };
  const Row rows[] = {
      {"nothing was sent: any request", {.sent = false}, Replay::kAgain},
      {"sent, and harm is possible", {.sent = true}, Replay::kMayHaveRun},
      {"the same when its process has ended", {.sent = true, .lost = Lost::kExited}, Replay::kMayHaveRun},
      {"the same over an idle connection", {.sent = true, .stale = true}, Replay::kMayHaveRun},
      {"sent, and harmless twice", {.harmless_twice = true, .sent = true}, Replay::kAgain},
      {"the body is gone", {.harmless_twice = true, .sent = true, .body_kept = false}, Replay::kBodyGone},
      {"the body is gone though nothing arrived", {.sent = false, .body_kept = false}, Replay::kBodyGone},
      {"the body is gone, over an idle connection",
       {.harmless_twice = true, .sent = true, .body_kept = false, .stale = true},
       Replay::kBodyGone},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    const ReplayLimits limits;
    RetryBudget budget;
    CHECK(Replays(limits, budget).after(row.failed, kNow, 0).verdict == row.verdict);
  }
}

// Plays the failures of one request's attempts, and returns how many of them were followed by another.
// s: sent, u: unsent, i: over an idle connection; S, U: the same, and the process has ended; H: sent, and it hangs.
struct Played {
  int again = 0;
  Replay last = Replay::kAgain;
  int left = 0;  // what the budget would still allow
};
Played play(std::string_view failures, RetryBudgetLimits budget_limits = {.floor = 100, .floor_unsent = 100}) {
  const ReplayLimits limits;
  RetryBudget budget(budget_limits);
  Replays replays(limits, budget);
  Played played;
  for (const char f : failures) {
    const FailedAttempt failed{.harmless_twice = true,
                               .sent = f == 's' || f == 'S' || f == 'H' || f == 'i',
                               .stale = f == 'i',
                               .lost = f == 'S' || f == 'U' ? Lost::kExited
                                       : f == 'H'           ? Lost::kHung
                                                            : Lost::kNo};
    played.last = replays.after(failed, kNow, 0.5).verdict;
    if (played.last != Replay::kAgain) break;
    ++played.again;
  }
  while (budget.draw(kNow, true)) ++played.left;
  return played;
}

TEST_CASE("replay: how often one request is sent again") {
  struct Row {
    std::string why, failures;
    int again;
    Replay last;
  };
  const Row rows[] = {
      {"twice, when replicas may have had it", "sss", 2, Replay::kTooManyAttempts},
      {"ended processes count, too", "SSS", 2, Replay::kTooManyAttempts},
      {"and those that hang", "HSH", 2, Replay::kTooManyAttempts},
      {"refused connections use up none of it", "uus", 3, Replay::kAgain},
      {"in any order", "suusu", 5, Replay::kAgain},
      {"and then it is twice as always", "uusss", 4, Replay::kTooManyAttempts},
      {"but there is an end to them", "uuuuuuuuu", 8, Replay::kTooManyAttempts},
      {"closed idle connections count as nothing", "iisisis", 6, Replay::kTooManyAttempts},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    const Played played = play(row.failures);
    CHECK(played.again == row.again);
    CHECK(played.last == row.last);
  }
}

TEST_CASE("replay: what draws from the budget") {
  struct Row {
    std::string why, failures;
    int drawn;
  };
  const Row rows[] = {
      {"an attempt that was sent", "s", 1},
      {"one that was not", "u", 1},
      {"none for an ended process", "S", 0},
      {"once for each request", "SS", 1},
      {"nor for one that hangs, once", "H", 0},
      {"and no more than once", "HH", 1},
      {"who was moved from one that hangs has the other's end still free", "HS", 0},
      {"in any order", "SH", 0},
      {"nor for a connection refused by one that has ended, however often", "UUU", 0},
      {"which leaves the request its free one", "UUS", 0},
      {"none for a closed idle connection", "i", 0},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    CHECK(100 - play(row.failures).left == row.drawn);
  }
}

TEST_CASE("replay: of a spent budget, only what is free is left") {
  const RetryBudgetLimits spent{.floor = 0, .floor_unsent = 0};
  CHECK(play("s", spent).last == Replay::kBudgetSpent);
  CHECK(play("u", spent).last == Replay::kBudgetSpent);
  CHECK(play("S", spent).again == 1);
  CHECK(play("SS", spent).last == Replay::kBudgetSpent);
  CHECK(play("UUi", spent).again == 3);
  // Refused connections have a floor of their own: two of three replicas were just killed, and there is no traffic.
  CHECK(play("uu", {.floor = 1, .floor_unsent = 10}).again == 2);
  CHECK(discourages_retry(Replay::kBudgetSpent));
  CHECK_FALSE(discourages_retry(Replay::kTooManyAttempts));
}

TEST_CASE("replay: a 503 is tried elsewhere at the price of any repetition") {
  const ReplayLimits limits;
  RetryBudget budget({.floor = 3});
  {
    Replays replays(limits, budget);
    CHECK_FALSE(replays.elsewhere_after_503(false, true, kNow));  // it may have been executed: it answered
    CHECK_FALSE(replays.elsewhere_after_503(true, false, kNow));
    CHECK(replays.elsewhere_after_503(true, true, kNow));
    CHECK(replays.elsewhere_after_503(true, true, kNow));
    CHECK_FALSE(replays.elsewhere_after_503(true, true, kNow));  // often enough
  }
  Replays another(limits, budget);
  CHECK(another.elsewhere_after_503(true, true, kNow));
  CHECK_FALSE(another.elsewhere_after_503(true, true, kNow));  // the budget is spent
}

TEST_CASE("replay: the first repetition goes at once, later ones wait with full jitter up to a bound") {
  const ReplayLimits limits{.pause_first = 25ms, .pause_max = 250ms};
  CHECK(replay_pause(limits, 1, 0.99) == 0ms);
  CHECK(replay_pause(limits, 2, 0.0) == 0ms);
  CHECK(replay_pause(limits, 2, 0.5) == 12500us);
  CHECK(replay_pause(limits, 3, 0.5) == 25ms);
  CHECK(replay_pause(limits, 4, 0.5) == 50ms);
  CHECK(replay_pause(limits, 9, 0.5) == 125ms);

  RetryBudget budget({.floor = 9, .floor_unsent = 9});
  Replays replays(limits, budget);
  const FailedAttempt sent{.harmless_twice = true, .sent = true}, unsent{};
  CHECK(replays.after(unsent, kNow, 0.5).pause == 0ms);
  CHECK(replays.after({.lost = Lost::kExited}, kNow, 0.5).pause ==
        0ms);  // does not wait, and does not count for those that do
  CHECK(replays.after(sent, kNow, 0.5).pause == 12500us);
  CHECK(replays.after({.harmless_twice = true, .sent = true, .stale = true}, kNow, 0.5).pause == 0ms);
  CHECK(replays.after(unsent, kNow, 0.5).pause == 25ms);
}

TEST_CASE("replay: which methods are idempotent") {
  for (const char* yes : {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"}) CHECK(is_idempotent(yes));
  for (const char* no : {"POST", "PATCH", "get", ""}) CHECK_FALSE(is_idempotent(no));
}

TEST_CASE("budget: a fifth of the requests of the last ten seconds, and three at least") {
  RetryBudget budget;
  const auto drawn = [&](Instant now) {
    int n = 0;
    while (budget.draw(now, true)) ++n;
    return n;
  };
  Instant now{1h};
  CHECK(drawn(now) == 3);
  for (int i = 0; i < 100; ++i) budget.on_request(now);
  CHECK(drawn(now) == 17);  // 20 of 100, of which 3 are gone
  now = now + 9s;
  CHECK(drawn(now) == 0);
  now = now + 2s;
  CHECK(drawn(now) == 3);
  // What no replica has had: at least ten, on the same account.
  now = now + 1h;
  int unsent = 0;
  while (budget.draw(now, false)) ++unsent;
  CHECK(unsent == 10);
  CHECK(drawn(now) == 0);
}

TEST_CASE("budget: over any outage, attempts stay below 1.2 times the requests") {
  constexpr std::uint64_t kSeed = 20261126;
  CAPTURE(kSeed);
  Random random(kSeed);
  for (int run = 0; run < 200; ++run) {
    const ReplayLimits limits;
    RetryBudget budget;
    std::deque<Instant> requests, repetitions;  // the same, counted exactly
    Instant now{Duration(random.next() >> 20)};
    const std::uint32_t apart_ms = 1 + random.below(300);
    const std::size_t total = 2000;
    std::size_t attempts = 0;
    for (std::size_t i = 0; i < total; ++i) {
      now = now + std::chrono::milliseconds(random.below(2 * apart_ms));
      budget.on_request(now);
      requests.push_back(now);
      Replays replays(limits, budget);
      for (++attempts;
           replays.after({.harmless_twice = true, .sent = true}, now, random.unit()).verdict == Replay::kAgain;
           ++attempts) {
        repetitions.push_back(now);
        while (now - requests.front() > 10s) requests.pop_front();
        while (now - repetitions.front() >= 9500ms) repetitions.pop_front();
        REQUIRE(static_cast<double>(repetitions.size()) <= std::max(3.0, 0.2 * static_cast<double>(requests.size())));
      }
    }
    CHECK(static_cast<double>(attempts) <= 1.2 * static_cast<double>(total) + 3);
    CHECK(static_cast<double>(attempts) >= 1.15 * static_cast<double>(total));
  }
}

TEST_CASE("sliding count: what is older than the window is gone, after however long a pause") {
  SlidingCount count(10s);
  Instant now{1000s};
  for (int i = 0; i < 40; ++i) {
    count.add(now);
    now = now + 500ms;
  }
  CHECK(count.count(now) == 19);
  CHECK(count.count(now + 5s) == 9);
  CHECK(count.count(now + 10h) == 0);
  count.add(now);  // a clock that went back counts, too
  CHECK(count.count(now + 10h) == 1);
}

}  // namespace
}  // namespace nines::gateway
