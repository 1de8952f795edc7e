#include "supervise/rollout.h"

#include <sstream>
#include <string>
#include <vector>

#include <doctest/doctest.h>

namespace nines::supervise {
namespace {

constexpr ReleaseNumber kOld = 1, kNew = 2;
constexpr Instant kStart{1000s};

// "r1": its state and its release. States: s starting, r ready, u unready for a second, U for ten, w waiting after a
// crash, W after two, d draining, t stopping, x stopped by a person or not told to run, f ended by itself, c answers
// its canary wrongly. In brackets: a spare. A second digit: crashes in a row of one that was ready before.
Member member(const std::string& word) {
  const bool spare = word.front() == '(';
  const std::string text = spare ? word.substr(1, word.size() - 2) : word;
  Member m{.spare = spare, .release = static_cast<ReleaseNumber>(text[1] - '0'), .since = kStart};
  // What is on its way out makes room for the new one, but for 'D'.
  m.next = text[0] == 'd' || text[0] == 't' ? kNew : m.release;
  m.was_ready = text[0] == 'r' || text[0] == 'u' || text[0] == 'U';
  if (text.size() > 2) m.crashes = text[2] - '0', m.was_ready = true;
  switch (text[0]) {
    case 's': m.state = State::kStarting; break;
    case 'r': m.state = State::kReady; break;
    case 'u': m.state = State::kUnready; break;
    case 'U': m.state = State::kUnready, m.since = Instant{kStart.since_boot - 10s}; break;
    case 'w': m.state = State::kWaiting, m.crashes = std::max(m.crashes, 1); break;
    case 'd':
    case 'D': m.state = State::kDraining; break;
    case 't': m.state = State::kStopping; break;
    case 'x': m.state = State::kStopped, m.wanted = false; break;
    case 'f': m.state = State::kStopped; break;
    case 'c': m.state = State::kStarting, m.answers_wrong = true; break;
    default: FAIL("no such state: ", word);
  }
  return m;
}

std::vector<Member> members(const std::string& words) {
  std::vector<Member> all;
  std::istringstream in(words);
  for (std::string word; in >> word;) all.push_back(member(word));
  return all;
}

// Without the shares that are whole.
std::string text_of(const std::vector<RolloutOrder>& orders) {
  std::string text;
  for (const RolloutOrder& order : orders) {
    if (order.what == RolloutOrder::What::kShare && order.percent == 100) continue;
    if (!text.empty()) text += ' ';
    const std::string at = std::to_string(order.member);
    switch (order.what) {
      case RolloutOrder::What::kRun: text += "run:" + at + "=" + std::to_string(order.release); break;
      case RolloutOrder::What::kReplace: text += "replace:" + at + "=" + std::to_string(order.release); break;
      case RolloutOrder::What::kRetire: text += "retire:" + at; break;
      case RolloutOrder::What::kShare: text += "share:" + at + "=" + std::to_string(order.percent); break;
    }
  }
  return text;
}

struct Row {
  const char* why;
  Stage stage;
  const char* all;
  const char* orders;
  Stage after;
  int surge = 1;
  Duration waited = 0s;  // since the first look at the same
  bool judged = true;
};

void check(const Row& row) {
  CAPTURE(row.why);
  CAPTURE(row.all);
  Rollout rollout({.surge = row.surge, .bake = 10s},
                  {.from = kOld, .to = kNew, .stage = row.stage, .judged = row.judged});
  const auto all = members(row.all);
  auto orders = rollout.next(all, kStart);
  if (row.waited > 0s) orders = rollout.next(all, kStart + row.waited);
  CHECK(text_of(orders) == row.orders);
  CHECK(name_of(rollout.memory().stage) == name_of(row.after));
}

TEST_CASE("rollout: the trial") {
  constexpr auto kTrial = Stage::kTrial;
  const Row rows[] = {
      {"one new is started beside", kTrial, "r1 r1 r1 (x0)", "share:3=16 run:3=2", kTrial},
      {"nothing more while it starts", kTrial, "r1 r1 r1 (s2)", "share:3=16", kTrial},
      {"ready: it is compared", kTrial, "r1 r1 r1 (r2)", "share:3=16", kTrial},
      {"for as long as it bakes", kTrial, "r1 r1 r1 (r2)", "share:3=16", kTrial, 1, 9999ms},
      {"and no longer", kTrial, "r1 r1 r1 (r2)", "replace:0=2", Stage::kHalf, 1, 10s},
      {"one that is not ready is not compared, however long", kTrial, "r1 r1 r1 (s2)", "share:3=16", kTrial, 1, 1h},
      {"of two, its share is smaller", kTrial, "r1 r1 (x0)", "share:2=11 run:2=2", kTrial},
      {"of one, 5 %", kTrial, "r1 (x0)", "share:1=5 run:1=2", kTrial},
      {"one that a person stopped is none of the others", kTrial, "r1 x1 (x0)", "share:2=5 run:2=2", kTrial},
      {"only the first spare is tried out", kTrial, "r1 r1 (x0) (x0)", "share:2=11 run:2=2", kTrial, 2},
      {"an old one that is down changes nothing", kTrial, "r1 w1 r1 (x0)", "share:3=16 run:3=2", kTrial},
      {"no spare: the first takes part", kTrial, "r1 r1 r1", "share:0=11 replace:0=2", kTrial, 0},
      {"... is being replaced", kTrial, "s2 r1 r1", "share:0=11", kTrial, 0},
      {"... and compared", kTrial, "r2 r1 r1", "replace:1=2", Stage::kHalf, 0, 10s},
      {"... one that serves nobody goes before it", kTrial, "r1 w1 r1", "share:1=11 replace:1=2", kTrial, 0},
      {"... and is compared", kTrial, "r1 r2 r1", "replace:0=2", Stage::kHalf, 0, 10s},
      {"... alone: it is missing, as was asked for", kTrial, "r1", "replace:0=2", kTrial, 0},
      {"a person's rollback is not tried", kTrial, "r1 r1 (x0)", "run:2=2", Stage::kAll, 1, 0s, false},
  };
  for (const Row& row : rows) check(row);
}

TEST_CASE("rollout: from half to all") {
  constexpr auto kHalf = Stage::kHalf, kAll = Stage::kAll;
  const Row rows[] = {
      {"the first is replaced", kHalf, "r1 r1 r1 (r2)", "replace:0=2", kHalf},
      {"one at a time", kHalf, "d1 r1 r1 r1 (r2)", "", kHalf},
      {"... also while it stops", kHalf, "t1 r1 r1 r1 (r2)", "", kHalf},
      {"... also while the new one starts", kHalf, "s2 r1 r1 r1 (r2)", "", kHalf},
      {"two at a time with two spares", kHalf, "r1 r1 r1 r1 (r2) (r2)", "replace:0=2 replace:1=2", kHalf, 2},
      {"the second spare is started now", kHalf, "r1 r1 r1 r1 (r2) (x0)", "run:5=2", kHalf, 2},
      {"of four, two", kHalf, "r2 r1 r1 r1 (r2)", "replace:1=2", kHalf},
      {"half are new: compared", kHalf, "r2 r2 r1 r1 (r2)", "", kHalf, 1, 9999ms},
      {"... long enough", kHalf, "r2 r2 r1 r1 (r2)", "replace:2=2", kAll, 1, 10s},
      {"of one, the spare is half", kHalf, "r1 (r2)", "", kHalf, 1, 9999ms},
      {"... long enough", kHalf, "r1 (r2)", "replace:0=2", kAll, 1, 10s},
      {"... only while the spare is ready", kHalf, "r1 (s2)", "", kHalf, 1, 10s},
      {"of one in the last stage: only while the spare is ready", kAll, "r1 (s2)", "", kAll},
      {"one that serves nobody goes first", kAll, "r1 r1 w1 r1 (r2)", "replace:2=2", kAll},
      {"... though others are missing too", kAll, "w1 s2 r1 (r2)", "", kAll},
      {"one that serves stays while two are missing", kAll, "r1 r1 u2 u2 (r2)", "", kAll},
      {"one that serves stays while one too many is missing", kAll, "r1 r1 s2 (s2)", "", kAll},
      {"one may be missing", kAll, "r2 r2 w1 r1 (r2) (r2)", "replace:2=2 replace:3=2", kAll, 2},
      {"... not the spare", kAll, "r2 r2 r1 (u2)", "", kAll},
      {"the spare is there first", kAll, "r1 r1 r1 (s2)", "", kAll, 1, 0s, false},
      {"the last one is on its way", kAll, "r2 r2 s2 (r2)", "", kAll},
      {"all are new: what helped is retired", kAll, "r2 r2 r2 (r2)", "retire:3", Stage::kTidy},
      {"... not while the last one is not ready", kAll, "r2 r2 u2 (r2)", "", kAll},
      {"one that a person stopped gets the release for later", kAll, "r2 x1 r2 (r2)", "replace:1=2 retire:3",
       Stage::kTidy},
      {"... not before the new one is the one", kHalf, "r2 r1 x1 r1 (r2)", "", kHalf},
      {"without a spare: one missing", kAll, "r2 r1 r1", "replace:1=2", kAll, 0},
      {"... not two", kAll, "s2 r1 r1", "", kAll, 0},
      {"... a single one", kAll, "r1", "replace:0=2", kAll, 0},
      {"... of two, one at a time", kAll, "s2 r1", "", kAll, 0},
      {"... done", kAll, "r2 r2 r2", "", Stage::kEnded, 0},
      {"a person restarts one: it comes back new", kAll, "D1 r2 r2 (r2)", "replace:0=2", kAll},
      {"... not before its turn", kHalf, "D1 r1 r1 r1 (r2)", "", kHalf},
  };
  for (const Row& row : rows) check(row);
}

TEST_CASE("rollout: the end") {
  constexpr auto kTidy = Stage::kTidy, kEnded = Stage::kEnded;
  const Row rows[] = {
      {"what helped is retired", kTidy, "r2 r2 (r2)", "retire:2", kTidy},
      {"... in whatever state", kTidy, "r2 r2 (w2)", "retire:2", kTidy},
      {"... and waited for", kTidy, "r2 r2 (x2)", "", kEnded},
      {"a crash of a new one is no matter of the deploy any more", kTidy, "w2 r2 (x2)", "", kEnded},
      {"ended is ended", kEnded, "r1 r2 (r2)", "", kEnded},
  };
  for (const Row& row : rows) check(row);
}

TEST_CASE("rollout: when it goes back") {
  constexpr auto kBack = Stage::kBack;
  const Row rows[] = {
      {"a new one crashes before it was ever ready", Stage::kTrial, "r1 r1 (w2)", "retire:2", kBack},
      {"... that was ready: once is no reason", Stage::kTrial, "r1 r1 (s21)", "share:2=11", Stage::kTrial},
      {"... twice is", Stage::kTrial, "r1 r1 (s22)", "retire:2", kBack},
      {"it answers its canary wrongly", Stage::kTrial, "r1 r1 (c2)", "retire:2", kBack},
      {"it ends by itself", Stage::kTrial, "r1 r1 (f2)", "", Stage::kEnded},
      {"it is unready for a moment", Stage::kHalf, "r2 r1 (u2)", "", Stage::kHalf},
      {"... for too long", Stage::kHalf, "r1 r1 (U2)", "retire:2", kBack},
      {"an old one crashes: no reason", Stage::kTrial, "w12 r1 (r2)", "share:2=11", Stage::kTrial},
      {"one that a person stopped is no reason", Stage::kHalf, "x2 r1 r1 (r2)", "replace:1=2", Stage::kHalf},
      {"every replica is stopped by a person", Stage::kTrial, "x1 x1 (r2)", "retire:2", kBack},
      {"... before anything was done", Stage::kTrial, "x1 x1 (x0)", "", Stage::kEnded},
      {"some were replaced: the spare gets the old release first", Stage::kAll, "r2 U2 r1 (r2)",
       "replace:3=1 replace:1=1", kBack},
      {"... which serves nobody meanwhile: one of the others, no more", kBack, "r2 r2 r1 r1 (r2) (r2)",
       "replace:4=1 replace:5=1 replace:0=1", kBack, 2},
      {"then those that are in the way", kBack, "r2 s1 r1 (s1)", "", kBack},
      {"one at a time", kBack, "r2 r1 r1 (r1)", "replace:0=1", kBack},
      {"a single one waits for the spare", kBack, "r2 (s1)", "", kBack},
      {"... and goes", kBack, "r2 (r1)", "replace:0=1", kBack},
      {"a single one that does not serve goes at once", kBack, "u2 (s1)", "replace:0=1", kBack},
      {"one on its way to the new release is called back", kBack, "d1 r1 (x1)", "replace:0=1", kBack},
      {"... and is waited for", kBack, "D1 r1 (x1)", "", kBack},
      {"all are old: the spare is retired", kBack, "r1 r1 (r1)", "retire:2", kBack},
      {"a new spare goes, whatever becomes of the others", kBack, "r1 s1 (r2)", "retire:2", kBack},
      {"... though the old release has ended for good there", kBack, "r1 f1 (r2)", "retire:2", kBack},
      {"... which keeps no deploy open", kBack, "r1 f1 (x2)", "", Stage::kEnded},
      {"an old spare stays until it is not needed", kBack, "s1 (r1)", "", kBack},
      {"one order is enough for a spare", kBack, "r2 r1 (d1)", "replace:0=1", kBack},
      {"... not before they are ready", kBack, "r1 s1 (r1)", "", kBack},
      {"... and waited for", kBack, "r1 r1 (x1)", "", Stage::kEnded},
      {"an old one that crashes by now is no matter of the deploy", kBack, "r1 w1 (r1)", "retire:2", kBack},
      {"... nor one that is unready", kBack, "r1 u1 (x1)", "", Stage::kEnded},
      {"... and keeps no new one in its place", kBack, "w1 u2 r1 r1 (s1)", "replace:1=1", kBack},
      {"one that a person stopped gets the old release again", kBack, "r1 x2 (x1)", "replace:1=1", Stage::kEnded},
      {"without a spare", kBack, "r2 r1 r1", "replace:0=1", kBack, 0},
      {"... waits while one is missing", kBack, "r2 s1 r1", "", kBack, 0},
  };
  for (const Row& row : rows) check(row);
}

TEST_CASE("rollout: a person gives it up") {
  for (const Stage stage : {Stage::kTrial, Stage::kHalf, Stage::kAll}) {
    Rollout rollout({}, {.from = kOld, .to = kNew, .stage = stage});
    CHECK(rollout.give_up("alice"));
    CHECK(rollout.memory().stage == Stage::kBack);
    CHECK(rollout.memory().why == "alice");
    CHECK(rollout.give_up("bob"));
    CHECK(rollout.memory().why == "alice");
  }
  Rollout late({}, {.from = kOld, .to = kNew, .stage = Stage::kTidy});
  CHECK_FALSE(late.give_up("alice"));
  CHECK_FALSE(late.memory().undone());
}

TEST_CASE("rollout: worse than the old one") {
  struct Case {
    const char* why;
    Stage stage;
    const char* all;
    std::uint64_t errors;  // of 100 of each new one
    Duration latency;      // of each new one; the old ones have 2 ms
    bool back;
  };
  const Case cases[] = {
      {"as good", Stage::kTrial, "r1 r1 (r2)", 0, 2ms, false},
      {"errors", Stage::kTrial, "r1 r1 (r2)", 5, 2ms, true},
      {"slow", Stage::kTrial, "r1 r1 (r2)", 0, 20ms, true},
      {"errors at half", Stage::kHalf, "r2 r2 r1 r1 (r2)", 5, 2ms, true},
      {"slow at half", Stage::kHalf, "r2 r2 r1 r1 (r2)", 0, 20ms, true},
  };
  for (const Case& c : cases) {
    CAPTURE(c.why);
    Rollout rollout({}, {.from = kOld, .to = kNew, .stage = c.stage});
    auto all = members(c.all);
    for (Member& one : all) one.seen.errors = 1000;  // of whatever was before: no matter
    (void)rollout.next(all, kStart);
    // Two pieces of two seconds each.
    for (const Duration later : {2s, 4s}) {
      CHECK(rollout.memory().stage == c.stage);
      for (Member& one : all) {
        one.seen.requests += 100;
        one.seen.errors += one.release == kNew ? c.errors : 0;
        one.seen.latency[plane::latency_bucket(one.release == kNew ? c.latency : 2ms)] += 100;
      }
      (void)rollout.next(all, kStart + later);
      if (c.errors > 0) break;  // they are seen at once
    }
    CHECK((rollout.memory().stage == Stage::kBack) == c.back);
    CHECK(rollout.memory().undone() == c.back);
  }
}

TEST_CASE("rollout: slow for a moment, as what has just started is") {
  Rollout rollout({}, {.from = kOld, .to = kNew});
  auto all = members("r1 r1 (r2)");
  (void)rollout.next(all, kStart);
  for (int piece = 1; piece <= 4; ++piece) {
    for (Member& one : all)
      one.seen.latency[plane::latency_bucket(one.release == kNew && piece % 2 == 1 ? 200ms : 2ms)] += 100;
    (void)rollout.next(all, kStart + piece * 2s);
  }
  CHECK(rollout.memory().stage == Stage::kTrial);
}

TEST_CASE("rollout: few requests are waited for, and not for ever") {
  struct Case {
    const char* why;
    std::uint64_t old, fresh;  // requests a second
    Duration until;            // how long the trial takes
  };
  const Case cases[] = {
      {"nobody asks: nothing to wait for", 0, 0, 10s},
      {"enough", 100, 20, 10s},
      {"few: until there are enough", 100, 1, 20s},
      {"none at all for the new one: three times as long", 100, 0, 30s},
  };
  for (const Case& c : cases) {
    CAPTURE(c.why);
    Rollout rollout({}, {.from = kOld, .to = kNew});
    auto all = members("r1 r1 (r2)");
    Instant now = kStart;
    for (; now < kStart + 100s; now = now + 1s) {
      (void)rollout.next(all, now);
      if (rollout.memory().stage != Stage::kTrial) break;
      for (Member& one : all) {
        const std::uint64_t requests = one.release == kNew ? c.fresh : c.old;
        one.seen.requests += requests;
        one.seen.latency[plane::latency_bucket(2ms)] += requests;
      }
    }
    CHECK(now - kStart == c.until);
  }
}

TEST_CASE("rollout: what was counted before a stage began says nothing in it") {
  Rollout rollout({}, {.from = kOld, .to = kNew});
  auto all = members("r1 r1 (r2)");
  all[2].seen = {.requests = 100, .errors = 100};
  (void)rollout.next(all, kStart);
  (void)rollout.next(all, kStart + 9s);
  CHECK(rollout.memory().stage == Stage::kTrial);
}

TEST_CASE("rollout: names") {
  for (const Stage stage : {Stage::kTrial, Stage::kHalf, Stage::kAll, Stage::kTidy, Stage::kBack, Stage::kEnded})
    CHECK(stage_named(name_of(stage)) == stage);
  CHECK_FALSE(stage_named("unknown"));
}

TEST_CASE("rollout: five percent") {
  CHECK(trial_share(0) == 100);
  CHECK(trial_share(100) == 5);
  CHECK(trial_share(300) == 16);
  CHECK(trial_share(30) == 2);
  CHECK(trial_share(6400) == 100);
}

}  // namespace
}  // namespace nines::supervise
