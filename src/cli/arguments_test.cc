#include "cli/arguments.h"

#include <doctest/doctest.h>

#include <sstream>

namespace nines::cli {
namespace {

std::vector<std::string> words(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> result;
  for (std::string word; in >> word;) result.push_back(word);
  return result;
}

Invocation good(const std::string& line) {
  CAPTURE(line);
  auto parsed = parse_arguments(words(line));
  if (!parsed) FAIL(parsed.error().text);
  return std::move(*parsed);
}

template <class T>
T command(const std::string& line) {
  return std::get<T>(good(line).command);
}

TEST_CASE("arguments: what is said of an incident") {
  using Action = IncidentOptions::Action;
  CHECK(command<IncidentOptions>("incident").action == Action::kList);
  CHECK(command<IncidentOptions>("incident show 42").id == 42);
  CHECK(command<IncidentOptions>("incident ack 42").action == Action::kAcknowledge);
  CHECK(command<IncidentOptions>("incident note 42 switch").text == "switch");
  const auto merge = command<IncidentOptions>("incident merge 42 45 --reason same");
  CHECK(merge.action == Action::kMerge);
  CHECK(merge.other == 45);
  CHECK(merge.text == "same");
  const auto correct = command<IncidentOptions>("incident correct 42 --as up --reason probe");
  CHECK(correct.as == availability::State::kUp);
  CHECK(correct.id == 42);
  const auto by_time = command<IncidentOptions>("incident correct --from 2h --to 1h --as unknown --reason probe");
  CHECK_FALSE(by_time.id);
  CHECK(by_time.period.from.has_value());
  CHECK(command<IncidentOptions>("incident list --timezone Asia/Tokyo").period.timezone == "Asia/Tokyo");
  CHECK(command<SlaOptions>("sla --check --json").check);
  CHECK(command<SlaOptions>("sla --format json").json);
  struct Row {
    const char* line;
    const char* said;
  };
  const Row rows[] = {
      {"incident close 42", "`nines incident` does not take `close`; it is list, show, ack, note, merge or correct"},
      {"incident ack", "name the incident: nines incident ack ID"},
      {"incident ack x", "name the incident: nines incident ack ID"},
      {"incident ack 42 45", "`nines incident ack` does not take `45`"},
      {"incident note 42", "say it: nines incident note ID"},
      {"incident note 42 two words", "`nines incident note` does not take `words`; put the note into quotes"},
      {"incident merge 42 --reason x", "name both: nines incident merge ID OTHER"},
      {"incident merge 42 45", "say why: --reason TEXT"},
      {"incident correct 42 --as up", "say why: --reason TEXT"},
      {"incident correct 42 --reason x", "say what it really was: --as up"},
      {"incident correct 42 --as maintenance --reason x", "say what it really was: --as up"},
      {"incident correct 42 --from 1h --as up --reason x", "name the incident, or --from and --to"},
      {"incident show 42 --as up", "--as is for correct"},
      {"incident ack 42 --reason x", "--reason is for merge and correct"},
      {"sla --format pdf", "--format: `pdf` is none of text, json, csv, html, md"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.line);
    const auto parsed = parse_arguments(words(row.line));
    REQUIRE_FALSE(parsed);
    CAPTURE(parsed.error().text);
    CHECK(parsed.error().exit_status == kWrong);
    CHECK(parsed.error().text.contains(row.said));
  }
  const std::vector<std::string> longest = {"incident", "note", "42", std::string(70, 'x')};
  CHECK(parse_arguments(longest).has_value());
  const std::vector<std::string> longer = {"incident", "note", "42", std::string(71, 'x')};
  CHECK_FALSE(parse_arguments(longer).has_value());
}

TEST_CASE("arguments: what is understood") {
  CHECK(command<CheckOptions>("check --json").json);
  CHECK(!command<UpOptions>("up").detach);
  CHECK(command<UpOptions>("up --detach").detach);
  CHECK(command<DownOptions>("down").timeout == 120s);
  CHECK(command<DownOptions>("down --timeout 1.5s").timeout == 1500ms);
  CHECK(command<StatusOptions>("status --watch").watch);
  CHECK(command<PsOptions>("ps --json").json);
  const auto logs = command<LogsOptions>("logs -f --lines 7 a-1 status");
  CHECK(logs.follow);
  CHECK(logs.lines == 7);
  CHECK(logs.replicas == std::vector<std::string>{"a-1", "status"});
  CHECK(command<LogsOptions>("logs a-1 --follow").lines == 50);
  CHECK(!command<LogsOptions>("logs a-1").since);
  const auto since =
      command<LogsOptions>("logs a-1 --since 10m --replica a-2 --until 5m --replica a-3 a-4 --timestamps");
  CHECK(since.since.value().resolve(WallTime(1h)) == WallTime(50min));
  CHECK(since.until.value().resolve(WallTime(1h)) == WallTime(55min));
  CHECK(since.replicas == std::vector<std::string>{"a-1", "a-4", "a-2", "a-3"});
  CHECK(!since.lines);  // all of them
  CHECK(since.timestamps);
  CHECK(command<LogsOptions>("logs --since 10m --lines 5").lines == 5);
  CHECK(!command<CheckLedgerOptions>("check-ledger").json);
  CHECK(command<CheckLedgerOptions>("check-ledger --json --state s").json);
  CHECK(command<ExportOptions>("export systemd --json").json);
  CHECK(!command<ExportOptions>("export systemd").user);
  CHECK(command<ExportOptions>("export systemd --user ai").user == "ai");
  CHECK(command<ReplicaOptions>("restart a-1").action == "restart");
  CHECK(command<ReplicaOptions>("stop a-1").replica == "a-1");
  CHECK(command<ReplicaOptions>("drain a-1").action == "drain");
  CHECK(command<ReplicaOptions>("weight a-1 0").percent == 0);
  CHECK(command<ReplicaOptions>("weight a-1 1000").percent == 1000);
  CHECK(command<ReplicaOptions>("weight a-1 default").percent == std::nullopt);
}

TEST_CASE("arguments: global options stand before or after the command") {
  for (const char* line :
       {"-c a.yaml --state s status", "status -c a.yaml --state s", "--config=a.yaml status --state=s"}) {
    const Invocation invocation = good(line);
    CHECK(invocation.global.config == "a.yaml");
    CHECK(invocation.global.config_given);
    CHECK(invocation.global.state == "s");
  }
  CHECK(good("status").global.config == "nines.yaml");
  CHECK(!good("status").global.config_given);
}

TEST_CASE("arguments: run takes everything after -- as it stands") {
  const auto run =
      command<RunOptions>("run --replicas 3 --listen :80 --health /h --name x -- srv --port {port} -- --json -h");
  CHECK(run.replicas == 3);
  CHECK(run.listen == ":80");
  CHECK(run.health == "/h");
  CHECK(run.name == "x");
  CHECK(run.command == words("srv --port {port} -- --json -h"));
  CHECK(!command<RunOptions>("run -- srv").health);
}

TEST_CASE("arguments: what is not understood says what to do") {
  struct Row {
    const char* line;
    const char* said;
  };
  const Row rows[] = {
      {"statsu", "nines: there is no command `statsu`; did you mean `nines status`?"},
      {"bakcup", "nines: there is no command `bakcup`; did you mean `nines backup`?"},
      {"backup nwo", "nines: `nines backup` does not take `nwo`; did you mean `nines backup now`?"},
      {"backup audit", "nines: `nines backup audit` does not exist in this version yet"},
      {"backup now x", "nines: `nines backup now` does not take `x`; name a folder with --to DIR"},
      {"backup verify x --to y", "nines: name an archive or --to DIR, not both"},
      {"restore x", "nines: `nines restore` does not take `x`; name the archive with --from FILE"},
      {"export", "nines: say what for: nines export systemd"},
      {"export upstart", "nines: `nines export` does not know `upstart`; it knows systemd"},
      {"frobnicate", "nines: there is no command `frobnicate`; `nines --help` lists them"},
      {"check-leger", "nines: there is no command `check-leger`; did you mean `nines check-ledger`?"},
      {"check-ledger ledger.db",
       "nines: `nines check-ledger` does not take `ledger.db`; see `nines check-ledger --help`"},
      {"drill run", "nines: `nines drill` does not exist in this version yet"},
      {"weight a-1",
       "nines: say how much it gets, in percent of a plain one: nines weight a-1 PERCENT, from 0 to 1000, or "
       "`default`"},
      {"weight a-1 1001",
       "nines: say how much it gets, in percent of a plain one: nines weight a-1 PERCENT, from 0 to 1000, or "
       "`default`"},
      {"weight a-1 x1",
       "nines: say how much it gets, in percent of a plain one: nines weight a-1 PERCENT, from 0 to 1000, or "
       "`default`"},
      {"weight a-1 5 6", "nines: `nines weight` does not take `6`; see `nines weight --help`"},
      {"--state s drain", "nines: name the replica: nines drain REPLICA; `nines ps` lists them"},
      {"--state s drill", "nines: `nines drill` does not exist in this version yet"},
      {"rollback x", "nines: `x` is no release; `nines deploy --history` lists them"},
      {"rollback 0", "nines: `0` is no release; `nines deploy --history` lists them"},
      {"status --jsn", "nines: `nines status` does not take `--jsn`; did you mean `--json`?"},
      {"up --frobnicate", "nines: `nines up` does not take `--frobnicate`; see `nines up --help`"},
      {"status down", "nines: `nines status` does not take `down`; see `nines status --help`"},
      {"stop",
       "nines: name the replica: nines stop REPLICA; `nines ps` lists them, `nines down` ends the whole service"},
      {"start", "nines: name the replica: nines start REPLICA; `nines ps` lists them"},
      {"run", "nines: `nines run` needs a command after --, such as: nines run -- my-server --port {port}"},
      {"run --", "nines: `nines run` needs a command after --, such as: nines run -- my-server --port {port}"},
      {"run srv {port}", "nines: `nines run` does not take `srv`; put -- before the command: nines run -- srv"},
      {"logs --lines 100001", "nines: --lines: at most 100000; --since has no such bound"},
      {"logs --since 10", "nines: --since: \"10\" has no unit; add one, such as \"10s\""},
      {"logs --until soon",
       "nines: --until: \"soon\" is no moment; write how long ago (10m, 2h), a time of day (22:30), or a date and time "
       "(2026-11-23 22:30, 2026-11-23T22:30:00Z)"},
      {"logs -f --until 10m", "nines: --follow goes on, --until ends: leave out one of them"},
      {"--jsno", "nines: there is no command in `nines --jsno`; `nines --help` lists them"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.line);
    const auto parsed = parse_arguments(words(row.line));
    REQUIRE(!parsed);
    CHECK(parsed.error().text == row.said);
    CHECK(parsed.error().exit_status == kWrong);
  }
}

TEST_CASE("arguments: the gateway alone") {
  const auto threads = [](const char* line) {
    const auto parsed = parse_arguments(words(line));
    REQUIRE(parsed);
    return std::get<GatewayOptions>(parsed->command).threads;
  };
  CHECK(threads("gateway") == std::nullopt);
  CHECK(threads("-c x.yaml gateway --threads 64") == 64);
}

TEST_CASE("arguments: backup and restore") {
  const auto backup = [](const char* line) {
    const auto parsed = parse_arguments(words(line));
    REQUIRE(parsed);
    return std::get<BackupOptions>(parsed->command);
  };
  CHECK(backup("backup").action == "list");
  CHECK(backup("backup now --to /mnt/b").to == "/mnt/b");
  CHECK(backup("backup verify x.tar.zst --json").archive == "x.tar.zst");
  CHECK(backup("backup list --json").json);
  const auto parsed = parse_arguments(words("-c a.yaml restore --from x --yes --files"));
  REQUIRE(parsed);
  CHECK(parsed->global.config == "a.yaml");
  const auto& restore = std::get<RestoreOptions>(parsed->command);
  CHECK(restore.from == "x");
  CHECK(restore.yes);
  CHECK(restore.files);
  CHECK(!restore.json);
}

TEST_CASE("arguments: values that cannot be read name their option") {
  for (const char* line : {"gateway --threads 0", "gateway --threads 65", "gateway --threads x",
                           "run --replicas many -- x", "logs --lines -3", "down --timeout 5", "status -c"}) {
    CAPTURE(line);
    const auto parsed = parse_arguments(words(line));
    REQUIRE(!parsed);
    CHECK(parsed.error().exit_status == kWrong);
    CHECK(parsed.error().text.contains(line[0] == 's' ? "FILE" : "--"));
  }
}

TEST_CASE("arguments: help and version") {
  struct Row {
    const char* line;
    int exit_status;
    const char* contains;
  };
  const Row rows[] = {
      {"", kWrong, "Examples:"},           {"-h", kDone, "Examples:"},          {"help", kDone, "restart"},
      {"--version", kDone, "nines 0."},    {"status --help", kDone, "--watch"}, {"help logs", kDone, "--follow"},
      {"run --help", kDone, "--replicas"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.line);
    const auto parsed = parse_arguments(words(row.line));
    REQUIRE(!parsed);
    CHECK(parsed.error().exit_status == row.exit_status);
    CHECK(parsed.error().text.contains(row.contains));
  }
}

}  // namespace
}  // namespace nines::cli
