#include "fetch/client.h"

#include <doctest/doctest.h>
#include <fcntl.h>

#include <fstream>
#include <sstream>

#include "base/fd.h"
#include "base/test_support.h"
#include "fetch/retry.h"
#include "fetch/test_support.h"

namespace nines::fetch {
namespace {

using testing::Answer;
using testing::Asked;
using testing::HttpServer;
using Fault = Answer::Fault;

TEST_CASE("client: what is sent is what was asked for, and nothing of libcurl's own") {
  Asked seen;
  const HttpServer server([&](const Asked& asked) {
    seen = asked;
    return Answer{.status = 404, .body = "no", .headers = {{"X-Thing", " yes "}}};
  });
  Client client;
  const auto response = client.perform({.method = "PUT",
                                        .url = server.url() + "/a/../b%20c?x=1",
                                        .headers = {{"X-One", "1"}, {"X-Empty", ""}},
                                        .body = "hello"});
  REQUIRE(response);
  CHECK(response->status == 404);
  CHECK(response->body == "no");
  CHECK(response->header("x-thing") == "yes");
  CHECK(response->header("x-other").empty());
  CHECK(seen.method == "PUT");
  CHECK(seen.target == "/a/../b%20c?x=1");
  CHECK(seen.body == "hello");
  std::string names;
  for (const auto& [name, value] : seen.headers) names += name + " ";
  CHECK(names == "content-length host x-empty x-one ");
}

TEST_CASE("client: methods and their lengths") {
  Asked seen;
  const HttpServer server([&](const Asked& asked) {
    seen = asked;
    return Answer{.body = "body"};
  });
  Client client;
  struct Row {
    const char* method;
    const char* length;  // nullptr: no Content-Length
    const char* body;
  };
  for (const Row& row : {Row{"GET", nullptr, "body"}, Row{"HEAD", nullptr, ""}, Row{"DELETE", nullptr, "body"},
                         Row{"PUT", "0", "body"}, Row{"POST", "0", "body"}}) {
    CAPTURE(row.method);
    const auto response = client.perform({.method = row.method, .url = server.url()});
    REQUIRE(response);
    CHECK(response->body == row.body);
    CHECK(seen.method == row.method);
    CHECK(seen.headers.contains("content-length") == (row.length != nullptr));
    if (row.length != nullptr) CHECK(seen.headers["content-length"] == row.length);
  }
}

TEST_CASE("client: a part of a file goes up, and an answer comes down into one") {
  const ::nines::testing::Folder folder;
  const std::string big(300'000, 'x');
  const Fd from(::open(folder.file("from", "ab" + big + "c").c_str(), O_RDONLY | O_CLOEXEC));
  const Fd to(::open((folder / "to").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  bool well = true;
  const HttpServer server([&](const Asked& asked) { return Answer{.status = well ? 200 : 500, .body = asked.body}; });
  Client client;
  const auto call = [&](std::uint64_t bytes) {
    return client.perform(
        {.method = "POST", .url = server.url(), .file = FilePart{from.get(), 1, bytes}, .into = to.get()});
  };
  const auto response = call(big.size() + 1);
  REQUIRE(response);
  CHECK(response->body.empty());
  std::ostringstream text;
  text << std::ifstream(folder / "to").rdbuf();
  CHECK(text.str() == "b" + big);
  // Less than was promised must not look like an upload.
  CHECK(call(big.size() + 3).error().code() == Code::kIo);
  // What an error says is no content.
  well = false;
  CHECK(call(1)->body == "b");
  CHECK(std::filesystem::file_size(folder / "to") == big.size() + 1);
}

TEST_CASE("client: calls that get no whole answer say how they ended") {
  Answer answer{.body = std::string(1000, 'a')};
  const HttpServer server([&](const Asked&) { return answer; });
  Client client;
  Request request{.url = server.url(), .time_outs = {.total = 10s}};
  answer.fault = Fault::kResetBefore;
  CHECK(client.perform(request).error().code() == Code::kClosed);
  answer.fault = Fault::kResetMidBody;
  CHECK(client.perform(request).error().code() == Code::kClosed);
  answer.fault = Fault::kTruncate;
  CHECK(client.perform(request).error().code() == Code::kClosed);
  answer.fault = Fault::kNone;
  request.max_answer = 999;
  CHECK(client.perform(request).error().code() == Code::kLimit);
  request.max_answer = 1000;
  CHECK(client.perform(request)->body.size() == 1000);
  answer.fault = Fault::kHang;
  request.time_outs.total = 100ms;
  CHECK(client.perform(request).error().code() == Code::kTimedOut);
  CHECK(client.perform({.url = "file:///etc/passwd"}).error().code() == Code::kInvalid);
}

TEST_CASE("client: nobody listens") {
  std::string url;
  {
    url = HttpServer([](const Asked&) { return Answer{}; }).url();
  }
  CHECK(Client().perform({.url = url}).error().code() == Code::kUnavailable);
}

TEST_CASE("client: dates of servers") {
  using std::chrono::sys_days;
  CHECK(parse_http_date("Fri, 24 May 2013 01:02:03 GMT") ==
        sys_days(std::chrono::year(2013) / 5 / 24) + 1h + 2min + 3s);
  for (const char* bad :
       {"", "Fri, 24 May 2013 01:02:03 UTC", "Fri, 31 Feb 2013 01:02:03 GMT", "Fri, 24 ayJ 2013 01:02:03 GMT",
        "Fri, 24 May 2013 24:02:03 GMT", "Friday, 24-May-13 01:02:03 GMT", "Fri, -4 May 2013 01:02:03 GMT"}) {
    CAPTURE(bad);
    CHECK(!parse_http_date(bad));
  }
}

TEST_CASE("retry: what may pass") {
  struct Row {
    Outcome outcome;
    bool passes;
  };
  const Row rows[] = {
      {{.status = 408}, true},
      {{.status = 429}, true},
      {{.status = 500}, true},
      {{.status = 503, .code = "SlowDown"}, true},
      {{.status = 400, .code = "RequestTimeout"}, true},
      {{.status = 200, .code = "InternalError"}, true},
      {{.status = 501}, false},
      {{.status = 200}, false},
      {{.status = 403}, false},
      {{.status = 404}, false},
      {{.status = 412}, false},
      {{.error = Code::kUnavailable}, true},
      {{.error = Code::kClosed}, true},
      {{.error = Code::kTimedOut}, true},
      {{.error = Code::kRefused}, false},
      {{.error = Code::kLimit}, false},
      {{.error = Code::kIo}, false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.outcome.status);
    CHECK(may_pass(row.outcome) == row.passes);
  }
}

TEST_CASE("retry: waits are drawn below a bound that doubles to the cap, and end") {
  const Retry retry{.attempts = 6, .base = 100ms, .cap = 500ms};
  constexpr Duration kMost[] = {100ms, 200ms, 400ms, 500ms, 500ms};
  Random random(7);
  for (int made = 1; made <= 5; ++made) {
    Duration longest{0}, shortest = 1h;
    for (int i = 0; i < 1000; ++i) {
      const auto wait = wait_before_retry(retry, made, {.status = 503}, random);
      REQUIRE(wait);
      longest = std::max(longest, *wait);
      shortest = std::min(shortest, *wait);
    }
    CHECK(longest < kMost[made - 1]);
    CHECK(longest > kMost[made - 1] * 9 / 10);
    CHECK(shortest < kMost[made - 1] / 10);
  }
  CHECK(!wait_before_retry(retry, 6, {.status = 503}, random));
  CHECK(!wait_before_retry(retry, 1, {.status = 403}, random));
  CHECK(wait_before_retry(retry, 1, {.status = 503, .retry_after = 300ms}, random) == 300ms);
  CHECK(wait_before_retry(retry, 1, {.status = 503, .retry_after = 1h}, random) == 500ms);
}

}  // namespace
}  // namespace nines::fetch
