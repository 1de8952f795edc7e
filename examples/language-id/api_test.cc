// The HTTP API, over sockets, against the model that was built.
#include <doctest/doctest.h>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <string>

#include "api.h"
#include "http/client.h"
#include "net/epoll_loop.h"
#include "test_support.h"

namespace nines::language_id {
namespace {

using testing::Folder;
using testing::write_file;

struct Fixture {
  Folder folder;
  net::EpollLoop loop;
  History history;
  Background background{loop};
  Api api;
  http::Server server;
  net::Address at;

  explicit Fixture(ApiOptions options = {}, const std::string& content = "")
      : history({.path = file(content), .retry_pause = 5ms}),
        api(loop, background, history, options),
        server(loop, [this](http::Request& request) { return api.answer(request); }) {
    auto listener = std::move(loop.listen(net::Address::loopback(0)).value());
    at = listener->address();
    server.serve(std::move(listener));
  }
  ~Fixture() { loop.run(server.drain(1s)); }

  std::string file(const std::string& content) const {
    if (!content.empty()) write_file(folder / "h.db", content);
    return folder / "h.db";
  }
  void load() { api.use(std::move(Model::load(LANGUAGE_ID_MODEL).value())); }

  http::Answer ask(http::Call call) {
    call.to = at;
    auto answer = loop.run(http::fetch(loop, std::move(call)));
    REQUIRE(answer);
    return std::move(*answer);
  }
  http::Answer get(const std::string& target) { return ask({.target = target}); }
  http::Answer post(const std::string& body, const std::string& id = "") {
    http::Call call{.method = "POST", .target = "/classify", .body = body};
    if (!id.empty()) call.fields.emplace_back("X-Request-Id", id);
    return ask(std::move(call));
  }
  // The history's file is made on its own thread, some time after the start.
  bool becomes(const std::string& target, int status) {
    return testing::eventually([&] { return get(target).head.status() == status; });
  }
  bool written(std::uint64_t count) {
    return testing::eventually([&] { return history.counts().written == count; });
  }
};

boost::json::object json(const http::Answer& answer) {
  return boost::json::parse({answer.body.data(), answer.body.size()}).as_object();
}
std::string_view text(const boost::json::value& value) { return {value.as_string().data(), value.as_string().size()}; }

TEST_CASE("api: requests and what they get") {
  struct Row {
    std::string why;
    std::string method;
    std::string target;
    std::string body;
    int status;
    std::string code;  // of the error
  };
  const std::string longest(10'000, 'a');
  std::string longest_cyrillic;
  for (int i = 0; i < 10'000; ++i) longest_cyrillic += "я";
  const Row rows[] = {
      {"classify", "POST", "/classify", R"({"text":"Guten Morgen"})", 200, ""},
      {"other members do not matter", "POST", "/classify?x=1", R"({"a":[1],"text":"hej"})", 200, ""},
      {"escapes", "POST", "/classify", R"({"text":"\u0414\u0430 \ud83d\ude42"})", 200, ""},
      {"the longest", "POST", "/classify", R"({"text":")" + longest + R"("})", 200, ""},
      {"the longest in characters, not bytes", "POST", "/classify", R"({"text":")" + longest_cyrillic + R"("})", 200,
       ""},
      {"one too long", "POST", "/classify", R"({"text":")" + longest + R"(a"})", 422, "text_too_long"},
      {"no body", "POST", "/classify", "", 400, "invalid_json"},
      {"no JSON", "POST", "/classify", "text=hej", 400, "invalid_json"},
      {"half of it", "POST", "/classify", R"({"text":"hej")", 400, "invalid_json"},
      {"more than it", "POST", "/classify", R"({"text":"hej"}})", 400, "invalid_json"},
      {"deep", "POST", "/classify", std::string(5000, '['), 400, "invalid_json"},
      {"no UTF-8", "POST", "/classify", "{\"text\":\"a\xff\"}", 400, "invalid_json"},
      {"cut UTF-8", "POST", "/classify", "{\"text\":\"a\xc3\"}", 400, "invalid_json"},
      {"half a surrogate", "POST", "/classify", R"({"text":"\ud83d"})", 400, "invalid_json"},
      {"no object", "POST", "/classify", "[]", 422, "invalid_body"},
      {"no text", "POST", "/classify", "{}", 422, "missing_text"},
      {"a number", "POST", "/classify", R"({"text":5})", 422, "invalid_text"},
      {"null", "POST", "/classify", R"({"text":null})", 422, "invalid_text"},
      {"empty", "POST", "/classify", R"({"text":""})", 422, "empty_text"},
      {"white space", "POST", "/classify", R"({"text":" \n\t "})", 422, "empty_text"},
      {"no letters", "POST", "/classify", R"({"text":"12 %"})", 422, "no_letters"},
      {"too large", "POST", "/classify", std::string(1024 * 1024 + 1, ' '), 413, "body_too_large"},
      {"wrong method", "GET", "/classify", "", 405, "method_not_allowed"},
      {"wrong method", "DELETE", "/health", "", 405, "method_not_allowed"},
      {"wrong method", "POST", "/", "", 405, "method_not_allowed"},
      {"unknown path", "GET", "/nothing", "", 404, "not_found"},
      {"unknown path", "POST", "/classify/", "{}", 404, "not_found"},
      {"health", "GET", "/health", "", 200, ""},
      {"history", "GET", "/history", "", 200, ""},
      {"limit", "GET", "/history?limit=1000", "", 200, ""},
      {"limit 0", "GET", "/history?limit=0", "", 422, "invalid_limit"},
      {"limit too large", "GET", "/history?limit=1001", "", 422, "invalid_limit"},
      {"limit no number", "GET", "/history?limit=ten", "", 422, "invalid_limit"},
      {"limit negative", "GET", "/history?limit=-1", "", 422, "invalid_limit"},
      {"limit empty", "GET", "/history?limit=", "", 422, "invalid_limit"},
      {"page", "GET", "/", "", 200, ""},
  };
  Fixture f;
  f.load();
  REQUIRE(f.becomes("/history", 200));
  for (const Row& row : rows) {
    const http::Answer answer = f.ask({.method = row.method, .target = row.target, .body = row.body});
    CAPTURE(row.why);
    CAPTURE(row.target);
    CAPTURE(answer.body);
    CHECK(answer.head.status() == row.status);
    if (row.status != 200) CHECK(text(json(answer).at("error").at("code")) == row.code);
  }
  CHECK(f.get("/classify").head.find("Allow") == "POST");
  CHECK(f.ask({.method = "PUT", .target = "/health"}).head.find("Allow") == "GET, HEAD");
  CHECK(f.ask({.method = "HEAD", .target = "/health"}).head.status() == 200);
}

TEST_CASE("api: a classification") {
  Fixture f;
  f.load();
  const http::Answer answer = f.post(R"({"text":"Guten Morgen, haben Sie gut geschlafen?"})", "request-1");
  const auto said = json(answer);
  CHECK(text(said.at("label")) == "de");
  CHECK(said.at("confidence").as_double() > 0.9);
  CHECK(said.at("confidence").as_double() <= 1);
  CHECK(text(said.at("model")) == text(json(f.get("/health")).at("model")));
  CHECK(text(said.at("request_id")) == "request-1");
  CHECK(answer.head.find("X-Process-Id") == std::to_string(::getpid()));
  const auto confidence = answer.body.substr(answer.body.find("\"confidence\":") + 13);
  CHECK(confidence.find(',') == 6);  // "0.9987,"
}

TEST_CASE("api: the request's id is taken when it is sane, else made") {
  Fixture f;
  f.load();
  const auto id = [&](const std::string& given) {
    return std::string(text(json(f.post(R"({"text":"hej"})", given)).at("request_id")));
  };
  CHECK(id("a") == "a");
  CHECK(id(std::string(128, 'x')) == std::string(128, 'x'));
  CHECK(id("!~\"\\") == "!~\"\\");
  for (const std::string& insane : {std::string(), std::string(129, 'x'), std::string("a b"), std::string("é")}) {
    CAPTURE(insane);
    const std::string made = id(insane);
    CHECK(made.size() == 36);
    CHECK(made[14] == '4');
    CHECK(made != id(insane));
  }
}

TEST_CASE("api: not ready before the model is there and the delay has passed") {
  Fixture f({.startup_delay = 50ms});
  const auto check_loading = [&] {
    for (const http::Answer& answer : {f.get("/health"), f.post(R"({"text":"hej"})")}) {
      CHECK(answer.head.status() == 503);
      CHECK(answer.head.find("Retry-After") == "1");
      CHECK(text(json(answer).at("error").at("message")) == "the model is loading");
    }
  };
  f.loop.run([](net::Loop& loop) -> Task<void> { (void)co_await loop.sleep(50ms); }(f.loop));
  check_loading();
  CHECK(f.get("/").head.status() == 200);
  CHECK(f.becomes("/history", 200));
  f.load();
  CHECK(f.get("/health").head.status() == 200);
  CHECK(f.post(R"({"text":"hej"})").head.status() == 200);

  Fixture slow({.startup_delay = 1h});
  slow.load();
  const http::Answer answer = slow.get("/health");
  CHECK(answer.head.status() == 503);
  CHECK(answer.head.find("Retry-After") == "3600");
}

TEST_CASE("api: a slow model takes its time, for classifications only") {
  Fixture f({.delay = 40ms});
  f.load();
  const auto took = [&](auto request) {
    const Instant begun = net::boot_time();
    request();
    return net::boot_time() - begun;
  };
  CHECK(took([&] { CHECK(f.post(R"({"text":"hej"})").head.status() == 200); }) >= 40ms);
  CHECK(f.get("/health").head.status() == 200);
}

TEST_CASE("api: history shows what was asked, newest first, a replayed request once") {
  Fixture f;
  f.load();
  f.post(R"({"text":"Guten \"Morgen\""})", "one");
  REQUIRE(f.written(1));
  f.post(R"({"text":"Bonjour, je voudrais deux baguettes"})", "two");
  f.post(R"({"text":"Bonjour, je voudrais deux baguettes"})", "two");
  REQUIRE(f.written(3));
  const auto rows = json(f.get("/history?limit=5")).at("history").as_array();
  REQUIRE(rows.size() == 2);
  CHECK(text(rows[0].at("request_id")) == "two");
  CHECK(text(rows[0].at("label")) == "fr");
  CHECK(text(rows[1].at("text")) == "Guten \"Morgen\"");
  CHECK(rows[1].at("pid").as_int64() == ::getpid());
  CHECK(text(rows[1].at("time")).ends_with("Z"));
  CHECK(json(f.get("/history?limit=1")).at("history").as_array().size() == 1);
}

TEST_CASE("api: a corrupt database costs no answer") {
  Fixture f({}, std::string(10'000, 'x'));
  f.load();
  for (int i = 0; i < 20; ++i) CHECK(f.post(R"({"text":"hej"})").head.status() == 200);
  REQUIRE(testing::eventually([&] { return !f.history.counts().trouble.empty(); }));
  const http::Answer health = f.get("/health");
  CHECK(health.head.status() == 200);
  CHECK(json(health).at("history").at("queued").as_int64() == 20);
  CHECK(json(health).at("history").at("trouble").is_string());
  const http::Answer history = f.get("/history");
  CHECK(history.head.status() == 503);
  CHECK(text(json(history).at("error").at("code")) == "history_unavailable");
}

TEST_CASE("background: results come back to the loop, errors too, and waiting can be given up") {
  net::EpollLoop loop;
  Background background(loop);
  const auto main_thread = std::this_thread::get_id();
  struct Claims {
    static Task<void> run(Background& b, std::thread::id here) {
      const auto elsewhere = co_await b.run([]() -> Result<std::thread::id> { return std::this_thread::get_id(); });
      CHECK(elsewhere != here);
      CHECK(std::this_thread::get_id() == here);
      const auto refused = co_await b.run([]() -> Result<> { return failure(Code::kIo, "no"); });
      CHECK(refused.error().code() == Code::kIo);
      CancelScope cancelled;
      cancelled.cancel();
      const auto given_up = co_await b.run([]() -> Result<int> { return 1; }).under(cancelled);
      CHECK(given_up.error().code() == Code::kCancelled);
      CHECK(co_await b.run([]() -> Result<int> { return 2; }) == 2);
    }
  };
  loop.run(Claims::run(background, main_thread));
}

TEST_CASE("background: what waits is bounded") {
  net::EpollLoop loop;
  Background background(loop);
  struct Claims {
    static Task<void> one(Background& b, std::atomic<bool>& go, int& refused) {
      const auto done = co_await b.run([&go]() -> Result<> {
        go.wait(false);
        return {};
      });
      if (!done && done.error().code() == Code::kLimit) ++refused;
    }
    static Task<void> run(Background& b) {
      std::atomic<bool> go = false;
      int refused = 0;
      TaskGroup group;
      constexpr int kJobs = 100;
      for (int i = 0; i < kJobs; ++i) group.start(one(b, go, refused));
      go = true;
      go.notify_all();
      co_await group.join();
      CHECK(refused >= kJobs - static_cast<int>(Background::kWaitingMax) - 1);
      CHECK(refused <= kJobs - static_cast<int>(Background::kWaitingMax));
    }
  };
  loop.run(Claims::run(background));
}

}  // namespace
}  // namespace nines::language_id
