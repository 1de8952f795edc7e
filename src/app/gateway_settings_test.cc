#include "app/gateway_settings.h"

#include <doctest/doctest.h>

#include <functional>

#include "base/test_support.h"

namespace nines::app {
namespace {

using gateway::Settings;

const std::string kRun = "replicas: {command: [serve, \"{port}\"]}\n";

config::Config config(const std::string& yaml) {
  auto parsed = config::parse(yaml);
  REQUIRE(parsed);
  return *std::move(parsed);
}

Settings settings(const std::string& yaml, std::size_t threads = 1) { return settings_of(config(yaml), threads); }

// What a key of `gateway:` changes.
TEST_CASE("gateway settings: every key arrives where it belongs") {
  struct Row {
    std::string key, value;
    std::function<bool(const Settings&)> arrived;
  };
  const Row rows[] = {
      {"in_flight", "7", [](const Settings& s) { return s.admission.in_flight == 7; }},
      {"queue", "8", [](const Settings& s) { return s.admission.queue == 8; }},
      {"queue_time", "9s", [](const Settings& s) { return s.admission.queue_time == 9s; }},
      {"connections", "10", [](const Settings& s) { return s.connections == 10; }},
      {"head", "16KiB", [](const Settings& s) { return s.head.head_bytes == 16384; }},
      {"body", "1MiB", [](const Settings& s) { return s.body_bytes == 1048576; }},
      {"timeouts", "{connect: 2s}", [](const Settings& s) { return s.connect_time == 2s; }},
      {"timeouts", "{head: 3s}", [](const Settings& s) { return s.head_time == 3s; }},
      {"timeouts", "{body_idle: 4s}", [](const Settings& s) { return s.body_idle == 4s; }},
      {"timeouts", "{first_byte: 5s}", [](const Settings& s) { return s.patience.first_byte == 5s; }},
      {"timeouts", "{first_byte_max: 20m}", [](const Settings& s) { return s.patience.first_byte_max == 20min; }},
      {"timeouts", "{answer_idle: 6s}", [](const Settings& s) { return s.answer_idle == 6s; }},
      {"timeouts", "{stream_idle: 90s}", [](const Settings& s) { return s.stream_idle == 90s; }},
      {"timeouts", "{tunnel_idle: 2h}", [](const Settings& s) { return s.tunnel_idle == 2h; }},
      {"timeouts", "{keep_alive: 7s}", [](const Settings& s) { return s.keep_alive == 7s; }},
      {"timeouts", "{upstream_idle: 8s}", [](const Settings& s) { return s.upstream_idle == 8s; }},
      {"retries", "{most: 1}", [](const Settings& s) { return s.replay.repetitions == 1; }},
      {"retries", "{budget: 50%}", [](const Settings& s) { return s.retry_budget.share == 0.5; }},
      {"slow_start", "30s", [](const Settings& s) { return s.slow_start.window == 30s; }},
      {"cancel_upstream", "false", [](const Settings& s) { return !s.cancel_upstream; }},
      {"trusted_proxies", "[10.0.0.0/8]", [](const Settings& s) { return s.trusted_proxies.contain("10.1.2.3"); }},
  };
  for (const Row& row : rows) {
    CAPTURE(row.key);
    CAPTURE(row.value);
    CHECK_FALSE(row.arrived(settings(kRun)));
    CHECK(row.arrived(settings(kRun + "gateway: {" + row.key + ": " + row.value + "}")));
  }
}

// What the file does not say must not differ from what the gateway's own tests run with.
TEST_CASE("gateway settings: the defaults of the configuration are those of the gateway") {
  const Settings ours = settings(kRun), theirs;
  CHECK(ours.admission.in_flight == theirs.admission.in_flight);
  CHECK(ours.admission.queue == theirs.admission.queue);
  CHECK(ours.admission.queue_time == theirs.admission.queue_time);
  CHECK(ours.connections == theirs.connections);
  CHECK(ours.head.head_bytes == theirs.head.head_bytes);
  CHECK(ours.body_bytes == theirs.body_bytes);
  CHECK(ours.connect_time == theirs.connect_time);
  CHECK(ours.head_time == theirs.head_time);
  CHECK(ours.body_idle == theirs.body_idle);
  CHECK(ours.patience.first_byte == theirs.patience.first_byte);
  CHECK(ours.patience.first_byte_max == theirs.patience.first_byte_max);
  CHECK(ours.answer_idle == theirs.answer_idle);
  CHECK(ours.stream_idle == theirs.stream_idle);
  CHECK(ours.tunnel_idle == theirs.tunnel_idle);
  CHECK(ours.keep_alive == theirs.keep_alive);
  CHECK(ours.upstream_idle == theirs.upstream_idle);
  CHECK(ours.replay.repetitions == theirs.replay.repetitions);
  CHECK(ours.retry_budget.share == theirs.retry_budget.share);
  CHECK(ours.slow_start.window == theirs.slow_start.window);
  CHECK(ours.cancel_upstream == theirs.cancel_upstream);
  CHECK(ours.health.interval == theirs.health.interval);
  CHECK(ours.health.rise == theirs.health.rise);
  CHECK(ours.health.fall == theirs.health.fall);
  CHECK(ours.health_timeout == theirs.health_timeout);
  CHECK_FALSE(ours.canary);
}

TEST_CASE("gateway settings: health checks, canary and routes") {
  const Settings s = settings(
      "replicas:\n"
      "  command: 'serve {port}'\n"
      "  health: {path: /up, interval: 300ms, timeout: 2s, rise: 4, fall: 5}\n"
      "  canary: {post: /x, text: hello, expect: {pointer: /a, equals: 1}, timeout: 3s, stall: 40s}\n"
      "routes: [{path: /safe, replay: safe}, {path: /slow, first_byte: 5m, stream_idle: 1m, body: 1KiB}, {path: /hash, "
      "hash: {header: X-Id}}]\n",
      3);
  CHECK(s.workers == 3);
  CHECK(s.health_path == "/up");
  CHECK(s.health.interval == 300ms);
  CHECK(s.health.down == 300ms);  // never slower than while it is well
  CHECK(s.health.transition == 300ms);
  CHECK(s.health_timeout == 2s);
  CHECK(s.health.rise == 4);
  CHECK(s.health.fall == 5);
  REQUIRE(s.canary);
  CHECK(s.canary->method == "POST");
  CHECK(s.canary->target == "/x");
  CHECK(s.canary->body == "hello");
  CHECK(s.canary->content_type == "text/plain; charset=utf-8");
  CHECK(s.canary->timeout == 3s);
  CHECK(s.canary->stall == 40s);
  REQUIRE(s.canary->expect);
  CHECK(s.canary->expect->pointer == "/a");
  CHECK(s.canary->expect->equals == "1");
  CHECK(gateway::check_canary(*s.canary));
  CHECK(s.routes.match("/safe/x").replay_safe);
  CHECK_FALSE(s.routes.match("/other").replay_safe);
  CHECK(s.routes.match("/hash").hash_header == "X-Id");
  CHECK(s.routes.match("/other").hash_header.empty());
  CHECK(s.routes.match("/slow").first_byte == 5min);
  CHECK(s.routes.match("/slow").stream_idle == 1min);
  CHECK(s.routes.match("/slow").body_bytes == 1024);
  CHECK_FALSE(s.routes.match("/other").first_byte);
  CHECK_FALSE(s.routes.match("/other").stream_idle);
  CHECK_FALSE(s.routes.match("/other").body_bytes);
}

TEST_CASE("gateway settings: a page that cannot be shown is named, and why") {
  const testing::Folder folder;
  folder.file("empty.html", "", 0644);
  folder.file("largest.html", std::string(1024 * 1024, 'x'), 0644);
  folder.file("larger.html", std::string(1024 * 1024 + 1, 'x'), 0644);
  const auto why = [&](const std::string& name) {
    const auto page = read_unavailable_page(folder / name);
    return page ? "" : page.error().text();
  };
  CHECK(why("largest.html").empty());
  for (const auto& [name, words] : {std::pair("missing.html", "No such file"), std::pair("empty.html", "is empty"),
                                    std::pair("larger.html", "more than 1 MiB")}) {
    CAPTURE(why(name));
    CHECK(why(name).contains(name));
    CHECK(why(name).contains(words));
  }
}

TEST_CASE("gateway settings: what this machine and its files add") {
  const testing::Folder folder;
  folder.file("sorry.html", "<p>sorry", 0644);
  const auto lanes = [&](const std::string& keys, const std::string& access_log) {
    return lanes_of(config(kRun + "gateway: {" + keys + "}"), {.folder = folder.path(), .access_log = access_log});
  };
  CHECK(lanes("unavailable_page: sorry.html", "").settings.unavailable_page == "<p>sorry");
  CHECK(lanes("unavailable_page: missing.html", "").settings.unavailable_page.empty());
  CHECK(lanes("threads: 5", "").settings.workers == 5);
  CHECK(lanes("access_log: all", "/x/access.log").access_log == gateway::AccessLogged::kAll);
  CHECK(lanes("", "/x/access.log").access_log == gateway::AccessLogged::kProblems);
  CHECK(lanes("access_log: none", "/x/access.log").access_log == gateway::AccessLogged::kNone);
  CHECK(lanes("access_log: all", "").access_log == gateway::AccessLogged::kNone);
  CHECK(lanes("access_log: all", "/x/access.log").access_file == "/x/access.log");
  // Each connection may need two descriptors, and more than there are would end in errors nobody expects.
  CHECK(lanes("threads: 1, connections: 1000000", "").settings.connections < 1'000'000);
}

}  // namespace
}  // namespace nines::app
