// Which silences make us ask, and which of the asked are found to hang.
#include "gateway/hang.h"

#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "base/random.h"
#include "gateway/patience.h"

namespace nines::gateway {
namespace {

constexpr HangLimits kLimits{};
constexpr Instant kSent{1h};
using What = HangWatch::What;

TEST_CASE("hang: patience is four times the replica's own slowest, and 250 ms at least") {
  CHECK(hang_patience(kLimits, std::nullopt) == 250ms);
  CHECK(hang_patience(kLimits, 1ms) == 250ms);
  CHECK(hang_patience(kLimits, 100ms) == 400ms);
  CHECK(hang_patience(kLimits, 30s) == 2min);
}

TEST_CASE("hang: what makes us probe") {
  struct Row {
    std::string why;
    std::optional<Instant> oldest;
    Instant progress, now;
    What what;
  };
  const Row rows[] = {
      {"nobody waits", std::nullopt, Instant{}, kSent + 1h, What::kNothing},
      {"not yet out of proportion", kSent, Instant{}, kSent + 399ms, What::kNothing},
      {"out of proportion", kSent, Instant{}, kSent + 400ms, What::kProbe},
      {"others get bytes from it", kSent, kSent + 300ms, kSent + 600ms, What::kNothing},
      {"others got bytes, but no more", kSent, kSent + 300ms, kSent + 700ms, What::kProbe},
      {"the last byte was long ago, the request is young", kSent, kSent + -10min, kSent + 300ms, What::kNothing},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    HangWatch watch;
    CHECK(watch.look(row.now, row.oldest, row.progress, 400ms) == row.what);
  }
}

TEST_CASE("hang: what a probe says") {
  struct Row {
    std::string why;
    bool passed;
    Instant progress;
    bool another_lives;
    bool hung;
  };
  const Row rows[] = {
      {"no answer, and others live", false, Instant{}, true, true},
      {"slow but alive", true, Instant{}, true, false},
      {"a byte came while it was probed", false, kSent + 600ms, true, false},
      {"all of them stand still", false, Instant{}, false, false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    HangWatch watch;
    CHECK(watch.look(kSent + 400ms, kSent, Instant{}, 400ms) == What::kProbe);
    CHECK(watch.look(kSent + 450ms, kSent, Instant{}, 400ms) == What::kNothing);  // one at a time
    CHECK(watch.on_probe(kSent + 900ms, row.passed, row.progress, row.another_lives) == row.hung);
  }
}

TEST_CASE("hang: one that is alive is asked again at twice the silence, one that cannot be helped at once") {
  HangWatch watch;
  REQUIRE(watch.look(kSent + 400ms, kSent, Instant{}, 400ms) == What::kProbe);
  watch.on_probe(kSent + 401ms, true, Instant{}, true);
  CHECK(watch.look(kSent + 799ms, kSent, Instant{}, 400ms) == What::kNothing);
  CHECK(watch.look(kSent + 800ms, kSent, Instant{}, 400ms) == What::kProbe);
  watch.on_probe(kSent + 1300ms, false, Instant{}, false);
  CHECK(watch.look(kSent + 1350ms, kSent, Instant{}, 400ms) == What::kProbe);
  CHECK(watch.on_probe(kSent + 1850ms, false, Instant{}, true));
  // Another silence begins with ordinary patience.
  CHECK(watch.look(kSent + 2s, kSent + 1900ms, Instant{}, 400ms) == What::kNothing);
  CHECK(watch.look(kSent + 2300ms, kSent + 1900ms, Instant{}, 400ms) == What::kProbe);
}

TEST_CASE("hang: who counts as another that lives") {
  const Instant now{1h};
  struct Row {
    std::string why;
    Neighbour other;
    bool lives;
  };
  const Row rows[] = {
      {"it answers requests", {.routable = true, .progress = now + -3s}, true},
      {"nobody asks it, but it passes its checks", {.routable = true, .passed = now + -3s}, true},
      {"it has been still for as long", {.routable = true, .progress = now + -5s, .passed = now + -5s}, false},
      {"it is suspected itself", {.routable = true, .suspected = true, .progress = now + -1s}, false},
      {"it gets no requests", {.routable = false, .progress = now}, false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    const Neighbour dead{.routable = true};
    CHECK(another_lives(kLimits, std::vector{dead, row.other}, now) == row.lives);
  }
  CHECK_FALSE(another_lives(kLimits, {}, now));
}

// A replica with an answer time of its own that is stopped once, while requests come one after the other: it is found
// to hang within patience + tick + probe, and never before it was stopped, however slow it is.
TEST_CASE("hang: found in time, and never where there is none") {
  constexpr std::uint64_t kSeed = 4711;
  CAPTURE(kSeed);
  Random random(kSeed);
  for (int run = 0; run < 300; ++run) {
    const Duration p99 = std::chrono::milliseconds(1 + random.below(3000));
    const Duration patience = hang_patience(kLimits, p99);
    const Instant stopped = kSent + std::chrono::milliseconds(random.below(60'000));
    HangWatch watch;
    Instant now = kSent, progress{}, sent = kSent, answer = kSent;
    std::optional<Instant> probed, hung;
    while (!hung && now < stopped + 60s) {
      // One in fifty takes ten times as long as 99 of a hundred: a long prompt.
      while (answer <= now && answer < stopped) {
        progress = sent = answer;
        answer = sent + (random.below(50) == 0 ? 10 * p99 : p99 / (1 + random.below(5)));
      }
      if (probed && now - *probed >= kLimits.probe) {
        probed.reset();
        if (watch.on_probe(now, false, progress, true)) hung = now;
      } else if (probed && *probed + 1ms < stopped) {
        probed.reset();
        CHECK_FALSE(watch.on_probe(now, true, progress, true));
      }
      if (!hung && watch.look(now, sent, progress, patience) == What::kProbe) probed = now;
      now = now + kLimits.tick;
    }
    CAPTURE(run);
    REQUIRE(hung);
    CHECK(*hung >= stopped);
    // A silence that has been probed before is looked at again after twice its length.
    const Duration silent_before = stopped > sent ? stopped - sent : 0ns;
    CHECK(*hung - stopped <= std::max(patience, 2 * silent_before) + kLimits.probe + 3 * kLimits.tick);
  }
}

TEST_CASE("patience: a minute for the first byte, and ten while the replica proves to be alive") {
  const PatienceLimits limits;
  struct Row {
    std::string why;
    Instant passed, deadline;
  };
  const Row rows[] = {
      {"no proof", Instant{}, kSent + 60s},
      {"a pass before it was sent proves nothing about it", kSent + -1s, kSent + 60s},
      {"one lately", kSent + 58s, kSent + 68s},
      {"one much later", kSent + 300s, kSent + 310s},
      {"there is an end to it", kSent + 599s, kSent + 600s},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    CHECK(first_byte_deadline(limits, kSent, row.passed) == row.deadline);
  }
}

}  // namespace
}  // namespace nines::gateway
