#include "web/answer.h"

#include <doctest/doctest.h>

#include "web/test_support.h"

namespace nines::web {
namespace {

using testing::World;

http::Response get(const View& view, std::string_view path, std::optional<std::string_view> host = "127.0.0.1:9900") {
  return answer(Asked{.method = "GET", .path = path, .query = {}, .host = host}, view);
}

std::string field(const http::Response& response, std::string_view name) {
  for (const auto& [key, value] : response.fields) {
    if (key == name) return value;
  }
  return {};
}

TEST_CASE("answer: the page, the metrics and the health, fenced in") {
  const View view = World().view();
  const auto page = get(view, "/");
  CHECK(page.status == 200);
  CHECK(page.content_type == "text/html; charset=utf-8");
  CHECK(page.body.starts_with("<!doctype html>"));
  const auto metrics = get(view, "/metrics");
  CHECK(metrics.status == 200);
  CHECK(metrics.content_type == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(metrics.body.find("nines_requests_total 0\n") != std::string::npos);
  const auto health = get(view, "/healthz");
  CHECK(health.status == 200);
  CHECK(health.body == "up\n");
  for (const http::Response& response : {page, metrics, health, get(view, "/no"), get(view, "/", "evil.example")}) {
    CHECK(field(response, "Cache-Control") == "no-store");
    CHECK(field(response, "Content-Security-Policy").starts_with("default-src 'none'; style-src 'unsafe-inline';"));
    CHECK(field(response, "X-Content-Type-Options") == "nosniff");
    CHECK(field(response, "Referrer-Policy") == "no-referrer");
  }
}

TEST_CASE("answer: /healthz says no only when too little is up") {
  World world;
  world.verdict(0, plane::Health::kDown, 99'000s);
  CHECK(get(world.view(), "/healthz").status == 200);
  CHECK(get(world.view(), "/healthz").body == "degraded\n1 of 3 replicas takes no requests: ai-1 (unready)\n");
  world.verdict(1, plane::Health::kDown, 99'000s);
  CHECK(get(world.view(), "/healthz").status == 503);
  CHECK(get(world.view(), "/healthz").body.starts_with("down\n"));
}

TEST_CASE("answer: the page can be held still") {
  const View view = World().view();
  CHECK(get(view, "/").body.find("http-equiv=\"refresh\"") != std::string::npos);
  const auto held = answer(Asked{.method = "GET", .path = "/", .query = "hold", .host = "localhost"}, view);
  CHECK(held.body.find("http-equiv") == std::string::npos);
}

TEST_CASE("answer: other paths, other methods") {
  const View view = World().view();
  CHECK(get(view, "/metrics/").status == 404);
  CHECK(get(view, "/favicon.ico").status == 404);
  CHECK(get(view, "").status == 404);
  CHECK(answer(http::Request{}, view).status == 404);
  for (const std::string_view path : {"/", "/metrics", "/healthz"}) {
    CHECK(answer(Asked{.method = "HEAD", .path = path, .query = {}, .host = "localhost"}, view).status == 200);
    for (const std::string_view method : {"POST", "DELETE", "OPTIONS", "get"}) {
      const auto refused = answer(Asked{.method = method, .path = path, .query = {}, .host = "localhost"}, view);
      CHECK(refused.status == 405);
      CHECK(field(refused, "Allow") == "GET, HEAD");
    }
  }
}

TEST_CASE("answer: only by names that no page on the internet can point here") {
  World world;
  world.facts.hosts = {"nines.example.org"};
  const View view = world.view();
  for (const char* host : {"127.0.0.1", "127.0.0.1:9900", "[::1]", "[::1]:9900", "10.0.0.7:80", "localhost",
                           "LocalHost:9900", "nines.example.org", "Nines.Example.Org:443"}) {
    CAPTURE(host);
    CHECK(get(view, "/", host).status == 200);
  }
  for (const char* host :
       {"evil.example", "evil.example:9900", "127.0.0.1.evil.example", "localhost.evil.example", "", ":9900", "[::1",
        "[::1]evil", "[::1]x80", "[localhost]", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000", "0x7f.1", "2130706433",
        "::1", "127.0.0.1, evil.example", "evil.example@127.0.0.1"}) {
    CAPTURE(host);
    for (const char* path : {"/", "/metrics", "/healthz", "/other"}) CHECK(get(view, path, host).status == 403);
  }
  CHECK(get(view, "/", "evil.example").body.find("localhost") != std::string::npos);
  CHECK(get(view, "/", std::nullopt).status == 200);  // no browser
}

}  // namespace
}  // namespace nines::web
