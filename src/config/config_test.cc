#include "config/config.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <span>
#include <string>
#include <vector>

namespace nines::config {
namespace {

// The smallest file that is right; rows add to it.
const std::string kRun = "replicas: {command: [serve, --port, \"{port}\"]}\n";

std::string replicas(const std::string& keys) { return "replicas:\n  command: \"serve {port}\"\n  " + keys + "\n"; }

Config good(const std::string& yaml) {
  const Parsed parsed = parse(yaml);
  if (!parsed) FAIL(format(parsed.error().front(), "nines.yaml"));
  return *parsed;
}

// "LINE:COLUMN WHAT; FIX" of each problem.
std::vector<std::string> bad(const std::string& yaml) {
  const Parsed parsed = parse(yaml);
  std::vector<std::string> said;
  if (parsed) return said;
  for (const Problem& p : parsed.error()) {
    said.push_back(std::to_string(p.at.line) + ":" + std::to_string(p.at.column) + " " + p.complaint.text());
  }
  return said;
}

TEST_CASE("config: the example of the reference is read to the letter") {
  const Config config = good(R"(service: language-id
objective: 99.9%
listen: 127.0.0.1:8000
replicas:
  count: 3
  command: [language-id, --port, "{port}", --db, data/ai_api.db, --model, model.ftz]
  health: {path: /health, interval: 2s, timeout: 1s, rise: 2, fall: 3, startup: 600s}
  env: {MODE: fast, RETRIES: 3, TOKEN: "env:API_TOKEN", KEY: "file:secrets/key"}
  stop: {drain: 45s, grace: 5s}
  files: [model.ftz]
  canary: {post: /classify, json: {text: "Guten Morgen"}, expect: {pointer: /label, equals: de}}
routes:
  - {path: /classify, replay: safe}     # a prefix on segment borders
  - path: /learn
  - {path: /chat, hash: {header: X-Session-Id}, first_byte: 5m, stream_idle: 1m, body: 1MiB}
gateway:
  threads: 2           # default: one per core
  in_flight: 16
  queue: 50
  queue_time: 2s
  connections: 1000
  head: 16KiB
  body: 8MiB
  timeouts: {connect: 2s, head: 5s, body_idle: 20s, first_byte: 30s, first_byte_max: 20m, answer_idle: 60s,
             stream_idle: 90s, keep_alive: 65s, tunnel_idle: 2h, upstream_idle: 3s}
  retries: {most: 1, budget: 10%}
  slow_start: 30s
  cancel_upstream: false
  access_log: all
  trusted_proxies: [10.0.0.0/8, "::1"]
  unavailable_page: sorry.html
data:
  sqlite: data/ai_api.db
backups:
  - {to: backups/, archive: "02:00", keep: {within: 7d}}
  - {to: /mnt/b, archive: ["14:30", "2:05"], keep: {last: 1, hourly: 2, daily: 3, weekly: 4, monthly: 5}}
  - {to: by-hand}
dashboard: 127.0.0.1:9901
)");
  Config expected;
  expected.service = "language-id";
  expected.objective = 0.999;
  expected.listen = {{"127.0.0.1", 8000}};
  expected.replicas.count = 3;
  expected.replicas.command = {"language-id", "--port", "{port}", "--db", "data/ai_api.db", "--model", "model.ftz"};
  expected.replicas.health = {.path = "/health", .interval = 2s, .timeout = 1s, .rise = 2, .fall = 3, .startup = 600s};
  expected.replicas.env = {{"MODE", "fast"},
                           {"RETRIES", "3"},
                           {"TOKEN", Secret(Secret::Source::kEnvironment, "API_TOKEN")},
                           {"KEY", Secret(Secret::Source::kFile, "secrets/key")}};
  expected.replicas.stop = {.drain = 45s, .grace = 5s};
  expected.replicas.canary =
      Canary{.path = "/classify", .body = R"({"text": "Guten Morgen"})", .expect = Canary::Expect{"/label", "\"de\""}};
  expected.routes = {
      {.path = "/classify", .replay = Replay::kSafe},
      {.path = "/learn"},
      {.path = "/chat", .hash_header = "X-Session-Id", .first_byte = 5min, .stream_idle = 1min, .body = 1024 * 1024}};
  expected.gateway = {.threads = 2,
                      .in_flight = 16,
                      .queue = 50,
                      .queue_time = 2s,
                      .connections = 1000,
                      .head = 16 * 1024,
                      .body = 8 * 1024 * 1024,
                      .timeouts = {.connect = 2s,
                                   .head = 5s,
                                   .body_idle = 20s,
                                   .first_byte = 30s,
                                   .first_byte_max = 20min,
                                   .answer_idle = 60s,
                                   .stream_idle = 90s,
                                   .keep_alive = 65s,
                                   .tunnel_idle = 2h,
                                   .upstream_idle = 3s},
                      .retries = {.most = 1, .budget_percent = 10},
                      .slow_start = 30s,
                      .cancel_upstream = false,
                      .access_log = AccessLog::kAll,
                      .trusted_proxies = {{"10.0.0.0", 8}, {"::1", 128}},
                      .unavailable_page = "sorry.html"};
  expected.replicas.files = {"model.ftz"};
  expected.data.sqlite = {"data/ai_api.db"};
  expected.backups = {{.to = "backups/", .archive = {{2, 0}}, .keep = {.within = 7 * 24h}},
                      {.to = "/mnt/b",
                       .archive = {{2, 5}, {14, 30}},
                       .keep = {.last = 1, .hourly = 2, .daily = 3, .weekly = 4, .monthly = 5}},
                      {.to = "by-hand", .archive = {}, .keep = {.within = 7 * 24h}}};
  expected.dashboard = Dashboard{Address{"127.0.0.1", 9901}};
  CHECK((config == expected));
  CHECK((good(to_yaml(config)) == expected));
}

TEST_CASE("config: one line is enough, and the rest has the stated defaults") {
  const Config config = good(kRun);
  CHECK(!config.service);
  CHECK(!config.objective);
  CHECK((config.listen == std::vector<Address>{{"127.0.0.1", 8000}}));
  CHECK(config.replicas.count == 1);
  CHECK((config.replicas.health == Health{}));
  CHECK(!config.replicas.health.path);
  CHECK((config.replicas.stop == Stop{.drain = 30s, .grace = 10s}));
  CHECK(config.routes.empty());
  CHECK((config.gateway == Gateway{}));
  CHECK(!config.replicas.canary);
  CHECK(config.replicas.endpoints.empty());
  CHECK(config.data.sqlite.empty());
  CHECK(config.backups.empty());
  CHECK(!config.dashboard);
}

TEST_CASE("config: spellings of one meaning") {
  CHECK((good("replicas: {command: 'serve --port \"{port}\"'}") == good(kRun)));
  CHECK((good("\xef\xbb\xbf" + kRun) == good(kRun)));
  CHECK((good("---\n" + kRun + "...\n") == good(kRun)));
  CHECK((good("# crlf\r\n" + kRun.substr(0, kRun.size() - 1) + "\r\n") == good(kRun)));
  CHECK((good(kRun + "listen: [\":80\", \"[::1]:80\"]").listen == std::vector<Address>{{"0.0.0.0", 80}, {"::1", 80}}));
  CHECK((good(kRun + "listen: :80").listen == std::vector<Address>{{"0.0.0.0", 80}}));
  CHECK(good(replicas("health: {}")).replicas.health.path == "/health");
  CHECK(good(replicas("health: {rise: 5}")).replicas.health.path == "/health");
  const Health none = good(replicas("health: {path: none, startup: 20m}")).replicas.health;
  CHECK((none == Health{.path = std::nullopt, .startup = 20min}));
  CHECK(good(replicas("count: 64")).replicas.count == 64);
  const Config shared = good("replicas: {command: [serve, &p \"{port}\", *p], health: {interval: &i 5s, timeout: *i}}");
  CHECK((shared.replicas.command == std::vector<std::string>{"serve", "{port}", "{port}"}));
  CHECK((shared.replicas.health.timeout == 5s));
}

struct Claim {
  std::string why;
  std::string yaml;
  const char* says;  // how the only problem begins, with its position
};

void check_claims(std::span<const Claim> claims) {
  for (const Claim& claim : claims) {
    CAPTURE(claim.why);
    CAPTURE(claim.yaml.substr(0, 300));
    const auto said = bad(claim.yaml);
    REQUIRE(said.size() == 1);
    CAPTURE(said[0]);
    CHECK(said[0].starts_with(claim.says));
    CHECK(said[0].contains("; "));  // what to do
  }
}

TEST_CASE("config: a wrong key is told where and what was meant") {
  const Claim claims[] = {
      {"a typo", replicas("helth: {}"), "3:3 unknown key \"helth\"; did you mean \"health\"?"},
      {"a typo at the top", kRun + "objectve: 99%", "2:1 unknown key \"objectve\"; did you mean \"objective\"?"},
      {"a typo deep inside", replicas("health: {intervall: 2s}"),
       "3:12 unknown key \"intervall\"; did you mean \"interval\"?"},
      {"nothing near: the list", replicas("zebra: 1"),
       "3:3 unknown key \"zebra\" in replicas; known here: count, command, container, endpoints, health, canary, env, "
       "env_file, directory, user, umask, limits, stop, restart, needs, deploy, files"},
      {"nothing near, at the top", kRun + "zebra: 1",
       "2:1 unknown key \"zebra\"; known here: service, objective, listen, replicas, routes, gateway, data, "
       "backups, dashboard"},
      {"a typo of a part to come", kRun + "alert: []", "2:1 unknown key \"alert\"; did you mean \"alerts\"?"},
      {"too far out", kRun + "health: {}", "2:1 \"health\" is no key at this level; indent it below replicas:"},
      {"too far out, and a typo", kRun + "comand: x",
       "2:1 unknown key \"comand\"; did you mean \"command\"? Then indent it below replicas:"},
      {"too far in", replicas("listen: :80"), "3:3 \"listen\" is no key at this level; put it at the outermost level"},
      {"in a route", kRun + "routes: [{path: /, reply: safe}]", "2:20 unknown key \"reply\"; did you mean \"replay\"?"},
      {"in stop", replicas("stop: {grave: 1s}"), "3:10 unknown key \"grave\"; did you mean \"grace\"?"},
      {"in gateway", kRun + "gateway: {thread: 1}", "2:11 unknown key \"thread\"; did you mean \"threads\"?"},
      {"twice", kRun + "service: a\nservice: b", "3:1 duplicate key \"service\"; it is set in line 2 already"},
      {"twice, deep", replicas("env: {A: 1, A: 2}"), "3:15 duplicate key \"A\""},
      {"merge keys", replicas("health: {<<: {rise: 1}}"), "3:12 merge keys (<<) are not read here"},
      {"a key that is no text", kRun + "[a]: b", "2:1 a key must be text"},
      {"columns count characters, not bytes", "replicas: {command: \"säörve {port}\", zebra: 1}",
       "1:38 unknown key \"zebra\""},
  };
  check_claims(claims);
}

TEST_CASE("config: a part that does not exist yet says so, and is no typo") {
  for (const std::string key : {"services", "alerts"}) {
    CAPTURE(key);
    const auto said = bad(kRun + key + ": {a: 1}");
    REQUIRE(said.size() == 1);
    CHECK(said[0] == "2:1 \"" + std::string(key) + "\" is not part of this version of nines yet; remove the key");
  }
  for (const std::string key : {"endpoint", "region", "offsite", "encrypt"}) {
    CAPTURE(key);
    const auto said = bad(kRun + "backups: [{to: a, " + key + ": x}]");
    REQUIRE(said.size() == 1);
    CHECK(said[0] == "2:19 \"" + key + "\" is not part of this version of nines yet; remove the key");
  }
  CHECK(bad(kRun + "backups: [{to: \"s3://bucket/x\"}]")[0] ==
        "2:16 backups.to: \"s3://\" is not part of this version of nines yet; name a folder, such as backups/");
}

TEST_CASE("config: values of the wrong type") {
  const Claim claims[] = {
      {"text for a number", replicas("count: three"),
       "3:10 replicas.count: \"three\" is not a whole number; write one from 1 to 64"},
      {"a fraction for a number", replicas("count: 1.5"), "3:10 replicas.count: \"1.5\" is not a whole number"},
      {"a list for a number", replicas("count: [1]"), "3:10 replicas.count is a list; write a single value"},
      {"text for a mapping", replicas("health: /healthz"), "3:11 replicas.health is text; write a mapping"},
      {"a list for a mapping", "replicas: [a]", "1:11 replicas is a list; write a mapping"},
      {"a mapping for a list", kRun + "routes: {path: /a}", "2:9 routes is a mapping; write a list"},
      {"text for a route", kRun + "routes: [/a]", "2:10 a route is text; write {path"},
      {"a mapping for text", kRun + "service: {a: b}", "2:10 service is a mapping; write a single value"},
      {"no value", kRun + "service:\nobjective: 9%", "2:1 service has no value"},
      {"null is no value", replicas("count: null"), "3:3 replicas.count has no value"},
      {"nothing in a section", kRun + "gateway:\n", "2:1 gateway has no value"},
      {"a list for an environment", replicas("env: [A=1]"),
       "3:8 replicas.env is a list; write a mapping of NAME: VALUE"},
      {"no value for a variable", replicas("env: {A: }"), "3:9 replicas.env.A has no value; write \"\""},
      {"a list for a variable", replicas("env: {A: [1]}"), "3:12 replicas.env.A is a list"},
      {"a variable with a dash", replicas("env: {A-B: 1}"), "3:9 replicas.env: \"A-B\" is not a variable's name"},
      {"a list of everything", "- a", "1:1 the file is a list"},
      {"no blank behind the colon", "service:foo", "1:1 the file is text"},
      {"a wrong item", kRun + "listen: [{a: b}]", "2:10 listen is a mapping"},
      {"no unit", replicas("stop: {drain: 30}"),
       "3:17 replicas.stop.drain: \"30\" has no unit; add one, such as \"30s\""},
      {"no percent sign", kRun + "objective: 99.9", "2:12 objective: \"99.9\" has no % sign"},
      {"not a service name", kRun + "service: My Service", "2:10 service: \"My Service\" is not a service name"},
      {"neither safe nor never", kRun + "routes: [{path: /, replay: yes}]",
       "2:28 routes.replay: \"yes\" is neither safe nor never"},
      {"a route without a path", kRun + "routes: [{replay: safe}]", "2:10 this route has no path"},
      {"a route twice", kRun + "routes: [{path: /a}, {path: /a}]", "2:29 a second route for \"/a\""},
      {"a route with a query", kRun + "routes: [{path: \"/a?b=c\"}]", "2:17 routes.path: \"/a?b=c\" has a query"},
      {"a health path without a slash", replicas("health: {path: health}"),
       "3:18 replicas.health.path: \"health\" is not a path"},
      {"no addresses", kRun + "listen: []", "2:9 listen is an empty list"},
      {"the same address twice", kRun + "listen: [\":80\", \"0.0.0.0:80\"]",
       "2:17 listen: 0.0.0.0:80 is covered by 0.0.0.0:80"},
      {"an address inside another", kRun + "listen: [\"127.0.0.1:80\", \":80\"]",
       "2:26 listen: 0.0.0.0:80 is covered by 127.0.0.1:80"},
      {"the same in IPv6", kRun + "listen: [\"[::]:80\", \"[::1]:80\"]", "2:21 listen: [::1]:80 is covered by [::]:80"},
  };
  check_claims(claims);
}

TEST_CASE("config: data and backups") {
  const Claim claims[] = {
      {"text for data", kRun + "data: app.db", "2:7 data is text; write a mapping with keys of: sqlite"},
      {"no data", kRun + "data: {}", "2:1 data is empty; name what"},
      {"no databases", kRun + "data: {sqlite: []}", "2:16 data.sqlite is an empty list"},
      {"an empty path", kRun + "data: {sqlite: \"\"}", "2:16 data.sqlite: this path is empty"},
      {"a folder for a database", kRun + "data: {sqlite: data/}", "2:16 data.sqlite: \"data/\" names a folder"},
      {"another folder", kRun + "data: {sqlite: ..}", "2:16 data.sqlite: \"..\" names a folder"},
      {"a database twice", kRun + "data: {sqlite: [a/b.db, ./a//b.db]}",
       "2:25 data.sqlite: \"./a//b.db\" is named already"},
      {"a mapping for a path", kRun + "data: {sqlite: [{a: b}]}", "2:17 data.sqlite is a mapping"},
      {"too far out", kRun + "sqlite: a.db", "2:1 \"sqlite\" is no key at this level; indent it below data:"},
      {"files too far out", kRun + "files: [a]", "2:1 \"files\" is no key at this level; indent it below replicas:"},
      {"a model twice", replicas("files: [m, m]"), "3:14 replicas.files: \"m\" is named already"},
      {"a mapping for backups", kRun + "backups: {to: a}", "2:10 backups is a mapping; write a list"},
      {"no backups", kRun + "backups: []", "2:10 backups is an empty list; add one"},
      {"text for a backup", kRun + "backups: [a]", "2:11 a backup is text; write {to: backups/"},
      {"nowhere", kRun + "backups: [{archive: \"02:00\"}]", "2:11 this backup has no destination"},
      {"somewhere twice", kRun + "backups: [{to: a}, {to: a/}]", "2:25 a second backup to \"a/\""},
      {"a time without minutes", kRun + "backups: [{to: a, archive: 2}]",
       "2:28 backups.archive: \"2\" is not a time of day; write hours and minutes"},
      {"no time", kRun + "backups: [{to: a, archive: []}]", "2:28 backups.archive is an empty list"},
      {"an hour too many", kRun + "backups: [{to: a, archive: \"24:00\"}]", "2:28 backups.archive: \"24:00\" is not"},
      {"a minute too many", kRun + "backups: [{to: a, archive: \"23:60\"}]", "2:28 backups.archive: \"23:60\" is not"},
      {"a time in short", kRun + "backups: [{to: a, archive: \"2:0\"}]", "2:28 backups.archive: \"2:0\" is not"},
      {"a time twice", kRun + "backups: [{to: a, archive: [\"2:00\", \"02:00\"]}]",
       "2:37 backups.archive: 02:00 is named already"},
      {"no rule", kRun + "backups: [{to: a, keep: {}}]", "2:19 backups.keep has no rule; add one"},
      {"an unknown rule", kRun + "backups: [{to: a, keep: {yearly: 1}}]",
       "2:26 unknown key \"yearly\" in backups.keep; known here: last"},
      {"a rule too far out", kRun + "backups: [{to: a, within: 7d}]",
       "2:19 \"within\" is no key at this level; indent it below keep:"},
      {"a rule that keeps none", kRun + "backups: [{to: a, keep: {last: 0}}]",
       "2:32 backups.keep.last: \"0\" is out of bounds"},
      {"a span without a unit", kRun + "backups: [{to: a, keep: {within: 7}}]",
       "2:34 backups.keep.within: \"7\" has no unit"},
      {"a dashboard without a port", kRun + "dashboard: off", "2:12 dashboard: \"off\" has no port"},
      {"a dashboard in the way", kRun + "dashboard: \":8000\"",
       "2:12 dashboard: 0.0.0.0:8000 is covered by 127.0.0.1:8000 of listen already"},
  };
  check_claims(claims);
  CHECK((good(kRun + "data: {sqlite: [a.db, b.db]}").data.sqlite == std::vector<std::string>{"a.db", "b.db"}));
  CHECK((good(kRun + "dashboard: none").dashboard == Dashboard{}));
  CHECK((good(kRun + "backups: [{to: a, keep: {last: 3}}]").backups[0].keep == Keep{.last = 3}));
}

TEST_CASE("config: what to run") {
  const Claim claims[] = {
      {"an empty file", "", "1:1 the file is empty"},
      {"only comments", "# nothing\n", "1:1 the file is empty"},
      {"no replicas", "service: a", "1:1 nothing to run: the file has no replicas"},
      {"no command", "service: a\nreplicas:\n  count: 2", "2:1 replicas has no command"},
      {"an empty section", "replicas: {}", "1:1 replicas has no command"},
      {"an empty list", "replicas: {command: []}", "1:21 replicas.command: the command names no program"},
      {"an empty string", "replicas: {command: \"\"}", "1:21 replicas.command: the command names no program"},
      {"an empty program", "replicas: {command: [\"\", \"{port}\"]}",
       "1:21 replicas.command: the command names no program"},
      {"no port", "replicas: {command: [serve, --port, 8000]}",
       "1:21 replicas.command: the command has no {port}; say where"},
      {"nearly a port", "replicas: {command: [serve, \"{PORT}\"]}",
       "1:21 replicas.command: the command has no {port}; write {port} where"},
      {"the port without quotes", "replicas: {command: [serve, {port}]}",
       "1:29 replicas.command: \"{port}\" without quotes is a mapping in YAML; write \"{port}\""},
      {"nearly a socket", "replicas: {command: [serve, \"--uds={SOCKET}\"]}",
       "1:21 replicas.command: the command has no {socket}; write {socket} where"},
      {"a port and a socket", "replicas: {command: [serve, \"{port}\", \"{socket}\"]}",
       "1:21 replicas.command: the command has both {port} and {socket}; a replica is reached by one of them"},
      {"the socket without quotes", "replicas: {command: [serve, {socket}]}",
       "1:29 replicas.command: \"{socket}\" without quotes is a mapping in YAML; write \"{socket}\""},
      {"a shell's business", "replicas: {command: \"a {port} | b\"}",
       "1:21 replicas.command: | means something to a shell"},
      {"a list in the list", "replicas: {command: [serve, [a]]}", "1:29 an argument of replicas.command is a list"},
      {"a mapping", "replicas: {command: {a: b}}", "1:21 replicas.command is a mapping; write a list or one string"},
      {"a zero byte", "replicas: {command: [\"{port}\", \"\\0\"]}", "1:32 replicas.command: this text has a zero byte"},
  };
  check_claims(claims);
  CHECK(good("replicas: {command: [sh, -c, \"PORT={port} exec serve\"]}").replicas.command.size() == 3);
  CHECK(good("replicas: {command: [serve, \"--uds={socket}\"]}").replicas.by_socket());
  CHECK_FALSE(good(kRun).replicas.by_socket());
}

TEST_CASE("config: how a process is started, and started again") {
  const Config config = good(replicas(R"(env_file: [a.env, b.env]
  directory: work
  user: api:models
  umask: 027
  limits: {files: 65536, processes: 100, core: 0B, memory: 2GiB, cpu_weight: 50}
  restart: on-failure
  needs: ["127.0.0.1:5432", "http://10.0.0.9:80/ready?x=1", "http://10.0.0.9:81"]
  deploy: {surge: 0, bake: 30s, errors: 5%, latency: 150%}
  health: {restart_after: never}
  canary: {get: /x, before_ready: false})"));
  const Replicas& r = config.replicas;
  CHECK(r.env_file == std::vector<std::string>{"a.env", "b.env"});
  CHECK(r.directory == "work");
  CHECK(r.user == "api:models");
  CHECK(r.umask == 027);
  CHECK((r.limits == ProcessLimits{65536, 100, 0, 2ULL << 30, 50}));
  CHECK(r.restart == Restart::kOnFailure);
  REQUIRE(r.needs.size() == 3);
  CHECK((r.needs[0] == Need{{"127.0.0.1", 5432}, std::nullopt}));
  CHECK((r.needs[1] == Need{{"10.0.0.9", 80}, "/ready?x=1"}));
  CHECK(r.needs[2].text() == "http://10.0.0.9:81/");
  CHECK((r.deploy == Deploy{0, 30s, 5, 150}));
  CHECK_FALSE(r.health.restart_after);
  CHECK_FALSE(r.canary->before_ready);
  CHECK((good(to_yaml(config)) == config));
  for (const char* policy : {"unless-stopped", "always", "never"}) {
    const Config other = good(replicas("restart: " + std::string(policy)));
    CHECK((good(to_yaml(other)) == other));
  }
  CHECK(good(replicas("health: {restart_after: 5s}")).replicas.health.restart_after == 5s);

  const Claim claims[] = {
      {"no policy", replicas("restart: sometimes"),
       "3:12 replicas.restart: \"sometimes\" is none of unless-stopped, always, on-failure, never"},
      {"no user", replicas("user: \"a b\""), "3:9 replicas.user: \"a b\" is no user"},
      {"no group", replicas("user: \"a:\""), "3:9 replicas.user: \"a:\" is no user"},
      {"a user and a socket", "replicas: {command: \"serve {socket}\", user: api}",
       "1:45 another user than nines cannot listen on {socket}"},
      {"no umask", replicas("umask: 8"), "3:10 replicas.umask: \"8\" is no umask; write it in octal"},
      {"too much of a umask", replicas("umask: \"1777\""), "3:10 replicas.umask: \"1777\" is no umask"},
      {"a need without a port", replicas("needs: [127.0.0.1]"),
       "3:11 replicas.needs: \"127.0.0.1\" has no port; write IP:PORT for a TCP connect, or http://IP:PORT/PATH"},
      {"a need with a name", replicas("needs: [\"db:5432\"]"), "3:11 replicas.needs: \"db\" is a name"},
      {"a need twice", replicas("needs: [\"10.0.0.1:1\", \"10.0.0.1:1\"]"),
       "3:25 replicas.needs: \"10.0.0.1:1\" is named already"},
      {"a file twice", replicas("env_file: [a, ./a]"), "3:17 replicas.env_file: \"./a\" is named already"},
      {"an unknown limit", replicas("limits: {file: 1}"), "3:12 unknown key \"file\"; did you mean \"files\"?"},
      {"a limit with a unit", replicas("limits: {files: 1KiB}"), "3:19 replicas.limits.files: \"1KiB\" is not a whole"},
      {"memory without a unit", replicas("limits: {memory: 100}"), "3:20 replicas.limits.memory: \"100\" has no unit"},
      {"neither a duration nor never", replicas("health: {restart_after: no}"),
       "3:27 replicas.health.restart_after: \"no\" is not a duration"},
      {"with endpoints", "replicas: {endpoints: [\"10.0.0.1:80\"], user: api, restart: always}",
       "1:40 \"user\" is for servers that nines starts, not for endpoints"},
  };
  for (const Claim& claim : claims) {
    CAPTURE(claim.why);
    const auto said = bad(claim.yaml);
    REQUIRE_FALSE(said.empty());
    CHECK(said.front().starts_with(claim.says));
  }
}

TEST_CASE("config: endpoints elsewhere") {
  const auto endpoints = [](const std::string& items) { return "replicas: {endpoints: " + items + "}"; };
  const Config config = good(endpoints("[\"10.0.0.5:8000\", {address: \"[fd00::5]:80\", weight: 50, tier: 1}]"));
  CHECK((config.replicas.endpoints == std::vector<Endpoint>{{{"10.0.0.5", 8000}, 100, 0}, {{"fd00::5", 80}, 50, 1}}));
  CHECK(config.replicas.count == 2);
  CHECK(config.replicas.command.empty());
  CHECK((good(to_yaml(config)) == config));
  CHECK(good("listen: :80\n" + endpoints("[\"10.0.0.5:80\"]")).replicas.endpoints.size() == 1);
  CHECK(good(endpoints("[\"localhost:80\"]")).replicas.endpoints[0].at.ip == "127.0.0.1");

  const Claim claims[] = {
      {"both kinds", "replicas: {command: \"a {port}\", endpoints: [\"10.0.0.5:80\"]}",
       "1:1 replicas has both command and endpoints; nines either starts"},
      {"no list", endpoints("\"10.0.0.5:80\""), "1:23 replicas.endpoints is text; write a list, such as endpoints:"},
      {"an empty list", endpoints("[]"), "1:23 replicas.endpoints is an empty list; name a server"},
      {"a name", endpoints("[\"db.internal:8000\"]"),
       "1:24 replicas.endpoints: \"db.internal\" is a name, and names are not looked up in this version of nines; "
       "write its IP address, such as 10.0.0.5:8000"},
      {"every address", endpoints("[\":8000\"]"), "1:24 replicas.endpoints: \":8000\" is every address, and no server"},
      {"a URL", endpoints("[\"http://10.0.0.5:80/x\"]"), "1:24 replicas.endpoints: \"http://10.0.0.5:80/x\" is a URL"},
      {"no port", endpoints("[10.0.0.5]"), "1:24 replicas.endpoints: \"10.0.0.5\" has no port; write the IP address"},
      {"nearly an address", endpoints("[\"10.0.0.256:80\"]"),
       "1:24 replicas.endpoints: \"10.0.0.256\" is not an IP address; write the IP address and the port"},
      {"twice", endpoints("[\"10.0.0.5:80\", {address: \"10.0.0.5:80\"}]"),
       "1:49 replicas.endpoints: \"10.0.0.5:80\" is named already"},
      {"nines itself", endpoints("[\"127.0.0.1:8000\"]"),
       "1:24 replicas.endpoints: \"127.0.0.1:8000\" is where nines itself listens"},
      {"nines itself, by every address", "listen: :80\n" + endpoints("[\"127.0.0.2:80\"]"),
       "2:24 replicas.endpoints: \"127.0.0.2:80\" is where nines itself listens"},
      {"no address", endpoints("[{weight: 5}]"), "1:24 this endpoint has no address"},
      {"a typo", endpoints("[{adress: \"10.0.0.5:80\", address: \"10.0.0.5:80\"}]"),
       "1:25 unknown key \"adress\"; did you mean \"address\"?"},
      {"a count", "replicas: {count: 2, endpoints: [\"10.0.0.5:80\"]}",
       "1:12 \"count\" is for servers that nines starts, not for endpoints"},
      {"variables", "replicas: {endpoints: [\"10.0.0.5:80\"], env: {A: b}}",
       "1:40 \"env\" is for servers that nines starts"},
      {"a stop", "replicas: {endpoints: [\"10.0.0.5:80\"], stop: {}}",
       "1:40 \"stop\" is for servers that nines starts"},
      {"files", "replicas: {endpoints: [\"10.0.0.5:80\"], files: a}",
       "1:40 \"files\" is for servers that nines starts"},
  };
  check_claims(claims);
}

TEST_CASE("config: a canary") {
  const auto canary = [](const std::string& keys) { return good(replicas("canary: {" + keys + "}")).replicas.canary; };
  CHECK((canary("get: '/x?a=b'") == Canary{.method = "GET", .path = "/x?a=b"}));
  CHECK((canary("post: /x, text: hello, timeout: 5s, stall: 1m, every: 5m") ==
         Canary{.path = "/x",
                .body = "hello",
                .content_type = std::string(Canary::kText),
                .timeout = 5s,
                .stall = 1min,
                .every = 5min}));
  CHECK(canary("post: /x, text: <a/>, content_type: text/xml")->content_type == "text/xml");
  struct Row {
    std::string yaml, json;
  };
  const Row rows[] = {
      {"{text: Guten Morgen, n: 5}", R"({"text": "Guten Morgen", "n": 5})"},
      {"[1, -0.5e+3, 0, true, false, null, ~, x]", R"([1, -0.5e+3, 0, true, false, null, null, "x"])"},
      {"{a: '1', b: \"true\", c: 007, d: 0x1f, e: +1, f: .5, g: '', h: 1., i: 1e, j: -, k: yes}",
       R"({"a": "1", "b": "true", "c": "007", "d": "0x1f", "e": "+1", "f": ".5", "g": "", "h": "1.", "i": "1e", "j": "-", "k": "yes"})"},
      {R"("a\"b\\c\n\x01\x7f/ü😀")", R"("a\"b\\c\u000a\u0001\u007f/ü😀")"},
      {"{a: {b: [{}, []]}, 5: 6}", R"({"a": {"b": [{}, []]}, "5": 6})"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.yaml);
    CHECK(canary("post: /x, json: " + row.yaml)->body == row.json);
    const std::string yaml = replicas("canary: {get: /x, expect: {equals: " + row.yaml + "}}");
    const Config config = good(yaml);
    CHECK(config.replicas.canary->expect->equals == row.json);
    CHECK((good(to_yaml(config)) == config));
  }
  CHECK(canary("get: /x, expect: {pointer: /a~1b/0, equals: null}")->expect->equals == "null");

  const Claim claims[] = {
      {"nothing asked", replicas("canary: {json: 1}"), "3:3 canary needs either post or get"},
      {"two things asked", replicas("canary: {post: /a, get: /b}"), "3:3 canary needs either post or get"},
      {"two bodies", replicas("canary: {post: /a, json: 1, text: a}"), "3:3 canary has both json and text"},
      {"a body with get", replicas("canary: {get: /a, text: a}"), "3:3 canary: a request with get has no body"},
      {"no path", replicas("canary: {get: a}"), "3:17 replicas.canary.get: \"a\" is not a path"},
      {"no expectation", replicas("canary: {get: /a, expect: {pointer: /a}}"),
       "3:21 expect does not say what must be there"},
      {"no pointer", replicas("canary: {get: /a, expect: {pointer: a, equals: 1}}"),
       "3:39 replicas.canary.expect.pointer: \"a\" is not a JSON pointer"},
      {"a bad pointer", replicas("canary: {get: /a, expect: {pointer: /a~2, equals: 1}}"),
       "3:39 replicas.canary.expect.pointer: \"/a~2\" has a ~ that stands for nothing"},
      {"too far out", replicas("canary: {get: /a, equals: 1}"), "3:21 \"equals\" is no key at this level"},
      {"a long key", replicas("canary: {post: /a, json: {" + std::string(257, 'k') + ": 1}}"),
       "3:29 this key is longer than 256 bytes"},
      {"a long body", replicas("canary: {post: /a, json: [\"" + std::string(16 * 1024, 'x') + "\"]}"),
       "3:3 the canary's body is longer than 16KiB"},
  };
  check_claims(claims);
}

TEST_CASE("config: what happens to requests") {
  CHECK(good(kRun + "gateway: {trusted_proxies: 10.0.0.1}").gateway.trusted_proxies ==
        std::vector<Network>{{"10.0.0.1", 32}});
  // Who is patient with the first byte has no less patience with those that prove to be alive.
  CHECK(good(kRun + "gateway: {timeouts: {first_byte: 20m}}").gateway.timeouts.first_byte_max == 20min);
  const Claim claims[] = {
      {"a shorter patience", kRun + "gateway: {timeouts: {first_byte: 60s, first_byte_max: 30s}}",
       "2:55 first_byte_max is below first_byte, 1m"},
      {"a time-out too far out", kRun + "gateway: {keep_alive: 1m}",
       "2:11 \"keep_alive\" is no key at this level; indent it below gateway: timeouts:"},
      {"no size", kRun + "gateway: {body: 64}", "2:17 gateway.body: \"64\" has no unit; add one, such as \"64KiB\""},
      {"no percentage", kRun + "gateway: {retries: {budget: 0.2}}",
       "2:29 gateway.retries.budget: \"0.2\" has no % sign"},
      {"no truth", kRun + "gateway: {cancel_upstream: yes}",
       "2:28 gateway.cancel_upstream: \"yes\" is neither true nor false"},
      {"no log", kRun + "gateway: {access_log: errors}",
       "2:23 gateway.access_log: \"errors\" is none of none, problems, all"},
      {"no network", kRun + "gateway: {trusted_proxies: [example.org]}",
       "2:29 gateway.trusted_proxies: \"example.org\" is not an IP address"},
      {"no page", kRun + "gateway: {unavailable_page: pages/}",
       "2:29 gateway.unavailable_page: \"pages/\" names a folder"},
      {"no header", kRun + "routes: [{path: /, hash: {header: \"a b\"}}]",
       "2:35 routes.hash.header: \"a b\" is not the name of a header"},
      {"nothing to hash", kRun + "routes: [{path: /, hash: {}}]", "2:20 hash does not say by what"},
      {"a body that is no size", kRun + "routes: [{path: /, body: lots}]", "2:26 routes.body: \"lots\" is not a size"},
  };
  check_claims(claims);
}

TEST_CASE("config: YAML that is none, or too much of it") {
  std::string bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n";
  for (char c = 'b'; c < 'z'; ++c) {
    const std::string before = "*" + std::string(1, static_cast<char>(c - 1));
    bomb += std::string(1, c) + ": &" + c + " [";
    for (int i = 0; i < 9; ++i) bomb += (i > 0 ? ", " : "") + before;
    bomb += "]\n";
  }
  std::string deep = kRun + "x: ";
  for (int i = 0; i < 100'000; ++i) deep += '[';
  std::string wide = kRun;
  for (int i = 0; i < 6'000; ++i) wide += "k" + std::to_string(i) + ": 1\n";

  const Claim claims[] = {
      {"a tab", "replicas:\n\tcommand: x", "2:9 not YAML: illegal map value; indent with spaces"},
      {"two colons", "a: b: c", "1:5 not YAML: illegal map value"},
      {"an open bracket is seen at the end", "replicas: [a,\n\n", "2:1 not YAML: end of sequence flow not found"},
      {"an open quote", "replicas: {command: \"a", "1:23 not YAML: illegal EOF in scalar"},
      {"an alias to nothing", "replicas: *a", "1:11 not YAML: the referenced anchor is not defined"},
      {"an alias to itself", "replicas: &a [*a]", "1:15 this alias stands for something that contains it"},
      {"two documents", kRun + "---\n" + kRun, "2:1 a second document begins here"},
      {"two documents, the first empty", "---\n---\n" + kRun, "2:1 a second document begins here"},
      {"a question mark between brackets", kRun + "routes: [{path: /a?b}]", "2:19 not YAML: unknown token; quote text"},
      {"a tag", kRun + "service: !!str a", "2:10 YAML tags mean nothing here"},
      {"an alias bomb", bomb, "5:8 more than 10000 values"},
      {"too deep", deep, "2:"},
      {"too wide", wide, "4998:1 more than 10000 values"},
      {"not UTF-8", kRun + "service: \xff", "2:10 this is not UTF-8 text"},
      {"cut UTF-8", kRun + "service: \xc3", "2:10 this is not UTF-8 text"},
      {"overlong UTF-8", kRun + "service: \xc0\xaf", "2:10 this is not UTF-8 text"},
      {"UTF-16",
       std::string("\xff\xfe"
                   "a\0",
                   4),
       "1:1 this is not UTF-8 text"},
      {"an end-of-file character", kRun + "\x04" + "backups: []", "2:1 a control character"},
      {"a lone carriage return", "service: a\rb\n", "1:11 a control character"},
  };
  check_claims(claims);
  CHECK(bad(deep)[0].contains("nested deeper than 32 levels"));

  const auto large = bad(std::string(bounds::kFileBytes + 1, '#'));
  REQUIRE(large.size() == 1);
  CHECK(large[0].starts_with("0:0 the configuration is larger than 1 MiB"));
  CHECK((good(kRun + std::string(bounds::kFileBytes - kRun.size(), '#')) == good(kRun)));
}

TEST_CASE("config: both ends of every bound are inside, and the next value is not") {
  struct Row {
    std::string key;
    std::string below, least, most, above;
    std::string says;
  };
  const Row rows[] = {
      {"replicas.count", "0", "1", "64", "65", "from 1 to 64"},
      {"replicas.health.interval", "99ms", "100ms", "1h", "3601s", "from 100ms to 1h"},
      {"replicas.health.timeout", "9ms", "10ms", "10m", "601s", "from 10ms to 10m"},
      {"replicas.health.rise", "0", "1", "100", "101", "from 1 to 100"},
      {"replicas.health.fall", "-1", "1", "100", "99999999999999999999", "from 1 to 100"},
      {"replicas.health.startup", "999ms", "1s", "24h", "86401s", "from 1s to 1d"},
      {"replicas.stop.drain", "-1s", "0s", "1h", "3601s", ""},
      {"replicas.stop.grace", "-1s", "0s", "1h", "3601s", ""},
      {"replicas.health.restart_after", "999ms", "1s", "24h", "86401s", ""},
      {"replicas.limits.files", "15", "16", "1073741824", "1073741825", ""},
      {"replicas.limits.memory", "15MiB", "16MiB", "64TiB", "65TiB", ""},
      {"replicas.limits.cpu_weight", "0", "1", "10000", "10001", ""},
      {"replicas.deploy.surge", "-1", "0", "4", "5", ""},
      {"replicas.deploy.bake", "-1s", "0s", "24h", "86401s", ""},
      {"replicas.deploy.errors", "-1%", "0%", "100%", "101%", ""},
      {"replicas.deploy.latency", "99%", "100%", "10000%", "10001%", ""},
      {"gateway.threads", "0", "1", "64", "65", "from 1 to 64"},
      {"gateway.in_flight", "0", "1", "100000", "100001", "from 1 to 100000"},
      {"gateway.queue", "-1", "0", "100000", "100001", "from 0 to 100000"},
      {"gateway.queue_time", "-1s", "0s", "10m", "601s", ""},
      {"gateway.connections", "0", "1", "1000000", "1000001", "from 1 to 1000000"},
      {"gateway.head", "4095B", "4KiB", "1MiB", "1025KiB", "from 4KiB to 1MiB"},
      {"gateway.body", "-1B", "0B", "1TiB", "1025GiB", ""},
      {"gateway.slow_start", "-1s", "0s", "1h", "3601s", ""},
      {"gateway.timeouts.connect", "9ms", "10ms", "1m", "61s", "from 10ms to 1m"},
      {"gateway.timeouts.head", "99ms", "100ms", "24h", "86401s", "from 100ms to 1d"},
      {"gateway.timeouts.upstream_idle", "-1s", "0s", "1h", "3601s", ""},
      {"gateway.retries.most", "-1", "0", "10", "11", "from 0 to 10"},
      {"gateway.retries.budget", "-1%", "0%", "100%", "101%", "from 0% to 100%"},
      {"replicas.canary.timeout", "99ms", "100ms", "10m", "601s", "from 100ms to 10m"},
      {"replicas.canary.stall", "999ms", "1s", "24h", "86401s", "from 1s to 1d"},
      {"replicas.canary.every", "999ms", "1s", "24h", "86401s", "from 1s to 1d"},
      {"replicas.endpoints.weight", "-1", "0", "1000", "1001", "from 0 to 1000"},
      {"replicas.endpoints.tier", "-1", "0", "9", "10", "from 0 to 9"},
      {"backups.keep.monthly", "0", "1", "10000", "10001", "from 1 to 10000"},
      {"backups.keep.within", "59m", "1h", "3650d", "3651d", "from 1h to 3650d"},
  };
  const auto file_with = [](const std::string& key, const std::string& value) {
    const auto dot = key.rfind('.');
    const std::string leaf = "{" + key.substr(dot + 1) + ": " + value + "}\n";
    if (key.starts_with("backups")) return kRun + "backups: [{to: a, keep: " + leaf + "}]";
    if (key.starts_with("gateway") && dot != 7) return kRun + "gateway: {" + key.substr(8, dot - 8) + ": " + leaf + "}";
    if (key.starts_with("gateway")) return kRun + "gateway: " + leaf;
    if (key.starts_with("replicas.canary"))
      return replicas("canary: {get: /x, " + key.substr(dot + 1) + ": " + value + "}");
    if (key.starts_with("replicas.endpoints"))
      return "replicas: {endpoints: [{address: \"10.0.0.5:80\", " + key.substr(dot + 1) + ": " + value + "}]}";
    if (dot == key.find('.')) return replicas(key.substr(dot + 1) + ": " + value);
    return replicas(key.substr(9, dot - 9) + ": " + leaf);
  };
  for (const Row& row : rows) {
    CAPTURE(row.key);
    for (const std::string& inside : {row.least, row.most}) {
      const Config config = good(file_with(row.key, inside));
      CHECK((good(to_yaml(config)) == config));
    }
    for (const std::string& outside : {row.below, row.above}) {
      CAPTURE(outside);
      const auto said = bad(file_with(row.key, outside));
      REQUIRE(said.size() == 1);
      CHECK(said[0].contains(row.key));
      CHECK(said[0].contains(row.says));
    }
  }
}

TEST_CASE("config: lists have limits") {
  const auto times = [](std::size_t n, auto item) {
    std::string all;
    for (std::size_t i = 0; i < n; ++i) all += (i > 0 ? ", " : "") + item(std::to_string(i));
    return all;
  };
  struct Row {
    std::string why;
    std::string (*file)(const std::string& items);
    std::string (*item)(const std::string& i);
    std::size_t max;
  };
  const Row rows[] = {
      {"addresses", [](const std::string& items) { return kRun + "listen: [" + items + "]"; },
       [](const std::string& i) { return "\":" + std::to_string(8000 + std::stoi(i)) + "\""; },
       bounds::kListenAddresses},
      {"routes", [](const std::string& items) { return kRun + "routes: [" + items + "]"; },
       [](const std::string& i) { return "{path: /" + i + "}"; }, bounds::kRoutes},
      {"variables", [](const std::string& items) { return replicas("env: {" + items + "}"); },
       [](const std::string& i) { return "A" + i + ": x"; }, bounds::kVariables},
      {"arguments", [](const std::string& items) { return "replicas: {command: [" + items + "]}"; },
       [](const std::string&) { return std::string("\"{port}\""); }, bounds::kArguments},
      {"databases", [](const std::string& items) { return kRun + "data: {sqlite: [" + items + "]}"; },
       [](const std::string& i) { return "d" + i; }, bounds::kDatabases},
      {"model files", [](const std::string& items) { return replicas("files: [" + items + "]"); },
       [](const std::string& i) { return "m" + i; }, bounds::kModelFiles},
      {"endpoints", [](const std::string& items) { return "replicas: {endpoints: [" + items + "]}"; },
       [](const std::string& i) { return "\"10.0.0.5:" + std::to_string(1 + std::stoi(i)) + "\""; },
       bounds::kEndpoints},
      {"trusted proxies", [](const std::string& items) { return kRun + "gateway: {trusted_proxies: [" + items + "]}"; },
       [](const std::string& i) { return "10.0.0." + i; }, bounds::kTrustedProxies},
      {"backups", [](const std::string& items) { return kRun + "backups: [" + items + "]"; },
       [](const std::string& i) { return "{to: b" + i + "}"; }, bounds::kBackups},
      {"times", [](const std::string& items) { return kRun + "backups: [{to: a, archive: [" + items + "]}]"; },
       [](const std::string& i) {
         return "\"" + std::to_string(std::stoi(i) % 24) + (std::stoi(i) < 24 ? ":00\"" : ":30\"");
       },
       bounds::kArchiveTimes},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    good(row.file(times(row.max, row.item)));
    CHECK(bad(row.file(times(row.max + 1, row.item))).size() == 1);
  }
  const std::string text = "\"" + std::string(16'000, 'x') + "\"";
  const auto said = bad("replicas: {command: [serve, \"{port}\", &x " + text + ", " +
                        times(100, [](const std::string&) { return std::string("*x"); }) + "]}");
  REQUIRE(said.size() == 1);  // a small file whose snapshot is not
  CHECK(said[0].contains("larger than 1 MiB with every alias written out"));
}

TEST_CASE("config: all problems come at once, in the order of the file") {
  const std::vector<std::string> said =
      bad("replicas:\n"
          "  count: 0\n"
          "  command: serve\n"
          "  health: {interval: 5, path: x}\n"
          "  env: {A: \"env:\", B: [1]}\n"
          "alerts: []\n"
          "routes: [{path: a}, {path: /a, replay: no}]\n"
          "gateway: {threads: 0}\n"
          "gateway: {}\n"
          "listen: [\":0\", x]\n"
          "service: \"-\"\n");
  const char* const places[] = {"2:10", "3:12", "4:22", "4:31", "5:12",  "5:23", "6:1",
                                "7:17", "7:40", "8:20", "9:1",  "10:10", "10:16"};
  CAPTURE(said.size());
  REQUIRE(said.size() >= std::size(places));
  for (std::size_t i = 0; i < std::size(places); ++i) CHECK(said[i].starts_with(places[i] + std::string(" ")));
}

TEST_CASE("config: what an alias repeats is said once") {
  const auto said = bad(kRun + "routes: [&r {path: a}, *r, *r]");
  REQUIRE(said.size() == 1);
  CHECK(said[0].starts_with("2:20 "));
}

TEST_CASE("config: a problem is shown with its line and a caret") {
  const auto shown = [](const std::string& yaml) {
    const Parsed parsed = parse(yaml);
    REQUIRE(!parsed);
    return format(parsed.error().front(), "nines.yaml");
  };
  CHECK(shown(replicas("helth: {}")) ==
        "nines.yaml:3:3: unknown key \"helth\"; did you mean \"health\"?\n"
        "      helth: {}\n"
        "      ^");
  CHECK(shown("service: a\r\nservice: ä\t\"\r\n").contains("^"));
  CHECK(format({{2, 4}, {"x", "y"}, "\tä\x1b?z"}, "f") == "f:2:4: x; y\n    \tä??z\n    \t  ^");
  CHECK(format({{2, 1}, {"x", ""}, "ab"}, "f") == "f:2:1: x\n    ab\n    ^");
  CHECK(format({{2, 3}, {"x", ""}, "ab"}, "f") == "f:2:3: x\n    ab\n      ^");
  CHECK(format({{2, 9}, {"x", ""}, ""}, "f") == "f:2:9: x");
  CHECK(format({{0, 0}, {"cannot read it", "write one"}, ""}, "f") == "f: cannot read it; write one");
  const std::string line = std::string(300, 'a') + "b" + std::string(300, 'c');
  CHECK(format({{1, 301}, {"x", ""}, line}, "f") == "f:1:301: x\n    …" + std::string(80, 'a') + "b" +
                                                        std::string(39, 'c') + "…\n    " + std::string(81, ' ') + "^");
}

TEST_CASE("config: foreign text in a message is short and harmless") {
  CHECK(quoted("a\x1b[31m\n") == "\"a\\x1b[31m\\x0a\"");
  CHECK(quoted(std::string(60, 'a')) == "\"" + std::string(60, 'a') + "\"");
  CHECK(quoted(std::string(61, 'a')) == "\"" + std::string(60, 'a') + "…\"");
  CHECK(quoted(std::string(59, 'a') + "ä") == "\"" + std::string(59, 'a') + "…\"");
}

class Folder {
 public:
  Folder() { REQUIRE(::mkdtemp(path_.data()) != nullptr); }
  ~Folder() {
    ::unlink((path_ + "/nines.yaml").c_str());
    ::rmdir(path_.c_str());
  }
  std::string file() const { return path_ + "/nines.yaml"; }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/nines-config-test-XXXXXX";
};

TEST_CASE("config: load reads a file, and a missing one says how to go on") {
  const Folder folder;
  Parsed parsed = load(folder.file());
  REQUIRE(!parsed);
  REQUIRE(parsed.error().size() == 1);
  CHECK(parsed.error()[0].at.line == 0);
  CHECK(format(parsed.error()[0], "nines.yaml")
            .starts_with("nines.yaml: cannot read it: No such file or directory; write one"));
  CHECK(parsed.error()[0].complaint.fix.contains("nines run -- COMMAND"));

  std::ofstream(folder.file()) << kRun;
  parsed = load(folder.file());
  REQUIRE(parsed);
  CHECK((*parsed == good(kRun)));

  std::ofstream(folder.file()) << std::string(3 * bounds::kFileBytes, '#');
  parsed = load(folder.file());
  REQUIRE(!parsed);
  CHECK(parsed.error()[0].complaint.what.contains("larger than 1 MiB"));

  parsed = load(folder.path());
  REQUIRE(!parsed);
  CHECK(parsed.error()[0].at.line == 0);
}

}  // namespace
}  // namespace nines::config
