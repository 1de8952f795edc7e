#include "config/changes.h"

#include <doctest/doctest.h>

#include <functional>

namespace nines::config {
namespace {

Config base() {
  const auto parsed = parse(R"(
service: api
listen: 127.0.0.1:8000
replicas:
  count: 2
  command: [server, --port, "{port}"]
  env: {KEY: one}
routes: [{path: /classify, replay: safe}]
)");
  REQUIRE(parsed);
  return *parsed;
}

TEST_CASE("changes: each by its key, with what it was and is") {
  struct Row {
    const char* name;
    std::function<void(Config&)> change;
    std::vector<Change> expected;
  };
  const std::vector<Row> rows = {
      {"nothing", [](Config&) {}, {}},
      {"a number", [](Config& c) { c.replicas.count = 5; }, {{"replicas.count", "2", "5"}}},
      {"a duration below two keys",
       [](Config& c) { c.gateway.timeouts.connect = 3s; },
       {{"gateway.timeouts.connect", "1s", "3s"}}},
      {"a list is one key",
       [](Config& c) { c.listen.push_back({"127.0.0.1", 8001}); },
       {{"listen", "[127.0.0.1:8000]", "[127.0.0.1:8000, 127.0.0.1:8001]"}}},
      {"a key that comes", [](Config& c) { c.objective = 0.999; }, {{"objective", "", "99.9%"}}},
      {"a key that goes", [](Config& c) { c.service.reset(); }, {{"service", "api", ""}}},
      {"two, in the order of the file",
       [](Config& c) { c.gateway.queue = 7, c.service = "other"; },
       {{"service", "api", "other"}, {"gateway.queue", "100", "7"}}},
      {"a variable changes, and neither value is told",
       [](Config& c) { c.replicas.env["KEY"] = std::string("two"); },
       {{"replicas.env.KEY", "…", "…"}}},
      {"a variable that comes",
       [](Config& c) { c.replicas.env["NEW"] = std::string("x"); },
       {{"replicas.env.NEW", "", "…"}}},
      {"a variable that goes", [](Config& c) { c.replicas.env.clear(); }, {{"replicas.env.KEY", "…", ""}}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const Config before = base();
    Config after = before;
    row.change(after);
    const auto found = changes(before, after);
    REQUIRE(found.size() == row.expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      CHECK(found[i].key == row.expected[i].key);
      CHECK(found[i].before == row.expected[i].before);
      CHECK(found[i].after == row.expected[i].after);
    }
  }
}

TEST_CASE("changes: a list of mappings is read on one line") {
  const Config before = base();
  Config after = before;
  after.routes.clear();
  const auto found = changes(before, after);
  REQUIRE(found.size() == 1);
  CHECK(found[0].key == "routes");
  CHECK(found[0].before.starts_with("[{path: /classify, replay: safe"));
  CHECK(text_of(found[0]).ends_with(" -> nothing"));
}

}  // namespace
}  // namespace nines::config
