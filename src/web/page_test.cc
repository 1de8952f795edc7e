#include "web/page.h"

#include <doctest/doctest.h>

#include "web/test_support.h"
#include "web/text.h"

namespace nines::web {
namespace {

using plane::EventKind;
using testing::World;

bool has(const std::string& page, std::string_view what) { return page.find(what) != std::string::npos; }

// Every tag is closed by its own, in order; quotes of attributes end. Returns what is wrong, empty when nothing is.
std::string nesting_problem(std::string_view html) {
  std::vector<std::string> open;
  for (std::size_t at = html.find('<'); at != std::string_view::npos; at = html.find('<', at)) {
    const auto end = html.find('>', at);
    if (end == std::string_view::npos) return "a tag does not end";
    const std::string_view tag = html.substr(at + 1, end - at - 1);
    at = end;
    if (tag.starts_with('!')) continue;
    if (std::ranges::count(tag, '"') % 2 != 0) return "open quote in <" + std::string(tag) + ">";
    const bool closes = tag.starts_with('/');
    const std::string name(tag.substr(closes ? 1 : 0, tag.find(' ') - (closes ? 1 : 0)));
    if (name == "meta") continue;
    if (!closes) {
      open.push_back(name);
    } else if (open.empty() || open.back() != name) {
      return "</" + name + "> closes " + (open.empty() ? "nothing" : open.back());
    } else {
      open.pop_back();
    }
  }
  return open.empty() ? "" : "<" + open.back() + "> stays open";
}

TEST_CASE("page: it says how the service is, in words") {
  World world;
  const std::string up = page(world.view());
  CHECK(has(up, "<html lang=\"en\">"));
  CHECK(has(up, "<title>ai: up – nines</title>"));
  CHECK(has(up, "<h1>ai</h1>"));
  CHECK(has(up,
            "<span aria-hidden=\"true\">●</span> up</span> <span class=\"dim\">since <time "
            "datetime=\"2026-11-23T18:36:42.000Z\">2026-11-23 18:36:42 UTC</time> (1 h 23 min)"));
  CHECK(has(up, "3 of 3 replicas take requests"));
  CHECK(has(up, "http://127.0.0.1:8000 · objective 99.9 % · /srv/ai/.nines"));
  CHECK_FALSE(has(up, "<li>"));

  world.dead.insert(101);
  const std::string degraded = page(world.view());
  CHECK(has(degraded, "<title>ai: degraded – nines</title>"));
  CHECK(has(degraded, "degraded</span> <span class=\"dim\">since unknown"));
  CHECK(has(degraded, "<li>the anchor is gone: <code>nines upgrade</code> puts one back</li>"));
}

TEST_CASE("page: replicas, parts, counters, events and backups") {
  World world;
  world.table->observed[0].requests = 12'345;
  world.table->observed[0].errors = 12;
  world.table->observed[0].in_flight[0] = 3;
  world.table->observed[0].latency.record(5ms);
  world.table->service.replayed = 1'234;
  world.table->service.connections[1] = 7;
  world.push(EventKind::kUnready, 99'000s, 1, "GET /health: 500");
  world.facts.ledger = LedgerFacts{.rows = 4'711, .problem = "the disk is full"};
  world.facts.backups = {{.archive = "ai-2026-11-23.tar.zst", .at = World::kWall - 2h, .bytes = 4'200'000},
                         {.archive = "old", .at = World::kWall - 26h, .bytes = 5, .verified = Verified::kNo}};
  const std::string html = page(world.view());
  CHECK(has(html,
            "<th scope=\"row\">ai-1</th><td><span class=\"good\"><span aria-hidden=\"true\">●</span> ready</span></td>"
            "<td class=\"n\">1001</td><td class=\"n\">20001</td><td class=\"n\">3</td><td class=\"n\">12,345</td>"
            "<td class=\"n\">12 (0.097 %)</td><td class=\"n\">5.1 ms</td><td class=\"n\">5.1 ms</td>"));
  CHECK(has(html, "<th scope=\"row\">anchor</th>"));
  CHECK(has(html, "<dt>Sent again elsewhere</dt><dd>1,234</dd>"));
  CHECK(has(html, "<dt>Connections open</dt><dd>7</dd>"));
  CHECK(has(html, "ai-2 is not ready any more: GET /health: 500"));
  CHECK(has(html, "4,711 rows, 1 event waiting"));
  CHECK(has(html, "Events cannot be recorded: the disk is full"));
  CHECK(has(html, "4.2 MB"));
  CHECK(has(html, "not yet"));
  CHECK(has(html, "it cannot be restored"));
}

TEST_CASE("page: what is unknown is said to be") {
  World world;
  World::tear(world.table->routes[0]);
  World::tear(world.table->supervisor);
  const std::string html = page(world.view());
  CHECK(has(html, "<th scope=\"row\">slot 0</th>"));
  CHECK(has(html, "its record cannot be read"));
  CHECK(has(html, "the record about the supervisor cannot be read"));
  CHECK(nesting_problem(html).empty());
}

TEST_CASE("page: events that cannot be read leave a visible gap") {
  World world;
  auto view = world.view();
  view.log.last = {{.number = 9, .at = {}, .words = "a"}, {.number = 5, .at = {}, .words = "b"}};
  CHECK(has(page(view), "3 events here cannot be read"));
}

TEST_CASE("page: whatever the names and texts are, they stay text") {
  const std::string attack = "<script>alert(\"1\")</script>'&`x\x01\xff";
  World world;
  world.replica(0, attack);
  world.verdict(0, plane::Health::kDown, 99'000s, attack);
  world.push(EventKind::kExited, 99'000s, 0, attack);
  world.push(EventKind::kServiceStarted, 99'000s, plane::kNoReplica, attack);
  Facts& facts = world.facts;
  facts.service = facts.version = facts.folder = attack;
  facts.listen = {attack};
  facts.backups = {{.archive = attack, .at = World::kWall}};
  facts.ledger = LedgerFacts{.rows = {}, .problem = attack};
  const std::string html = page(world.view());
  CHECK_FALSE(has(html, "<script"));
  CHECK_FALSE(has(html, "alert(\""));
  CHECK_FALSE(has(html, "\x01"));
  CHECK_FALSE(has(html, "\xff"));
  CHECK(has(html, "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&#39;&amp;"));
  CHECK(nesting_problem(html) == "");
}

TEST_CASE("page: nothing from elsewhere, no scripts, colours and widths for everybody") {
  const std::string html = page(World().view());
  CHECK_FALSE(has(html, "src="));
  CHECK_FALSE(has(html, "<link"));
  CHECK_FALSE(has(html, "url("));
  CHECK_FALSE(has(html, "@import"));
  CHECK_FALSE(has(html, " on"));
  CHECK(has(html, "prefers-color-scheme:dark"));
  CHECK(has(html, "name=\"viewport\""));
  CHECK(has(html, "<meta http-equiv=\"refresh\" content=\"2\">"));
  CHECK_FALSE(has(page(World().view(), {.refreshes = false}), "http-equiv"));
  CHECK(nesting_problem(html) == "");
  CHECK(html.size() < 16'000);
}

TEST_CASE("text: only valid UTF-8 without control characters is let through") {
  struct Row {
    std::string_view in, out;
  };
  const Row rows[] = {
      {"plain äöü € 😀", "plain äöü € 😀"},
      {"tab\tline\n\x7f", "tab\uFFFDline\uFFFD\uFFFD"},
      {"\xC2\x85", "\uFFFD"},                            // a line's end of C1
      {"\xC0\xAF", "\uFFFD\uFFFD"},                      // an overlong slash
      {"\xE0\x80\xAF", "\uFFFD\uFFFD\uFFFD"},            // and another
      {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"},            // a surrogate
      {"\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},  // beyond U+10FFFF
      {"cut \xE2\x82", "cut \uFFFD\uFFFD"},
      {"\xE2\x82<", "\uFFFD\uFFFD<"},
      {"\x80", "\uFFFD"},
  };
  for (const Row& row : rows) CHECK(clean(row.in) == row.out);
  CHECK(label_escaped("a\"b\\c\nd") == "a\\\"b\\\\c\uFFFDd");
}

TEST_CASE("text: numbers as people read them") {
  CHECK(with_commas(0) == "0");
  CHECK(with_commas(999) == "999");
  CHECK(with_commas(1'000) == "1,000");
  CHECK(with_commas(1'234'567) == "1,234,567");
  CHECK(format_bytes(999) == "999 B");
  CHECK(format_bytes(1'000) == "1.0 kB");
  CHECK(format_bytes(999'600) == "1.0 MB");
  CHECK(format_bytes(42'000'000) == "42 MB");
  CHECK(format_bytes(~0ULL) == "18 EB");
}

}  // namespace
}  // namespace nines::web
