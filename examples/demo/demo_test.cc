#include <doctest/doctest.h>

#include <sqlite3.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "child.h"
#include "claims.h"
#include "config/config.h"
#include "database.h"
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

TEST_CASE("succession of a part") {
  struct Row {
    const char* name;
    std::vector<cli::PastEvent> events;
    std::optional<Duration> gap, back;
    std::optional<std::uint64_t> successor;
  };
  const auto gone = [](Duration at, std::uint32_t pid) { return event(at, EventKind::kSupervisorExited, pid, ""); };
  const auto come = [](Duration at, std::uint32_t pid) { return event(at, EventKind::kSupervisorStarted, pid, ""); };
  const std::vector<Row> rows = {
      {"nothing has happened yet", {}, {}, {}, {}},
      {"gone, and nobody came", {gone(1ms, 100)}, {}, {}, {}},
      {"gone and replaced", {gone(1ms, 100), come(9ms, 101)}, 8ms, 8600us, 101},
      {"replaced in the millisecond of the kill", {gone(0ms, 100), come(0ms, 101)}, 0ns, 0ns, 101},
      {"a gap is never longer than what was seen", {gone(0ms, 100), come(9ms, 101)}, 8600us, 8600us, 101},
      {"another one that ended", {gone(1ms, 99), come(9ms, 101)}, {}, {}, {}},
      {"a start from before", {come(0ms, 100), gone(1ms, 100)}, {}, {}, {}},
      {"the first that comes counts",
       {gone(1ms, 100), come(9ms, 101), gone(20ms, 101), come(30ms, 102)},
       8ms,
       8600us,
       101},
      {"the keeper's events say nothing of the supervisor",
       {event(1ms, EventKind::kKeeperExited, 100, ""), event(2ms, EventKind::kKeeperStarted, 101, "")},
       {},
       {},
       {}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const Succession found = succession_of(Part::kSupervisor, 100, kKilled, row.events);
    CHECK(found.gap == row.gap);
    CHECK(found.back == row.back);
    CHECK(found.successor == row.successor);
  }
  const std::vector<cli::PastEvent> keeper = {event(1ms, EventKind::kKeeperExited, 100, ""),
                                              event(2ms, EventKind::kKeeperStarted, 101, "")};
  CHECK(succession_of(Part::kKeeper, 100, kKilled, keeper).successor == 101);
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

PartKill good_part_kill(std::uint64_t supervisor, std::uint64_t keeper) {
  PartKill kill{.at = kKilled, .replicas = {101, 102}, .replicas_now = {101, 102}};
  if (supervisor != 0) kill.killed.push_back({Part::kSupervisor, supervisor, {3ms, 5ms, supervisor + 10}});
  if (keeper != 0) kill.killed.push_back({Part::kKeeper, keeper, {1ms, 6ms, keeper + 10}});
  return kill;
}

Findings good_findings() {
  Findings findings{.kills = {good_kill(), good_kill()},
                    .part_kills = {good_part_kill(0, 200), good_part_kill(201, 0), good_part_kill(211, 210)},
                    .backup = {.said = "backups/b.tar.zst: 88.8 kB, verified",
                               .archive = {.file = "b.tar.zst", .bytes = 88'800, .verified = true},
                               .before = {.count = 900, .last = 900}},
                    .replayed = 14,
                    .restarts = 2,
                    .recorded = {{100, 1}, {110, 1}, {200, 1}, {201, 1}, {210, 1}, {211, 1}}};
  findings.kills[1].mark.pid = 110;
  findings.clients.ok = 2000;
  findings.history = {.answered = 1000, .rows = 1000};
  return findings;
}

Aftermath good_aftermath() {
  return {
      .damage = {.destroyed = {.from = 100, .bytes = 200}, .integrity = "Page 7: lost", .asked = 12, .answered = 12},
      .repair = {.integrity = "ok",
                 .before = {.count = 900, .last = 900},
                 .kept = 900,
                 .asked = 12,
                 .answered = 12,
                 .added = 12}};
}

template <class What>
std::vector<std::string> broken_of(const What& what) {
  std::vector<std::string> texts;
  for (const Claim& claim : claims_of(what)) {
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
      {[](Findings& f) { f.restarts = 3; }, {"2 replicas killed, 3 restarts: nothing else ended"}},
      {[](Findings& f) { f.part_kills[1].killed[0].succession = {}; },
       {"not every keeper and supervisor that was killed was replaced"}},
      {[](Findings& f) { f.part_kills[2].killed[1].succession.back = 2001ms; },
       {"keeper, supervisor and both at once were replaced in 2,001 ms at most; without a supervisor for 3 ms at "
        "most"}},
      {[](Findings& f) { f.part_kills[0].replicas_now[1] = 103; },
       {"there are other replicas than before the supervisor or the keeper was killed"}},
      {[](Findings& f) { f.recorded[201] = 2; }, {"6 kills of all sorts, 7 such ends in the ledger: each once"}},
      {[](Findings& f) { f.recorded.erase(210); }, {"6 kills of all sorts, 5 such ends in the ledger: each once"}},
      {[](Findings& f) { f.recorded.erase(210), f.recorded[999] = 1; },
       {"6 kills of all sorts, 6 such ends in the ledger: each once"}},
      {[](Findings& f) { f.backup.archive.verified = false; }, {"the backup was not verified"}},
      {[](Findings& f) { f.backup.failed = 1; },
       {"the backup was taken while clients wrote, and read back: 88.8 kB, 1 requests failed meanwhile"}},
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
    CHECK(broken_of(findings) == row.broken);
  }
}

TEST_CASE("what breaks a claim on the restore, and which") {
  struct Row {
    void (*harm)(Aftermath&);
    std::vector<std::string> broken;
  };
  const std::vector<Row> rows = {
      {[](Aftermath&) {}, {}},
      {[](Aftermath& a) { a.damage.integrity = "ok"; },
       {"the database was destroyed: SQLite's integrity_check finds it damaged"}},
      {[](Aftermath& a) { a.repair.integrity = "Page 8: lost"; },
       {"after the restore its integrity_check says: Page 8: lost"}},
      {[](Aftermath& a) { a.repair.kept = 899; }, {"899 of the 900 rows that it had when the backup began are there"}},
      {[](Aftermath& a) { a.repair.kept = 0, a.repair.before.count = 0; },
       {"0 of the 0 rows that it had when the backup began are there"}},
      {[](Aftermath& a) { a.repair.answered = 11; },
       {"the service answers again: 11 of 12 sentences, and 12 new rows in the history"}},
      {[](Aftermath& a) { a.repair.added = 0; },
       {"the service answers again: 12 of 12 sentences, and 0 new rows in the history"}},
  };
  for (const Row& row : rows) {
    Aftermath aftermath = good_aftermath();
    row.harm(aftermath);
    CHECK(broken_of(aftermath) == row.broken);
  }
  CHECK(broken(claims_of(good_aftermath())).empty());
  CHECK(broken({{"a", true}, {"b", false}, {"c", false}}) == "\n  b\n  c");
}

TEST_CASE("a kill of nines' own in words") {
  CHECK(part_kill_text(good_part_kill(201, 0), {}) ==
        "  kill -9 201  the supervisor, which starts and restarts all the others\n"
        "     failed requests 0 · a new supervisor in 5 ms, 3 ms after the old one's end\n"
        "     replicas before 101, 102, now the same\n\n");
  PartKill lost = good_part_kill(0, 200);
  lost.killed[0].succession = {};
  lost.replicas_now = {101, 103};
  lost.failed = 2;
  CHECK(part_kill_text(lost, {}) ==
        "  kill -9 200  the keeper, which records what happens, shows the dashboard and takes the backups\n"
        "     failed requests 2 · a new keeper never\n"
        "     replicas before 101, 102, now 101, 103\n\n");
  CHECK(part_kill_text(good_part_kill(211, 210), {}).starts_with("  kill -9 211 210  both at once"));
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
  both([&](const cli::Style& s) { return part_kill_text(findings.part_kills[2], s); });
  both([&](const cli::Style& s) { return backup_text(findings.backup, s); });
  both([&](const cli::Style& s) { return damage_text(good_aftermath().damage, s); });
  both([&](const cli::Style& s) { return things_to_try({"http://127.0.0.1:8000", "http://127.0.0.1:9900", "/d"}, s); });
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
  const auto config = config::parse(config_text({.service = 8123, .dashboard = 9123}));
  REQUIRE(config);
  CHECK(config->service == "language-id");
  CHECK(config->objective == 0.999);
  CHECK(config->listen.front().text() == "127.0.0.1:8123");
  CHECK(config->replicas.count == kReplicas);
  CHECK(config->routes.front().path == "/classify");
  CHECK(config->routes.front().replay == config::Replay::kSafe);
  REQUIRE(config->dashboard);
  CHECK(config->dashboard->at->text() == "127.0.0.1:9123");
  CHECK(config->data.sqlite == std::vector<std::string>{"data/ai_api.db"});
  CHECK(config->backups.front().keep.within == 7 * 24h);
}

TEST_CASE("archives") {
  const auto archives = parse_archives(R"({"archives":[{"archive":"b","bytes":12,"verified":true,"more":1}]})");
  REQUIRE(archives);
  REQUIRE(archives->size() == 1);
  CHECK(archives->front().file == "b");
  CHECK(archives->front().bytes == 12);
  CHECK(archives->front().verified);
  CHECK(parse_archives(R"({"archives":[]})")->empty());
  for (const char* bad : {"", "{}", R"({"archives":1})", R"({"archives":[{"archive":"b","bytes":12}]})",
                          R"({"archives":[{"archive":"b","bytes":-1,"verified":true}]})"}) {
    CAPTURE(bad);
    CHECK(parse_archives(bad).error().code() == Code::kProtocol);
  }
}

TEST_CASE("a database is looked at and destroyed") {
  const std::string file = std::filesystem::temp_directory_path() / ("demo-test-" + std::to_string(::getpid()) + ".db");
  sqlite3* made = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &made) == SQLITE_OK);
  REQUIRE(sqlite3_exec(made,
                       "PRAGMA journal_mode = WAL; CREATE TABLE classifications (request_id TEXT PRIMARY KEY);"
                       "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
                       "INSERT INTO classifications SELECT 'request ' || i FROM n",
                       nullptr, nullptr, nullptr) == SQLITE_OK);
  const auto rows = rows_of(file);
  REQUIRE(rows);
  CHECK(rows->count == 5000);
  CHECK(rows->last == 5000);
  CHECK(rows_until(file, 1200) == 1200);
  CHECK(integrity_of(file) == "ok");
  // All of it is in the write-ahead log still, which must not save it.
  const auto destroyed = destroy_middle(file);
  REQUIRE(destroyed);
  CHECK(destroyed->bytes == std::filesystem::file_size(file) / 2);
  CHECK(integrity_of(file) != "ok");
  sqlite3_close(made);
  for (const char* ending : {"", "-wal", "-shm"}) std::filesystem::remove(file + ending);
  CHECK_FALSE(rows_of(file));
  CHECK(integrity_of(file) != "ok");
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
