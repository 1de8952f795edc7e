#include <doctest/doctest.h>

#include <set>

#include "child.h"
#include "config/config.h"
#include "recovery.h"
#include "report.h"
#include "sentences.h"
#include "service.h"

namespace nines::demo {
namespace {

using plane::EventKind;

constexpr WallTime kKilled{1'000'000'400us};  // between two milliseconds, as it will be

cli::PastEvent event(Duration at, EventKind kind, std::uint32_t pid, std::string replica = "r-2") {
  cli::PastEvent past{.at = WallTime{1'000'000ms} + at, .kind = std::string(plane::name_of(kind)), .replica = replica};
  past.event.kind = kind;
  past.event.pid = pid;
  return past;
}

const Mark kMark{.replica = "r-2", .pid = 100, .at = kKilled};

TEST_CASE("recovery") {
  struct Row {
    const char* name;
    std::vector<cli::PastEvent> events;
    std::optional<Duration> noticed, ready;
    std::optional<std::uint64_t> successor;
  };
  const std::vector<Row> rows = {
      {"nothing has happened yet", {}, {}, {}, {}},
      {"killed, started and ready",
       {event(3ms, EventKind::kExited, 100), event(8ms, EventKind::kSpawned, 101), event(50ms, EventKind::kReady, 101)},
       2600us,
       49600us,
       101},
      {"an event in the millisecond of the kill is not before it", {event(0ms, EventKind::kExited, 100)}, 0ns, {}, {}},
      {"it exits as somebody else: no notice of this kill", {event(3ms, EventKind::kExited, 99)}, {}, {}, {}},
      {"another replica's events",
       {event(3ms, EventKind::kExited, 100, "r-1"), event(8ms, EventKind::kReady, 101, "r-1")},
       {},
       {},
       {}},
      {"ready from before the kill",
       {event(0ms, EventKind::kReady, 100), event(3ms, EventKind::kExited, 100)},
       2600us,
       {},
       {}},
      {"the first successor dies, the second gets ready",
       {event(3ms, EventKind::kExited, 100), event(8ms, EventKind::kSpawned, 101), event(9ms, EventKind::kExited, 101),
        event(109ms, EventKind::kSpawned, 102), event(150ms, EventKind::kReady, 102)},
       2600us,
       149600us,
       102},
      {"restarted once more afterwards: the first return counts",
       {event(3ms, EventKind::kExited, 100), event(8ms, EventKind::kSpawned, 101), event(50ms, EventKind::kReady, 101),
        event(70ms, EventKind::kSpawned, 102), event(90ms, EventKind::kReady, 102)},
       2600us,
       49600us,
       101},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const Recovery found = recovery_of(kMark, row.events);
    CHECK(found.noticed == row.noticed);
    CHECK(found.ready == row.ready);
    CHECK(found.successor == row.successor);
  }
}

TEST_CASE("milliseconds claim no more than was measured") {
  CHECK(milliseconds(0ns) == "under 1 ms");
  CHECK(milliseconds(999us) == "under 1 ms");
  CHECK(milliseconds(1ms) == "1 ms");
  CHECK(milliseconds(1999us) == "1 ms");
  CHECK(milliseconds(12'345ms) == "12,345 ms");
}

Kill good_kill() {
  return {.mark = kMark,
          .in_flight = 7,
          .events = {event(3ms, EventKind::kExited, 100), event(50ms, EventKind::kReady, 101)},
          .recovery = {.noticed = 2600us, .successor = 101, .ready = 49600us},
          .answered = 70ms};
}

Findings good_findings() {
  Findings findings{.kills = {good_kill(), good_kill()}, .replayed = 14, .restarts = 2};
  findings.clients.ok = 2000;
  findings.history = {.answered = 1000, .rows = 1000};
  return findings;
}

std::vector<std::string> broken(const Findings& findings) {
  std::vector<std::string> texts;
  for (const Claim& claim : claims_of(findings)) {
    if (!claim.holds) texts.push_back(claim.text);
  }
  return texts;
}

TEST_CASE("what breaks a claim, and which") {
  struct Row {
    void (*harm)(Findings&);
    std::vector<std::string> broken;
  };
  const std::vector<Row> rows = {
      {[](Findings&) {}, {}},
      {[](Findings& f) { f.clients.failed = 1; }, {"1 of 2,001 requests failed"}},
      {[](Findings& f) { f.clients.ok = 0; }, {"0 of 0 requests failed"}},
      {[](Findings& f) { f.kills[1].in_flight = 0; }, {"each kill hit a replica with requests in flight: at least 0"}},
      {[](Findings& f) { f.kills[1].recovery.noticed.reset(); }, {"not every kill was noticed"}},
      {[](Findings& f) { f.kills[0].recovery.noticed = 1001ms; }, {"every kill was noticed, the slowest in 1,001 ms"}},
      {[](Findings& f) { f.kills[0].answered.reset(); }, {"not every killed replica came back and answered clients"}},
      {[](Findings& f) { f.kills[0].recovery.ready.reset(); },
       {"not every killed replica came back and answered clients"}},
      {[](Findings& f) { f.kills[1].answered = 10'001ms; },
       {"every killed replica came back by itself and answered clients, the slowest in 10,001 ms"}},
      {[](Findings& f) { f.restarts = 3; }, {"2 kills, 3 restarts: nothing else ended"}},
      {[](Findings& f) { f.history.rows = 1001; },
       {"1,001 of 1,000 answered classifications are in the server's SQLite file: a replayed one is there twice"}},
      {[](Findings& f) { f.history.rows = 999, f.history.unwritten = 1; },
       {"999 of 1,000 answered classifications are in the server's SQLite file, and 1 are waiting or were dropped"}},
      {[](Findings& f) { f.clients.failed = 2, f.history.rows = 1002; }, {"2 of 2,002 requests failed"}},
      // What a killed process had not yet written is no fault of ours; it is said.
      {[](Findings& f) { f.history.rows = 999; }, {}},
  };
  for (const Row& row : rows) {
    Findings findings = good_findings();
    row.harm(findings);
    CHECK(broken(findings) == row.broken);
  }
}

TEST_CASE("a kill in words") {
  CHECK(kill_text(good_kill(), {}) ==
        "  kill -9 100  r-2, with 7 requests in flight on it\n"
        "        2 ms  r-2 stopped\n"
        "       49 ms  r-2 ready, pid 101\n"
        "       70 ms  a client has an answer from the new process\n"
        "     failed requests 0 · noticed in 2 ms · ready in 49 ms · answering in 70 ms\n\n");
  const std::string lost = kill_text({.mark = kMark, .in_flight = 1, .failed = 3}, {});
  CHECK(lost ==
        "  kill -9 100  r-2, with 1 request in flight on it\n"
        "     failed requests 3 · noticed never · ready never · answering never\n\n");
}

TEST_CASE("without colour the words are the same") {
  const auto plain = [](std::string text) {
    for (std::size_t at = 0; (at = text.find('\x1b')) != std::string::npos;)
      text.erase(at, text.find('m', at) - at + 1);
    return text;
  };
  const Findings findings = good_findings();
  const auto both = [&](auto text_of) {
    const std::string coloured = text_of(cli::Style{.colour = true});
    CHECK(coloured != text_of(cli::Style{}));
    CHECK(plain(coloured) == text_of(cli::Style{}));
  };
  both([&](const cli::Style& s) { return kill_text(findings.kills[0], s); });
  both([&](const cli::Style& s) { return figures_text(findings, s); });
  both([&](const cli::Style& s) { return claims_text(claims_of(findings), s); });
  both([&](const cli::Style& s) { return things_to_try("http://127.0.0.1:8000", "/demo", s); });
  both([&](const cli::Style& s) { return samples_text({}, s); });
}

TEST_CASE("failures are shown, five at most, and command no terminal") {
  Findings findings = good_findings();
  load::Failure failure{.after = 1500ms,
                        .kind = load::Kind::kStatus,
                        .status = 502,
                        .method = "POST",
                        .path = "/classify",
                        .detail = "status 502",
                        .body = "\x1b[2J"};
  findings.clients.failed = 9;
  findings.clients.failures.assign(9, failure);
  const std::string text = figures_text(findings, {});
  const std::string line = "  failed after 1.5 s: POST /classify: status 502 \\x1b[2J\n";
  std::size_t shown = 0;
  for (std::size_t at = 0; (at = text.find(line, at)) != std::string::npos; at += line.size()) ++shown;
  CHECK(shown == 5);
}

TEST_CASE("a wrong answer is marked with what was expected") {
  const Sample wrong{sentences()[1], {.label = "nl", .confidence = 0.5}, "4711"};
  CHECK_FALSE(wrong.right());
  CHECK(samples_text(std::vector{wrong}, {}).find("Dutch") != std::string::npos);
  CHECK(samples_text(std::vector{wrong}, {}).find("✗ it is German") != std::string::npos);
}

TEST_CASE("sentences: each language once, one of them in another script") {
  std::set<std::string_view> labels;
  bool cyrillic = false;
  for (const Sentence& sentence : sentences()) {
    labels.insert(sentence.label);
    CHECK(language_of(sentence.label) == sentence.language);
    cyrillic = cyrillic || sentence.text.starts_with("З");
  }
  CHECK(labels.size() == sentences().size());
  CHECK(labels.size() >= 8);
  CHECK(cyrillic);
  CHECK(language_of("xx") == "xx");
}

TEST_CASE("verdicts") {
  const auto verdict = parse_verdict(R"({"label":"de","confidence":1,"model":"m","request_id":"1"})");
  REQUIRE(verdict);
  CHECK(verdict->label == "de");
  CHECK(verdict->confidence == 1.0);
  for (const char* bad : {"", "[]", "{}", R"({"label":"de"})", R"({"label":1,"confidence":1})",
                          R"({"label":"de","confidence":"1"})", R"({"label":"de","confidence":1)"}) {
    CAPTURE(bad);
    CHECK(parse_verdict(bad).error().code() == Code::kProtocol);
  }
  CHECK(classify_body("a \"b\"") == R"({"text":"a \"b\""})");
}

TEST_CASE("the configuration is one that nines takes") {
  const auto config = config::parse(config_text(8123));
  REQUIRE(config);
  CHECK(config->service == "language-id");
  CHECK(config->objective == 0.999);
  CHECK(config->listen.front().text() == "127.0.0.1:8123");
  CHECK(config->replicas.count == kReplicas);
  CHECK(config->routes.front().path == "/classify");
  CHECK(config->routes.front().replay == config::Replay::kSafe);
}

TEST_CASE("a child: what it says, how it ends, and its end on demand") {
  net::EpollLoop loop;
  const auto run = [&](const std::string& script, bool end) {
    auto child = Child::start(loop, {"/bin/sh", "-c", script}, "/");
    REQUIRE(child);
    if (end) (*child)->ask_to_end();
    auto ended = loop.run((*child)->ended());
    REQUIRE(ended);
    return std::pair(ended->status, ended->output);
  };
  CHECK(run("pwd; echo two >&2; exit 3", false) == std::pair(3, std::string("/\ntwo\n")));
  CHECK(run("exec sleep 60", true).first == 128 + SIGTERM);
  CHECK(Child::start(loop, {"/nobody/has/this"}, "/").error().code() == Code::kNotFound);
}

}  // namespace
}  // namespace nines::demo
