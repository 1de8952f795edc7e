// The adapter of supervise/ over a loop in memory: it may not include net/ itself.
#include "supervise/container_engine.h"

#include <doctest/doctest.h>

#include "http/server.h"
#include "http/writer.h"
#include "net/memory_loop.h"
#include "net/stream.h"

namespace nines::app {
namespace {

using net::Loop;
using net::MemoryLoop;
using supervise::ContainerEngine;

constexpr const char* kSocket = "/engine.sock";

// An engine that answers what a test tells it to, and keeps what it was asked.
struct FakeEngine {
  std::vector<std::string> asked;
  http::Response answer;
  std::string api = "1.41";
  http::Server server;

  explicit FakeEngine(Loop& loop)
      : server(loop, [this](http::Request& request) -> Task<http::Response> { return reply(request); }) {
    server.serve(std::move(loop.listen(net::Address::unix_path(kSocket).value()).value()));
  }
  Task<http::Response> reply(http::Request& request) {
    const std::string path(request.head.path());
    asked.push_back(std::string(request.head.method()) + " " + path);
    if (path == "/version") co_return http::Response{.body = R"({"ApiVersion":")" + api + R"("})"};
    co_return answer;
  }
};

std::string in_words(const Result<>& result) { return result ? "" : std::string(name_of(result.error().code())); }

TEST_CASE("container engine: the version is agreed on once, and again after the engine was gone") {
  MemoryLoop loop;
  ContainerEngine engine(loop, kSocket);
  {
    FakeEngine fake(loop);
    fake.answer.status = 204;
    CHECK(loop.run(engine.kill("ab", "SIGTERM")));
    CHECK(loop.run(engine.remove("ab")));
    CHECK(fake.asked ==
          std::vector<std::string>{"GET /version", "POST /v1.41/containers/ab/kill", "DELETE /v1.41/containers/ab"});
    loop.run(fake.server.drain(1s));
  }
  const auto gone = loop.run(engine.remove("ab"));
  REQUIRE_FALSE(gone);
  CHECK(gone.error().code() == Code::kRefused);
  CHECK(gone.error().text().find(kSocket) != std::string::npos);
  FakeEngine other(loop);
  other.api = "1.39";
  other.answer.status = 204;
  CHECK(loop.run(engine.remove("ab")));
  CHECK(other.asked == std::vector<std::string>{"GET /version", "DELETE /v1.39/containers/ab"});
  loop.run(other.server.drain(1s));
}

TEST_CASE("container engine: an answer without end is not read to its end") {
  MemoryLoop loop;
  FakeEngine fake(loop);
  fake.answer.body = "[" + std::string(supervise::kEngineAnswerMax, ' ');
  ContainerEngine engine(loop, kSocket);
  const auto listed = loop.run(engine.list(""));
  REQUIRE_FALSE(listed);
  CHECK(listed.error().code() == Code::kLimit);
  loop.run(fake.server.drain(1s));
}

// Answers the version; any other request with a head at once, and with these bytes an hour later.
Task<void> answers(std::unique_ptr<net::Listener> listener, std::string bytes) {
  while (true) {
    auto accepted = co_await listener->accept();
    if (!accepted) co_return;
    const std::unique_ptr<net::Stream> stream = std::move(*accepted);
    std::array<char, 2048> request;
    const auto got = co_await stream->read(request);
    if (std::string_view(request.data(), got.value_or(0)).starts_with("GET /version ")) {
      (void)co_await stream->write("HTTP/1.1 200 OK\r\nContent-Length: 21\r\n\r\n{\"ApiVersion\":\"1.41\"}");
      continue;
    }
    (void)co_await stream->write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    if (!co_await stream->loop().sleep(50min)) co_return;
    (void)co_await stream->write(bytes);
  }
}

std::string chunk(const std::string& bytes) {
  return std::string(http::ChunkHead(bytes.size()).view()) + bytes + "\r\n";
}

struct Heard {
  std::string text;
  std::int64_t last = 0;
  Task<Result<>> take(std::string_view piece, std::int64_t at) {
    text += piece;
    last = at;
    co_return Result<>{};
  }
};

constexpr std::string_view kFrame(
    "\1\0\0\0\0\0\0\x25"
    "2026-11-27T05:29:38.416191739Z hello\n",
    45);

TEST_CASE("container engine: waiting and following last as long as the container, whatever questions may take") {
  MemoryLoop loop;
  loop.start(answers(std::move(loop.listen(net::Address::unix_path(kSocket).value()).value()),
                     chunk(std::string(kFrame)) + "0\r\n\r\n"));
  ContainerEngine engine(loop, kSocket);
  const Instant begun = loop.now();
  Heard heard;
  const auto sink = [&heard](std::string_view text, std::int64_t last) { return heard.take(text, last); };
  CHECK(in_words(loop.run(engine.follow("ab", 0, sink))) == "");
  CHECK(heard.text == "hello\n");
  CHECK(heard.last == 1'795'757'378'416'191'739);
  CHECK(in_words(loop.run(engine.wait("ab"))) == "");
  CHECK(loop.now() - begun >= 100min);
  CHECK(in_words(loop.run(engine.kill("ab", "SIGTERM"))) == "timed_out");
}

TEST_CASE("container engine: a log that breaks off, and one that is none, are no end of a log") {
  for (const auto& [bytes, said] :
       {std::pair{chunk(std::string(kFrame)), "closed"}, std::pair{chunk("plain text, and no frames"), "protocol"}}) {
    MemoryLoop loop;
    loop.start(answers(std::move(loop.listen(net::Address::unix_path(kSocket).value()).value()), bytes));
    ContainerEngine engine(loop, kSocket);
    Heard heard;
    const auto sink = [&heard](std::string_view text, std::int64_t last) { return heard.take(text, last); };
    CHECK(in_words(loop.run(engine.follow("ab", 0, sink))) == said);
  }
}

TEST_CASE("container engine: a sink that fails ends it") {
  MemoryLoop loop;
  loop.start(answers(std::move(loop.listen(net::Address::unix_path(kSocket).value()).value()),
                     chunk(std::string(kFrame)) + "0\r\n\r\n"));
  ContainerEngine engine(loop, kSocket);
  struct Full {
    static Task<Result<>> take(std::string_view, std::int64_t) { co_return failure(Code::kLimit, "full"); }
  };
  CHECK(in_words(loop.run(engine.follow("ab", 0, Full::take))) == "limit");
}

}  // namespace
}  // namespace nines::app
