// What answers pass, and which silences take a replica out.
#include "gateway/canary.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "base/random.h"

namespace nines::gateway {
namespace {

using Outcome = CanaryWatch::Outcome;

CanarySettings expecting(std::string pointer, std::string equals) {
  return {.expect = CanarySettings::Expect{std::move(pointer), std::move(equals)}};
}

TEST_CASE("canary: which answers are the right one") {
  struct Row {
    std::string why, pointer, equals, body;
    bool right;
  };
  const Row rows[] = {
      {"a field", "/label", "\"de\"", R"({"label": "de", "more": 1})", true},
      {"another value", "/label", "\"de\"", R"({"label": "en"})", false},
      {"of another type", "/label", "\"1\"", R"({"label": 1})", false},
      {"nothing there", "/label", "\"de\"", R"({"lab": "de"})", false},
      {"deeper, in an array", "/choices/0/text", "\"4\"", R"({"choices": [{"text": "4"}]})", true},
      {"beyond its end", "/choices/1/text", "\"4\"", R"({"choices": [{"text": "4"}]})", false},
      {"a name with a slash and a tilde", "/a~1b~0c", "true", R"({"a/b~c": true})", true},
      {"the same number otherwise written", "/n", "1", R"({"n": 1.0})", true},
      {"a large number", "/n", "18446744073709551615", R"({"n": 18446744073709551615})", true},
      {"another number", "/n", "1", R"({"n": 1.5})", false},
      {"all of it", "", R"({"b": [1, 2], "a": null})", R"({"a": null, "b": [1.0, 2]})", true},
      {"all of it but one", "", R"({"a": null})", R"({"a": null, "b": 1})", false},
      {"an array in another order", "/v", "[1,2]", R"({"v": [2,1]})", false},
      {"not JSON", "/label", "\"de\"", "de", false},
      {"nothing", "/label", "\"de\"", "", false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    const CanarySettings settings = expecting(row.pointer, row.equals);
    REQUIRE(check_canary(settings));
    const auto judged = judge_canary(settings, 200, row.body);
    CHECK(judged.has_value() == row.right);
    if (!judged) CHECK(judged.error().code() == Code::kInvalid);
  }
  CHECK(judge_canary(expecting("/label", "\"de\""), 200, R"({"label": "en"})").error().text() ==
        R"(/label is "en" instead of "de")");
  CHECK(judge_canary(CanarySettings{}, 204, ""));
  for (const int status : {199, 302, 404, 500, 503}) {
    const auto judged = judge_canary(expecting("/label", "\"de\""), status, R"({"label": "de"})");
    REQUIRE_FALSE(judged);
    CHECK(judged.error().code() == Code::kUnavailable);  // no answer, rather than a wrong one
  }
}

TEST_CASE("canary: an expectation that cannot be understood is said so") {
  for (const char* pointer : {"label", "/a~2", "/a~", "#/label"}) {
    CAPTURE(pointer);
    CHECK_FALSE(check_canary(expecting(pointer, "1")));
  }
  CHECK_FALSE(check_canary(expecting("/label", "de")));  // JSON text: "de" has quotes
  CHECK(check_canary(expecting("", "{}")));
  CHECK(check_canary(CanarySettings{}));
}

// Plays one second after the other: what the replica does is a function of the second, and canaries take as long as it
// says.
struct Play {
  bool outstanding = true;
  bool bytes = false;
  bool canary_passes = false, canary_wrong = false;
  Duration canary_takes = 10s;
};
struct Seen {
  std::optional<int> first, down, up;  // at which second
  int sent = 0;
};
template <class Script>
Seen play(const CanarySettings& settings, int seconds, bool down, Script script) {
  CanaryWatch watch(settings, down);
  struct Flying {
    Instant sent, ends;
    Outcome outcome;
  };
  std::vector<Flying> flying;
  Instant progress{};
  Seen seen;
  for (int second = 0; second < seconds; ++second) {
    const Instant now{1h + std::chrono::seconds(second)};
    const Play p = script(second);
    if (p.bytes) progress = now;
    std::erase_if(flying, [&](const Flying& canary) {
      if (canary.ends > now) return false;
      const bool changed = watch.on_result(canary.outcome, canary.sent, now, progress);
      if (changed && watch.down()) seen.down = seen.down.value_or(second);
      if (changed && !watch.down()) seen.up = seen.up.value_or(second);
      return true;
    });
    if (watch.look(now, p.outstanding, progress)) {
      ++seen.sent;
      seen.first = seen.first.value_or(second);
      const Outcome outcome = p.canary_wrong ? Outcome::kWrong : p.canary_passes ? Outcome::kPassed : Outcome::kFailed;
      flying.push_back({now, now + p.canary_takes, outcome});
    }
  }
  return seen;
}

TEST_CASE("canary: dead within 15 s of the stall's threshold") {
  const CanarySettings settings;
  const Seen seen = play(settings, 120, false, [](int) { return Play{}; });
  CHECK(seen.first == 30);
  CHECK(seen.down == 44);  // three canaries, 2 s apart, 10 s each
  CHECK_FALSE(seen.up);
}

TEST_CASE("canary: one that is refused at once needs three as well, and one wrong answer is enough") {
  const CanarySettings settings;
  CHECK(play(settings, 60, false, [](int) { return Play{.canary_takes = 0s}; }).down == 35);
  const Seen wrong = play(settings, 60, false, [](int) { return Play{.canary_wrong = true, .canary_takes = 1s}; });
  CHECK(wrong.down == 31);
}

TEST_CASE("canary: who is left alone") {
  const CanarySettings settings;
  const auto never_asked = [&](auto script) {
    const Seen seen = play(settings, 600, false, script);
    return seen.sent == 0 && !seen.down;
  };
  CHECK(never_asked([](int) { return Play{.outstanding = false}; }));
  CHECK(never_asked([](int s) { return Play{.bytes = s % 29 == 0}; }));
  CHECK(never_asked([](int s) { return Play{.outstanding = s % 30 != 0}; }));
  // Five minutes of prefill without a byte, but its canaries pass: busy.
  const Seen prefill = play(settings, 300, false, [](int) { return Play{.canary_passes = true, .canary_takes = 8s}; });
  CHECK_FALSE(prefill.down);
  CHECK(prefill.sent <= 24);
  // Canaries that fail while bytes come say nothing: others were served first.
  CHECK_FALSE(play(settings, 300, false, [](int s) { return Play{.bytes = s % 33 == 0}; }).down);
  // Two failures in each of three silences are not three in a row.
  CHECK_FALSE(play(settings, 98, false, [](int s) { return Play{.bytes = s % 33 == 0, .canary_takes = 0s}; }).down);
  // Long idle, then a request: the silence begins with it.
  const Seen idle = play(settings, 660, false, [](int s) { return Play{.outstanding = s >= 600}; });
  CHECK(idle.first == 630);
}

TEST_CASE("canary: it comes back by passing, and only so") {
  const CanarySettings settings;
  const Seen seen = play(settings, 300, false, [](int s) {
    return Play{.outstanding = s < 50, .canary_passes = s >= 200, .canary_takes = s >= 200 ? 1s : 10s};
  });
  CHECK(seen.down == 44);
  REQUIRE(seen.up);
  CHECK(*seen.up >= 201);
  CHECK(*seen.up <= 212);
}

TEST_CASE("canary: before it was ready, it has to pass once") {
  const CanarySettings settings{.before_ready = true};
  const Seen seen = play(settings, 60, true, [](int s) {
    return Play{.outstanding = false, .canary_passes = s >= 20, .canary_takes = 0s};
  });
  CHECK(seen.first == 0);
  CHECK(seen.up == 21);
  CHECK(seen.sent == 21);  // once a second, and not again
}

// A day of requests against a replica that works: whatever it is busy with, it is never taken out as long as every
// canary passes or a byte comes between; and when it dies, it is out 15 s after the threshold.
TEST_CASE("canary: a day of a replica that is busy, and dies in the end") {
  constexpr std::uint64_t kSeed = 99;
  CAPTURE(kSeed);
  Random random(kSeed);
  const CanarySettings settings;
  int quiet_left = 0;
  const int dies = 86'400;
  const Seen seen = play(settings, dies + 120, false, [&](int s) {
    if (s >= dies) return Play{};
    if (--quiet_left < 0) quiet_left = random.below(40) == 0 ? static_cast<int>(random.below(400)) : 0;
    return Play{.outstanding = random.below(10) != 0,
                .bytes = quiet_left == 0,
                .canary_passes = true,
                .canary_takes = std::chrono::seconds(random.below(10))};
  });
  REQUIRE(seen.down);
  CHECK(*seen.down >= dies + 10);
  CHECK(*seen.down <= dies + 45);
  CHECK_FALSE(seen.up);
}

}  // namespace
}  // namespace nines::gateway
