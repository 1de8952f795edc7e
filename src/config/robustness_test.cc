// Goal: whatever bytes arrive, parse() gives a Config or problems a person can find; and whatever Config exists,
// its snapshot is read back as the same Config. Method: seeded damage to good text, and seeded configurations. A
// failure prints the seed that replays it.
#include <doctest/doctest.h>

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "config/config.h"
#include "config/values.h"

namespace nines::config {
namespace {

constexpr std::string_view kGood = R"(service: language-id
objective: 99.9%
listen: [127.0.0.1:8000, "[::1]:8000"]
replicas:
  count: 3
  command: [language-id, --port, "{port}", --db, 'data/ü.db', &m model.ftz, *m]
  health: {path: /health, interval: 2s, timeout: 1s, rise: 2, fall: 3, startup: 600s}
  env:
    TOKEN: "env:TOKEN"
    TEXT: |
      two
      lines
  stop: {drain: 30s, grace: 10s}
  files: [model.ftz]
  canary: {post: /classify, json: {text: "Guten Morgen", n: [1, true]}, expect: {pointer: /label, equals: de}}
routes:
  - {path: /classify, replay: safe, hash: {header: X-Id}, body: 1MiB}
  - path: /learn
    replay: never
gateway: {threads: 2, head: 16KiB, timeouts: {connect: 2s}, retries: {budget: 10%}, trusted_proxies: [10.0.0.0/8]}
data: {sqlite: data/ai_api.db}
backups:
  - {to: backups/, archive: "02:00", keep: {within: 7d}}
dashboard: none
)";

std::string pick(Random& random, std::span<const std::string_view> from) {
  return std::string(from[random.below(static_cast<std::uint32_t>(from.size()))]);
}

// Flips, deletes, inserts, repeats: mostly single bytes, with a taste for those that mean something in YAML.
std::string damaged(Random& random) {
  constexpr std::string_view kMeaningful[] = {"{",
                                              "}",
                                              "[",
                                              "]",
                                              ":",
                                              ": ",
                                              "- ",
                                              "#",
                                              "&a ",
                                              "*a",
                                              "*m",
                                              "!",
                                              "|",
                                              ">",
                                              "'",
                                              "\"",
                                              "%",
                                              "@",
                                              "`",
                                              "\n",
                                              "\t",
                                              "\r",
                                              "---\n",
                                              "...",
                                              "? ",
                                              ", ",
                                              "<<",
                                              "~",
                                              std::string_view("\0", 1),
                                              "\x04",
                                              "\xff",
                                              "ä",
                                              "\xef\xbb\xbf",
                                              "\\",
                                              "  "};
  std::string text(kGood);
  if (random.below(2) == 0) {
    constexpr std::string_view kCommand =
        "  command: [language-id, --port, \"{port}\", --db, 'data/ü.db', &m model.ftz, *m]\n";
    text.replace(text.find(kCommand), kCommand.size(),
                 "  container: {image: \"a/b:v1\", network: host, command: [x, \"{port}\", &m y], volumes: [./d:/d:ro, "
                 "v:/v],\n    engine: /run/e.sock, memory: 1GiB, cpus: 1.5}\n");
  }
  for (std::uint32_t edits = 1 + random.below(8); edits > 0 && !text.empty(); --edits) {
    const std::size_t at = random.below(static_cast<std::uint32_t>(text.size()));
    const std::size_t length = 1 + random.below(1 + random.below(40));
    switch (random.below(5)) {
      case 0: text[at] = static_cast<char>(text[at] ^ (1 << random.below(8))); break;
      case 1: text.erase(at, length); break;
      case 2: text.insert(at, 1, static_cast<char>(random.below(256))); break;
      case 3: text.insert(at, pick(random, kMeaningful)); break;
      case 4: text.insert(at, text.substr(at, length)); break;
    }
  }
  if (random.below(8) == 0) text.resize(random.below(static_cast<std::uint32_t>(text.size() + 1)));
  return text;
}

void check_findable(std::string text, const std::vector<Problem>& problems) {
  REQUIRE(!problems.empty());
  REQUIRE(std::ranges::is_sorted(problems, {}, &Problem::at));
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);
  const auto lines = std::ranges::count(text, '\n') + 1;
  for (const Problem& problem : problems) {
    REQUIRE(problem.at.line >= 1);
    REQUIRE(problem.at.line <= lines);
    REQUIRE(problem.at.column >= 1);
    REQUIRE(static_cast<std::size_t>(problem.at.column) <= problem.source.size() + 1);
    REQUIRE(!problem.complaint.what.empty());
    REQUIRE(text.find(problem.source) != std::string::npos);
    REQUIRE(format(problem, "nines.yaml").ends_with('^') == !problem.source.empty());
  }
}

TEST_CASE("config: damaged text is a configuration or a problem with a place, never a crash") {
  int survived = 0;
  for (std::uint64_t seed = 1; seed <= 2'000; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    const std::string text = damaged(random);
    const Parsed parsed = parse(text);
    if (!parsed) {
      check_findable(text, parsed.error());
      continue;
    }
    ++survived;
    const Parsed again = parse(to_yaml(*parsed));
    REQUIRE(again);
    REQUIRE((*again == *parsed));
  }
  CHECK(survived > 20);  // else the damage is too coarse to reach the schema
  CHECK(survived < 1'000);
}

std::string any_text(Random& random, std::uint32_t length_max) {
  constexpr std::string_view kPieces[] = {"a",      "Z",    "0",    " ", "\"",   "'", "\\",     "\n",     "\r",
                                          "\t",     "\x01", "\x7f", ":", ": ",   "#", " #",     "{",      "}",
                                          "&",      "*",    "!",    "%", "ä",    "€", "😀",     "\u0085", "\u2028",
                                          "\ufeff", "env",  "null", "~", "true", "-", "{port}", "---\n"};
  std::string text;
  while (text.size() < length_max && random.below(12) != 0) text += pick(random, kPieces);
  return text;
}

std::string any_name(Random& random) {
  std::string name(1, static_cast<char>('A' + random.below(26)));
  while (random.below(8) != 0) name += static_cast<char>('a' + random.below(26));
  return name;
}

std::string any_path(Random& random) {
  std::string path = "/";
  while (random.below(10) != 0) {
    const char c = static_cast<char>('!' + random.below(94));
    if (c != '#' && c != '?') path += c;
  }
  return path;
}

int any(Random& random, Bounds<int> bounds) {
  return bounds.min + static_cast<int>(random.below(static_cast<std::uint32_t>(bounds.max - bounds.min + 1)));
}

Duration any(Random& random, Bounds<Duration> bounds) {
  constexpr Duration kSteps[] = {1ns, 1us, 1ms, 1s, 1min, 1h};
  const Duration step = kSteps[random.below(6)];
  const Duration d{static_cast<Duration::rep>(random.next() >> 1) % (bounds.max - bounds.min + 1ns).count()};
  return std::clamp(d / step * step, bounds.min, bounds.max);
}

Health any_health(Random& random) {
  Health health{.interval = any(random, bounds::kInterval),
                .timeout = any(random, bounds::kTimeout),
                .rise = any(random, bounds::kRiseFall),
                .fall = any(random, bounds::kRiseFall),
                .startup = any(random, bounds::kStartup)};
  if (random.below(3) != 0) health.path = any_path(random);
  return health;
}

EnvironmentValue any_value(Random& random) {
  switch (random.below(3)) {
    case 0: return Secret(Secret::Source::kEnvironment, any_name(random));
    case 1: return Secret(Secret::Source::kFile, "x" + any_text(random, 30));
    default: break;
  }
  const std::string text = any_text(random, 100);
  return text.starts_with("env:") ? "x" + text : text;  // else it would be a reference
}

// Bounds and lists of what is to be kept safe; every path is another one.
void add_protection(Random& random, Config& config) {
  int serial = 0;
  const auto path = [&] { return any_text(random, 20) + "x" + std::to_string(++serial); };
  while (random.below(3) != 0) config.data.sqlite.push_back(path());
  while (random.below(3) != 0) config.replicas.files.push_back(path());
  while (config.backups.size() < bounds::kBackups && random.below(3) != 0) {
    Backup backup{.to = path(), .archive = {}};
    for (int hour = 0; hour < 24; ++hour) {
      if (random.below(8) == 0) backup.archive.push_back({hour, static_cast<int>(random.below(60))});
    }
    const auto count = [&] { return random.below(2) != 0 ? any(random, bounds::kKept) : 0; };
    backup.keep = {.last = any(random, bounds::kKept),
                   .hourly = count(),
                   .daily = count(),
                   .weekly = count(),
                   .monthly = count(),
                   .within = random.below(2) != 0 ? any(random, bounds::kWithin) : Duration{0}};
    config.backups.push_back(std::move(backup));
  }
  if (random.below(3) == 0) config.dashboard = Dashboard{};
  if (random.below(3) == 0) config.dashboard = Dashboard{Address{"127.0.0.2", 9900}};
}

void add_canary(Random& random, Config& config) {
  Canary canary{.path = any_path(random),
                .timeout = any(random, bounds::kCanaryTimeout),
                .stall = any(random, bounds::kStall),
                .every = any(random, bounds::kCanaryEvery)};
  if (random.below(2) != 0) {
    canary.method = "GET";
  } else {
    canary.body = any_text(random, 60);
    canary.content_type = random.below(2) != 0 ? Canary::kText : "a/b;c=\"d\"";
  }
  constexpr std::string_view kJson[] = {
      "null", "true", "-1.5e3", "\"a \\\" b\"", "[1, 2]", "{}", "{\"a\": {\"b: c\": [\"ü\", \"\\u0001\"]}}"};
  if (random.below(2) != 0) canary.expect = Canary::Expect{random.below(2) != 0 ? "/a/0" : "", pick(random, kJson)};
  config.replicas.canary = std::move(canary);
}

void add_endpoints(Random& random, Config& config) {
  Replicas& replicas = config.replicas;
  replicas = {.health = replicas.health, .canary = replicas.canary};
  constexpr std::string_view kIps[] = {"127.0.0.1", "10.1.2.3", "::1", "2001:db8::7"};
  for (std::uint32_t n = 1 + random.below(5); n > 0; --n)
    replicas.endpoints.push_back({.at = {pick(random, kIps), static_cast<std::uint16_t>(65'100 + n)},
                                  .weight = any(random, bounds::kWeight),
                                  .tier = any(random, bounds::kTier)});
  replicas.count = static_cast<int>(replicas.endpoints.size());
}

void add_container(Random& random, Config& config) {
  constexpr std::string_view kImages[] = {"a", "registry:5000/a/b_c-d:v1.0", "a@sha256:0123"};
  Container container{.image = pick(random, kImages)};
  if (random.below(2) == 0) {
    container.network = Container::Network::kHost;
    container.command = {"x" + any_text(random, 20), "{port}"};
  } else {
    container.port = static_cast<std::uint16_t>(1 + random.below(65'535));
    if (random.below(2) == 0) container.command = {"x" + any_text(random, 20)};
  }
  while (random.below(3) != 0) {
    constexpr std::string_view kVolumes[] = {"./a b:/b", "/a:/b:ro", "v_1:/v:ro,Z", "../ü:/:rw"};
    container.volumes.push_back(pick(random, kVolumes));
  }
  if (random.below(2) == 0) container.engine = "/" + any_text(random, 30);
  if (random.below(2) == 0)
    container.memory = bounds::kContainerMemory.min +
                       random.next() % (bounds::kContainerMemory.max - bounds::kContainerMemory.min + 1);
  if (random.below(2) == 0) container.cpu_percent = any(random, bounds::kCpuPercent);
  Replicas& replicas = config.replicas;
  replicas.command.clear();
  replicas.directory.reset();
  replicas.user.reset();
  replicas.umask.reset();
  replicas.limits = {};
  replicas.container = std::move(container);
}

Gateway any_gateway(Random& random) {
  const auto size = [&](Bounds<std::uint64_t> b) { return b.min + random.next() % (b.max - b.min + 1); };
  const auto wait = [&] { return any(random, bounds::kWait); };
  Gateway gateway{.in_flight = any(random, bounds::kInFlight),
                  .queue = any(random, bounds::kQueue),
                  .queue_time = any(random, bounds::kQueueTime),
                  .connections = any(random, bounds::kConnections),
                  .head = size(bounds::kHead),
                  .body = size(bounds::kBody),
                  .timeouts = {.connect = any(random, bounds::kConnect),
                               .head = wait(),
                               .body_idle = wait(),
                               .first_byte = wait(),
                               .answer_idle = wait(),
                               .stream_idle = wait(),
                               .keep_alive = wait(),
                               .tunnel_idle = wait(),
                               .upstream_idle = any(random, bounds::kUpstreamIdle)},
                  .retries = {any(random, bounds::kRetries), any(random, bounds::kBudget)},
                  .slow_start = any(random, bounds::kSlowStart),
                  .cancel_upstream = random.below(2) != 0,
                  .access_log = static_cast<AccessLog>(random.below(3))};
  gateway.timeouts.first_byte_max = std::max(gateway.timeouts.first_byte, wait());
  if (random.below(2) != 0) gateway.threads = any(random, bounds::kThreads);
  if (random.below(2) != 0) gateway.trusted_proxies = {{"10.0.0.0", 8}, {"fd00::1", 128}};
  if (random.below(2) != 0) gateway.unavailable_page = "pages/" + any_text(random, 20) + "x";
  return gateway;
}

Route any_route(Random& random, std::uint32_t n) {
  Route route{.path = "/" + std::to_string(n) + any_path(random),
              .replay = random.below(2) != 0 ? Replay::kSafe : Replay::kNever};
  if (random.below(2) != 0) route.hash_header = "X-" + any_name(random).substr(0, 60);
  if (random.below(2) != 0) route.first_byte = any(random, bounds::kWait);
  if (random.below(2) != 0) route.stream_idle = any(random, bounds::kWait);
  if (random.below(2) != 0) route.body = random.next() % (bounds::kBody.max + 1);
  return route;
}

Config any_config(Random& random) {
  Config config;
  if (random.below(2) != 0) config.service = "s-" + std::to_string(random.below(1000));
  if (random.below(2) != 0) config.objective = std::max(random.unit(), 1e-12);
  if (random.below(4) == 0) config.objective = 1 - 0x1p-53;  // the largest below 1
  constexpr std::string_view kIps[] = {"127.0.0.1", "10.1.2.3", "::1", "2001:db8::7"};
  config.listen.clear();
  for (std::uint32_t n = 1 + random.below(4), port = 1 + random.below(65'000); n > 0; --n) {
    config.listen.push_back({pick(random, kIps), static_cast<std::uint16_t>(port + n)});
  }
  config.replicas.count = any(random, bounds::kCount);
  config.replicas.command = {"x" + any_text(random, 20), any_text(random, 20), "{port}" + any_text(random, 20)};
  config.replicas.health = any_health(random);
  while (random.below(3) != 0) config.replicas.env.emplace(any_name(random), any_value(random));
  config.replicas.stop = {any(random, bounds::kStop), any(random, bounds::kStop)};
  for (std::uint32_t n = random.below(4); n > 0; --n) config.routes.push_back(any_route(random, n));
  config.gateway = any_gateway(random);
  add_protection(random, config);
  if (random.below(2) != 0) add_canary(random, config);
  if (random.below(4) == 0) add_container(random, config);
  if (random.below(4) == 0) add_endpoints(random, config);
  return config;
}

TEST_CASE("config: every configuration survives its snapshot") {
  for (std::uint64_t seed = 1; seed <= 2'000; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    const Config config = any_config(random);
    const std::string snapshot = to_yaml(config);
    CAPTURE(snapshot);
    const Parsed parsed = parse(snapshot);
    if (!parsed) FAIL(format(parsed.error().front(), "snapshot"));
    REQUIRE((*parsed == config));
    REQUIRE(to_yaml(*parsed) == snapshot);
  }
}

}  // namespace
}  // namespace nines::config
