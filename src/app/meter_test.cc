#include "app/meter.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>

namespace nines::app {
namespace {

using plane::EventKind;

constexpr std::int64_t kBegin = 1'800'000'000;  // a multiple of ten

// Plays seconds one after another: each is one letter.
//   .  answered well       x  all failed          d  a tenth failed
//   p  no request, the probe is good   q  no request, the probe failed   ?  neither
//   M  as . in maintenance             X  as x in maintenance
//   g  a client gave up, and nobody else was answered; G: the same, and the probe is good
struct Play {
  explicit Play(plane::Metered memory = {}) : meter(memory) {
    if (memory.slice_s == 0) look({});
  }

  void look(std::optional<bool> probe, bool maintenance = false) {
    const auto found = meter.look({.at = Instant{std::chrono::seconds(boot_s)},
                                   .wall = WallTime(std::chrono::seconds(wall_s) + std::chrono::milliseconds(wall_ms)),
                                   .outcomes = outcomes(),
                                   .given_up = given_up,
                                   .probe = probe,
                                   .probes_good = probe == true ? 1U : 0U,
                                   .probes_bad = probe == false ? 1U : 0U,
                                   .maintenance = maintenance});
    closed.insert(closed.end(), found.closed.begin(), found.closed.end());
    told.insert(told.end(), found.told.begin(), found.told.end());
  }
  void pass(std::int64_t seconds) { boot_s += seconds, wall_s += seconds; }
  void second(char letter) {
    pass(1);
    if (letter == '.' || letter == 'M' || letter == 'd') good += 9;
    if (letter == 'x' || letter == 'X') bad += 2;
    if (letter == 'd') bad += 1;
    if (letter == 'g' || letter == 'G') given_up += 1;
    look(letter == 'p' || letter == 'G' ? std::optional(true)
         : letter == 'q'                ? std::optional(false)
                                        : std::nullopt,
         letter == 'M' || letter == 'X');
  }
  void seconds(const std::string& letters) {
    for (const char letter : letters) second(letter);
  }
  std::vector<std::string> events() const {
    std::vector<std::string> all;
    for (const auto& one : told)
      all.push_back(std::string(plane::name_of(one.kind)) + " " + std::to_string(one.a) + " " + std::to_string(one.b));
    return all;
  }

  std::array<std::uint64_t, plane::kOutcomes> outcomes() const { return {good, bad, 0, given_up}; }
  // Another keeper.
  void succeed() { meter = Meter(meter.memory()); }

  std::int64_t boot_s = 1000, wall_s = kBegin, wall_ms = 0;
  std::uint64_t good = 0, bad = 0, given_up = 0;
  Meter meter;
  std::vector<plane::MeasuredSlice> closed;
  std::vector<Meter::Told> told;
};

std::string text(const plane::MeasuredSlice& closed) {
  std::string all = std::to_string(closed.start_s - kBegin) + ":";
  for (const auto n : closed.seconds) all += " " + std::to_string(n);
  return all + ", " + std::to_string(closed.probes[0]) + " " + std::to_string(closed.probes[1]);
}

TEST_CASE("meter: ten seconds are a slice, by what was seen in each") {
  struct Row {
    const char* seconds;
    const char* slice;
  };
  const Row rows[] = {
      {"..........", "0: 10 0 0 0 0 0, 0 0"},
      {"xxxxxxxxxx", "0: 0 0 10 0 0 0, 0 0"},
      {"....dddxxx", "0: 4 3 3 0 0 0, 0 0"},
      {"ppppppqqqq", "0: 6 0 4 0 0 0, 6 4"},
      {"??????????", "0: 0 0 0 0 0 0, 0 0"},
      {"....MMMXXX", "0: 4 0 0 3 0 3, 0 0"},
      {".p.q.?.x.d", "0: 6 1 2 0 0 0, 1 1"},
      // Who gives up says that something may be wrong; then the probe alone does not say that all is well.
      {"pppGpppppp", "0: 3 0 0 0 0 0, 10 0"},
      {"pGpp.ppppp", "0: 7 0 0 0 0 0, 9 0"},
      {".g.g.g.g.g", "0: 5 0 0 0 0 0, 0 0"},
      {"pGqqqppppp", "0: 1 0 3 0 0 0, 7 3"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.seconds);
    Play play;
    play.seconds(row.seconds);
    CHECK(play.closed.empty());  // the last of its seconds may still be to come
    play.second('.');
    REQUIRE(play.closed.size() == 1);
    CHECK(text(play.closed[0]) == row.slice);
  }
}

TEST_CASE("meter: trouble begins with the first bad second, and ends when it has been well for ten") {
  const auto s = [](std::int64_t n) { return std::to_string(kBegin + n); };
  struct Row {
    const char* name;
    std::string seconds;
    std::vector<std::string> told;
  };
  const std::string well(10, '.');
  const Row rows[] = {
      {"none", well + well, {}},
      {"down for two seconds", "..xx" + well, {"service_down " + s(1) + " " + s(2), "service_up " + s(4) + " 4"}},
      {"nine good ones are not yet well", "..xx.........", {"service_down " + s(1) + " " + s(2)}},
      {"it comes and goes: one outage",
       "x....x....x" + well,
       {"service_down " + s(-1) + " " + s(0), "service_up " + s(11) + " 6"}},
      {"degraded only", ".d." + well, {"service_degraded " + s(0) + " " + s(1), "service_up " + s(2) + " 1"}},
      {"degraded, then down",
       ".dx" + well,
       {"service_degraded " + s(0) + " " + s(1), "service_down " + s(1) + " " + s(2), "service_up " + s(3) + " 3"}},
      {"down, then degraded: it stays one, told once",
       ".xd" + well,
       {"service_down " + s(0) + " " + s(1), "service_up " + s(3) + " 3"}},
      {"without traffic, by probes", "ppq" + well, {"service_down " + s(1) + " " + s(2), "service_up " + s(3) + " 0"}},
      {"what is unknown neither begins nor ends it",
       "??x?????????????" + well,
       {"service_down " + s(1) + " " + s(2), "service_up " + s(16) + " 2"}},
      {"nor is it well for ten seconds when some of them are unknown",
       "x.?????????.." + well,
       {"service_down " + s(-1) + " " + s(0), "service_up " + s(11) + " 2"}},
      {"in declared maintenance it is none", "..XXX" + well, {}},
      {"what began before it goes on",
       ".xXX" + well,
       {"service_down " + s(0) + " " + s(1), "service_up " + s(4) + " 6"}},
      {"another one",
       "x" + well + "x" + well,
       {"service_down " + s(-1) + " " + s(0), "service_up " + s(1) + " 2", "service_down " + s(10) + " " + s(11),
        "service_up " + s(12) + " 2"}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    Play play;
    play.seconds(row.seconds);
    CHECK(play.events() == row.told);
  }
}

TEST_CASE("meter: why it is down is told: by the requests that failed, or by the probe") {
  Play play;
  play.seconds("..x" + std::string(10, '.'));
  CHECK(play.told.at(0).text == "2 of 2 requests failed");
  play.pass(1);
  play.bad += 1, play.good += 3;
  play.look({});
  CHECK(play.told.back().text == "1 of 4 requests failed");
  play.second('x');
  CHECK(play.told.back().text == "2 of 2 requests failed, after it was degraded since 2027-01-15T08:00:13.000Z");
  Play other;
  other.second('p');
  other.pass(1);
  other.told = other.meter
                   .look({.at = Instant{std::chrono::seconds(other.boot_s)},
                          .wall = WallTime(std::chrono::seconds(other.wall_s)),
                          .probe = false,
                          .why = "GET /health was answered with 503"})
                   .told;
  REQUIRE(other.told.size() == 1);
  CHECK(other.told[0].text == "GET /health was answered with 503");
}

TEST_CASE("meter: doubt ends with an answer, or when nobody has given up for a minute") {
  Play play;
  play.seconds("pG" + std::string(70, 'p'));
  CHECK(play.events().empty());
  std::uint32_t up = play.meter.memory().seconds[0];
  for (const auto& slice : play.closed) up += slice.seconds[0];
  CHECK(up == 1 + 70 - (Meter::kDoubt - 1));
}

TEST_CASE("meter: an onset lies between what last proved that it worked and the first bad second") {
  Play play;
  const auto s = [](std::int64_t n) { return std::to_string(kBegin + n); };
  play.seconds("p");
  for (int i = 0; i < 4; ++i) {  // between two probes the last one's answer goes on being known
    play.pass(1);
    play.look(true);
    if (i == 0) play.told.clear();
  }
  play.meter.memory().good_s = kBegin;  // as it is where a probe comes every five seconds
  play.seconds("q");
  CHECK(play.events() == std::vector<std::string>{"service_down " + s(0) + " " + s(5)});
}

TEST_CASE("meter: a keeper dies, and the next one goes on") {
  Play play;
  play.seconds("....x");
  play.succeed();
  SUBCASE("at once") {
    play.seconds("....." + std::string(6, '.'));
    REQUIRE(play.closed.size() == 1);
    CHECK(text(play.closed[0]) == "0: 9 0 1 0 0 0, 0 0");
    CHECK(play.events().back() == "service_up " + std::to_string(kBegin + 5) + " 2");
    CHECK(play.meter.memory().slices == 1);
    CHECK(play.meter.memory().told == 2);
  }
  SUBCASE("after two seconds: they are judged by what was counted") {
    play.pass(1);
    play.second('.');
    play.seconds("....");
    REQUIRE(play.closed.size() == 1);
    CHECK(text(play.closed[0]) == "0: 9 0 1 0 0 0, 0 0");
    CHECK(play.events().size() == 1);
  }
  SUBCASE("after four: nobody watched, and one look says nothing of them") {
    play.pass(3);
    play.second('.');
    play.seconds("..");
    REQUIRE(play.closed.size() == 1);
    CHECK(text(play.closed[0]) == "0: 5 0 1 0 0 0, 0 0");
    CHECK(play.events().back() == "not_measured 4 0");
  }
  SUBCASE("after a day") {
    play.pass(86'400);
    play.second('.');
    play.second('.');
    REQUIRE(play.closed.size() == 1);
    CHECK(text(play.closed[0]) == "0: 4 0 1 0 0 0, 0 0");
    CHECK(play.events().back() == "not_measured 86401 0");
    CHECK(play.meter.memory().slice_s == kBegin + 86'400);
  }
}

TEST_CASE("meter: nothing ran before it") {
  Meter meter{plane::Metered{}};
  meter.begin_after(kBegin - 100, kBegin,
                    {{EventKind::kHostDown, 0, 0, "power", {}}, {EventKind::kServiceDown, 1, 2, "", {}}});
  meter.begin_in_trouble(kBegin - 100, true);
  const auto found = meter.look({.at = Instant{1000s}, .wall = WallTime(std::chrono::seconds(kBegin)), .probe = {}});
  CHECK(found.told.size() == 2);
  CHECK(meter.memory().told == 2);
  CHECK(meter.memory().gone_from_s == kBegin - 100);
  CHECK(meter.memory().gone_to_s == kBegin);
  CHECK(
      meter.look({.at = Instant{1001s}, .wall = WallTime(std::chrono::seconds(kBegin + 1)), .probe = {}}).told.empty());
}

TEST_CASE("meter: it was down before it began") {
  Meter meter{plane::Metered{}};
  meter.begin_in_trouble(kBegin - 100, true);
  Play play(meter.memory());
  play.look({});
  play.seconds("??xx" + std::string(10, '.'));
  CHECK(play.events() == std::vector<std::string>{"service_up " + std::to_string(kBegin + 4) + " 4"});
  CHECK(play.told.back().text == "down for 102 s since 2027-01-15T07:58:20.000Z");
}

TEST_CASE("meter: a keeper that leaves closes what it has, and its successor adds to it") {
  Play play;
  play.seconds("...xx");
  play.bad += 3;  // since the last look
  const auto part = play.meter.close(play.outcomes());
  REQUIRE(part.closed.size() == 1);
  CHECK(text(part.closed[0]) == "0: 3 0 2 0 0 0, 0 0");
  CHECK(part.closed[0].until_s == kBegin + 5);
  CHECK(part.closed[0].outcomes[0] == 27);
  CHECK(part.closed[0].outcomes[1] == 7);
  CHECK(text(play.meter.close(play.outcomes()).closed.at(0)) == "0: 0 0 0 0 0 0, 0 0");
  play.look({});  // a successor's first look, within the same second
  play.seconds(".");
  CHECK(play.meter.memory().failed == 4 + 3);  // what failed in between is judged with the second it was in
  CHECK(play.meter.memory().seconds[1] == 1);
  play.seconds(".....");
  REQUIRE(play.closed.size() == 1);
  CHECK(text(play.closed[0]) == "0: 4 1 0 0 0 0, 0 0");
  CHECK(play.closed[0].until_s == kBegin + 10);
  CHECK(play.closed[0].outcomes[0] == 27 + 5 * 9);  // what the look that closes it brings belongs to the next one
  CHECK(Meter(plane::Metered{}).close(play.outcomes()).closed.empty());
}

TEST_CASE("meter: the wall clock is set") {
  Play play;
  play.seconds("...");
  SUBCASE("forward: what was skipped is unknown") {
    play.wall_s += 3600;
    play.seconds("....");
    CHECK(play.events() == std::vector<std::string>{"clock_stepped 3600000000000 0"});
    REQUIRE(play.closed.size() == 1);
    CHECK(text(play.closed[0]) == "0: 3 0 0 0 0 0, 0 0");
    CHECK(play.meter.memory().slice_s == kBegin + 3600);
    CHECK(play.meter.memory().seconds[0] == 4);
  }
  SUBCASE("back: nothing is recorded twice, and it is told once") {
    play.wall_s -= 20;
    play.seconds(std::string(20, '.'));
    CHECK(play.events() == std::vector<std::string>{"clock_stepped -20000000000 0"});
    CHECK(play.closed.empty());
    CHECK(play.meter.memory().seconds[0] == 3);
    play.seconds("....");
    CHECK(play.meter.memory().seconds[0] == 7);
  }
  SUBCASE("back by days: it goes on by the clock as it is now, and so does an outage") {
    play.seconds("xx");
    play.wall_s -= 3 * 86'400;
    play.seconds("xx" + std::string(12, '.'));
    REQUIRE(play.closed.size() == 2);
    CHECK(text(play.closed[0]) == "0: 3 0 2 0 0 0, 0 0");
    CHECK(play.closed[1].start_s == kBegin - 3 * 86'400);
    CHECK(play.closed[1].seconds[0] + play.closed[1].seconds[2] == 4);
    CHECK(play.told.back().text == "down for 3 s since 2027-01-12T08:00:04.000Z");
  }
  SUBCASE("by a second: told") {
    play.wall_s += 1;
    play.seconds("...");
    CHECK(play.events() == std::vector<std::string>{"clock_stepped 1000000000 0"});
    CHECK(play.meter.memory().seconds[0] == 6);
  }
  SUBCASE("by less: nothing") {
    play.wall_ms += 999;
    play.seconds("...");
    CHECK(play.events().empty());
    CHECK(play.meter.memory().seconds[0] == 6);
  }
}

TEST_CASE("meter: whatever happens, no second is recorded twice and none that was watched is lost") {
  const auto seed = static_cast<std::uint32_t>(std::random_device()());
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 300; ++round) {
    Play play;
    std::int64_t watched = 0;
    for (int step = 0; step < 200; ++step) {
      const auto what = random() % 20;
      if (what == 0) {  // another keeper
        play.succeed();
      } else if (what == 1) {
        play.pass(static_cast<std::int64_t>(random() % 40));
      } else if (what == 2) {
        for (const auto& part : play.meter.close(play.outcomes()).closed) play.closed.push_back(part);
      } else {
        play.second(".xdpq?MXG"[random() % 9]);
        ++watched;
      }
    }
    for (const auto& part : play.meter.close(play.outcomes()).closed) play.closed.push_back(part);
    std::map<std::int64_t, std::uint32_t> known;
    for (const auto& slice : play.closed) {
      REQUIRE(slice.start_s % Meter::kSlice == 0);
      known[slice.start_s] += std::accumulate(std::begin(slice.seconds), std::end(slice.seconds), 0U);
    }
    std::int64_t total = 0;
    for (const auto& [start, seconds] : known) {
      REQUIRE(seconds <= Meter::kSlice);
      total += seconds;
    }
    REQUIRE(play.meter.memory().slices == play.closed.size());
    REQUIRE(play.meter.memory().told == play.told.size());
    REQUIRE(play.closed.back().outcomes[0] == play.good);
    REQUIRE(play.closed.back().outcomes[1] == play.bad);
    REQUIRE(total <= play.wall_s - kBegin);
    REQUIRE(total >= watched / 2);  // two ninths of them said nothing, and what follows one of those may not either
  }
}

}  // namespace
}  // namespace nines::app
