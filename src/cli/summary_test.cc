#include "cli/summary.h"

#include <doctest/doctest.h>

namespace nines::cli {
namespace {

config::Config config(const std::string& yaml) {
  auto parsed = config::parse(yaml);
  REQUIRE(parsed);
  parsed->service = "language-id";
  return *parsed;
}

const char* const kFull = R"(objective: 99.9%
listen: [127.0.0.1:8000, "[::1]:8000"]
replicas:
  count: 3
  command: [serve, "{port}", "two words", "it's"]
  health: {rise: 1}
  files: [model.bin]
routes: [{path: /classify, replay: safe}, {path: /learn}]
data: {sqlite: [a.db, b.db]}
backups: [{to: backups/, archive: "02:00"}, {to: /mnt/b, keep: {last: 2, daily: 7}}]
)";

TEST_CASE("summary: what would run") {
  CHECK(summary_text(config(kFull), "nines.yaml", "/usr/bin/serve") == R"(nines.yaml is right. `nines up` would run

  service    language-id
  objective  99.9%
  listen     http://127.0.0.1:8000
             http://[::1]:8000
  replicas   3 × serve {port} 'two words' 'it'\''s'
  command    /usr/bin/serve
  health     GET /health every 2s, at most 1s; in after 1 success, out after 3 failures in a row; 10m to start
  routes     /classify, sent again elsewhere after a failure
             /learn
  data       a.db
             b.db
  files      model.bin
  backups    backups/ at 02:00 local time; keeps all within 7d
             /mnt/b by hand only; keeps 2 last, 7 daily
)");
  CHECK(summary_text(config("replicas: {command: 'serve {port}'}"), "x.yaml", "/usr/bin/serve") ==
        R"(x.yaml is right. `nines up` would run

  service    language-id
  listen     http://127.0.0.1:8000
  replicas   1 × serve {port}
  command    /usr/bin/serve
  health     a TCP connect every 2s, at most 1s; in after 2 successes in a row, out after 3 failures in a row; 10m to start
)");
}

TEST_CASE("summary: servers elsewhere") {
  const config::Config elsewhere =
      config("replicas: {endpoints: [\"10.0.0.5:80\", {address: \"[fd00::5]:80\", weight: 50, tier: 1}]}");
  CHECK(summary_text(elsewhere, "x.yaml", "")
            .contains("  endpoints  http://10.0.0.5:80\n"
                      "             http://[fd00::5]:80, weight 50, tier 1\n"
                      "  health"));
  CHECK(summary_json(elsewhere, "x.yaml", "")
            .contains(R"("program":null,"endpoints":[{"address":"10.0.0.5:80","weight":100,"tier":0},)"
                      R"({"address":"[fd00::5]:80","weight":50,"tier":1}])"));
}

TEST_CASE("summary: data that nothing guards is said") {
  CHECK(summary_text(config("replicas: {command: 'serve {port}'}\ndata: {sqlite: a.db}"), "x.yaml", "/usr/bin/serve")
            .contains("  data       a.db\n  backups    none: nothing guards the data\n"));
}

TEST_CASE("summary: as JSON") {
  CHECK(
      summary_json(config(kFull), "nines.yaml", "/usr/bin/serve") ==
      R"({"valid":true,"file":"nines.yaml","service":"language-id","objective":9.99E-1,)"
      R"("listen":["http://127.0.0.1:8000","http://[::1]:8000"],"replicas":3,)"
      R"("command":["serve","{port}","two words","it's"],"image":null,"program":"/usr/bin/serve","endpoints":[],)"
      R"("health":{"path":"/health","interval":"2s","timeout":"1s","rise":1,"fall":3,"startup":"10m"},)"
      R"("routes":[{"path":"/classify","replay":"safe"},{"path":"/learn","replay":"never"}],"data":["a.db","b.db"],"files":["model.bin"],)"
      R"("backups":[{"to":"backups/","archive":["02:00"],"keep":"all within 7d"},)"
      R"({"to":"/mnt/b","archive":[],"keep":"2 last, 7 daily"}],"problems":[]})");
  CHECK(problems_json({{{2, 3}, {"what", "fix"}, "source"}}, "f") ==
        R"({"valid":false,"file":"f","problems":[{"line":2,"column":3,"what":"what","fix":"fix","source":"source"}]})");
}

TEST_CASE("summary: containers") {
  const auto boxed = config("replicas: {count: 2, container: {image: 'my-ai:v1', port: 80, command: [serve, 'a b']}}");
  CHECK(summary_text(boxed, "x.yaml", "")
            .contains("  replicas   2 × container of my-ai:v1\n  command    serve 'a b'\n  health"));
  CHECK(summary_json(boxed, "x.yaml", "").contains(R"("command":["serve","a b"],"image":"my-ai:v1","program":null)"));
  CHECK_FALSE(summary_text(config("replicas: {container: {image: a, port: 80}}"), "x.yaml", "").contains("command"));
}

TEST_CASE("summary: words as a shell takes them") {
  CHECK(shell_words({"a", "", "b c", "$x", "{port}"}) == "a '' 'b c' '$x' {port}");
}

}  // namespace
}  // namespace nines::cli
