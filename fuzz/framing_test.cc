// What the gateway forwards has exactly one meaning: random damage to good messages goes through the reader and the
// writers, and what comes out is read by two others, fuzz/strict.cc and llhttp (the parser of Node.js). All three must
// find the same messages.
#include <llhttp.h>

#include <array>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "base/random.h"
#include "gateway/forward.h"
#include "http/reader.h"
#include "http/writer.h"
#include "net/memory_loop.h"
#include "strict.h"

namespace nines::fuzz {
namespace {

constexpr int kRounds = 20'000;

struct Pieces {
  std::vector<std::string> good;
  std::vector<std::string> splices;  // what is put into them
};

const Pieces& requests() {
  using namespace std::string_literals;
  static const Pieces kPieces = {
      {
          "GET /a?b=c HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
          "POST /classify HTTP/1.1\r\nHost: x:80\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello",
          "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nA: "
          "b\r\n\r\n",
          "GET http://y/a HTTP/1.1\r\nHost: x\r\nConnection: close, te\r\nTE: trailers\r\n\r\n",
          "PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
          "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
          "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
          "OPTIONS * HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\n\r\n",
      },
      {"\r",
       "\n",
       "\r\n",
       "\r\n ",
       " ",
       "\t",
       "\0"s,
       ":",
       ",",
       ";",
       "0",
       "5",
       "+",
       "-",
       "0x",
       "\x7f",
       "\xc3\xa9",
       "_",
       "#",
       "@",
       "\r\nContent-Length: 5",
       "\r\nContent-Length: 0",
       "\r\nTransfer-Encoding: chunked",
       "\r\nHost: y",
       "\r\nConnection: close",
       "\r\nConnection: content-length",
       "\r\nX-Forwarded-For: 2.2.2.2",
       "\r\nContent_Length: 9",
       "\r\nTransfer-Encoding: identity",
       "0\r\n\r\n",
       "GET /z HTTP/1.1\r\nHost: z\r\n\r\n",
       "chunked",
       " HTTP/1.1",
       "http://"}};
  return kPieces;
}

const Pieces& answers() {
  using namespace std::string_literals;
  static const Pieces kPieces = {
      {
          "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;a\r\n!\r\n0\r\nA: b\r\n\r\n",
          "HTTP/1.1 204 No Content\r\n\r\n",
          "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
          "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
          "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
          "HTTP/1.1 500\r\nContent-Length: 0\r\nConnection: close, a\r\nA: b\r\n\r\n",
      },
      {"\r",
       "\n",
       "\r\n",
       "\r\n ",
       " ",
       "\t",
       "\0"s,
       ":",
       ",",
       ";",
       "0",
       "5",
       "+",
       "-",
       "0x",
       "\x7f",
       "\xc3\xa9",
       "_",
       "\r\nContent-Length: 5",
       "\r\nContent-Length: 0",
       "\r\nTransfer-Encoding: chunked",
       "\r\nConnection: close",
       "\r\nTransfer-Encoding: gzip",
       "0\r\n\r\n",
       "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
       "chunked"}};
  return kPieces;
}

std::string damaged(Random& random, const Pieces& pieces) {
  const auto any = [&](const std::vector<std::string>& of) -> const std::string& {
    return of[random.below(static_cast<std::uint32_t>(of.size()))];
  };
  std::string bytes = any(pieces.good);
  if (random.below(3) == 0) bytes += any(pieces.good);
  for (std::uint32_t i = random.below(4); i > 0; --i) {
    const std::size_t at = random.below(static_cast<std::uint32_t>(bytes.size()) + 1);
    switch (random.below(4)) {
      case 0: bytes.erase(at, 1 + random.below(3)); break;
      case 1: bytes.insert(at, any(pieces.splices)); break;
      // Where lines end is where most goes wrong.
      case 2: bytes.insert(std::min(bytes.find("\r\n", at), bytes.size()), any(pieces.splices)); break;
      default: bytes.replace(at, 1, any(pieces.splices)); break;
    }
  }
  return bytes;
}

// What came through: the bytes, and the body of each message (of interim answers: none).
struct Through {
  std::string bytes;
  std::vector<std::string> bodies;
};

void write_body(std::string& out, std::string_view body, bool chunked) {
  if (!chunked) {
    out += body;
    return;
  }
  if (!body.empty()) out.append(http::ChunkHead(body.size()).view()).append(body).append(http::kChunkEnd);
  out += http::kLastChunk;
}

void forward_request(Through& through, const http::Head& head, const std::string& body, bool whole) {
  const bool chunked = !whole && head.framing() == http::Framing::kChunked;
  const auto length = whole ? std::optional<std::uint64_t>(body.size()) : std::nullopt;
  gateway::write_upstream_head(through.bytes, head, {.client = "10.0.0.9", .request_id = "id"}, length);
  write_body(through.bytes, body, chunked);
  through.bodies.push_back(body);
}

void forward_answer(Through& through, const http::Head& head, const std::string& body) {
  using gateway::BodyCoding;
  const BodyCoding coding = head.framing() == http::Framing::kNone     ? BodyCoding::kNone
                            : head.framing() == http::Framing::kLength ? BodyCoding::kLength
                                                                       : BodyCoding::kChunked;
  gateway::write_client_head(through.bytes, head, {.client = "10.0.0.9", .request_id = "id"}, coding, true);
  write_body(through.bytes, body, coding == BodyCoding::kChunked);
  through.bodies.push_back(body);
}

// Forwards whole messages until something is refused, as the gateway does.
Task<void> go_through(net::Stream& from, http::Side side, bool whole, Through& through) {
  http::MessageReader reader(from, side);
  http::Head head;
  while (true) {
    const auto got = co_await reader.head(head);
    if (!got || !*got) co_return;
    std::string body;
    while (true) {
      const auto piece = co_await reader.body();
      if (!piece) co_return;
      if (piece->empty()) break;
      body += *piece;
    }
    if (side == http::Side::kRequests) forward_request(through, head, body, whole);
    if (side == http::Side::kResponses && head.status() == 101) co_return;
    if (side == http::Side::kResponses && head.status() >= 200) forward_answer(through, head, body);
    if (!head.keep_alive() || head.upgrade()) co_return;
  }
}

Task<void> send(net::Stream& to, std::string_view bytes, std::size_t step) {
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    if (!co_await to.write(bytes.substr(at, step))) co_return;
  }
  to.end_writing();
}

Through through_us(const std::string& bytes, http::Side side, std::size_t step, bool whole) {
  net::MemoryLoop loop;
  auto [near, far] = loop.pair();
  Through through;
  TaskGroup group;
  group.start(go_through(*far, side, whole, through));
  group.start(send(*near, bytes, step));
  while (!group.empty()) REQUIRE(loop.turn());
  return through;
}

// The bodies llhttp finds, or what it does not like.
struct Opinion {
  std::vector<std::string> bodies;
  std::string problem;
};

Opinion of_llhttp(const std::string& bytes, llhttp_type_t type) {
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  static constexpr auto kOf = [](llhttp_t* p) -> Opinion& { return *static_cast<Opinion*>(p->data); };
  settings.on_message_begin = [](llhttp_t* p) { return kOf(p).bodies.emplace_back(), 0; };
  settings.on_body = [](llhttp_t* p, const char* at, size_t n) { return kOf(p).bodies.back().append(at, n), 0; };
  // What follows an upgrade is none of its business, and none comes here. That 304 has no body it wants to be told.
  settings.on_headers_complete = [](llhttp_t* p) {
    p->upgrade = 0;
    return p->type == HTTP_RESPONSE && p->status_code == 304 ? 1 : 0;
  };
  Opinion opinion;
  llhttp_t parser;
  llhttp_init(&parser, type, &settings);
  parser.data = &opinion;
  const llhttp_errno_t error = llhttp_execute(&parser, bytes.data(), bytes.size());
  const llhttp_errno_t end = error == HPE_OK ? llhttp_finish(&parser) : error;
  if (end != HPE_OK) opinion.problem = llhttp_errno_name(end);
  return opinion;
}

std::vector<std::string> bodies_of(const Reading& reading) {
  std::vector<std::string> bodies;
  for (const Message& message : reading.messages) bodies.push_back(message.body);
  return bodies;
}

TEST_CASE("framing: requests that are forwarded have one meaning") {
  int forwarded = 0, refused = 0;
  for (unsigned seed = 1; seed <= kRounds; ++seed) {
    Random random(seed);
    const std::string bytes = damaged(random, requests());
    const Through through = through_us(bytes, http::Side::kRequests, 1 + random.below(40), random.below(2) == 0);
    through.bodies.empty() ? ++refused : ++forwarded;
    CAPTURE(seed);
    CAPTURE(bytes);
    CAPTURE(through.bytes);
    const Reading strict = read_requests(through.bytes);
    REQUIRE(strict.why == "");
    REQUIRE(strict.end == End::kClean);
    REQUIRE(bodies_of(strict) == through.bodies);
    const Opinion llhttp = of_llhttp(through.bytes, HTTP_REQUEST);
    if (llhttp.problem == "HPE_INVALID_METHOD") continue;  // it knows a list of them, we forward any
    REQUIRE(llhttp.problem == "");
    REQUIRE(llhttp.bodies == through.bodies);
  }
  MESSAGE(forwarded << " of " << kRounds << " forwarded");
  CHECK(forwarded > kRounds / 5);
  CHECK(refused > kRounds / 5);
}

TEST_CASE("framing: answers that are forwarded have one meaning") {
  int forwarded = 0, refused = 0;
  for (unsigned seed = 1; seed <= kRounds; ++seed) {
    Random random(seed);
    const std::string bytes = damaged(random, answers());
    const Through through = through_us(bytes, http::Side::kResponses, 1 + random.below(40), false);
    through.bodies.empty() ? ++refused : ++forwarded;
    CAPTURE(seed);
    CAPTURE(bytes);
    CAPTURE(through.bytes);
    const Reading strict = read_responses(through.bytes, {}, true);
    REQUIRE(strict.why == "");
    REQUIRE(strict.end == End::kClean);
    REQUIRE(bodies_of(strict) == through.bodies);
    const Opinion llhttp = of_llhttp(through.bytes, HTTP_RESPONSE);
    REQUIRE(llhttp.problem == "");
    REQUIRE(llhttp.bodies == through.bodies);
  }
  MESSAGE(forwarded << " of " << kRounds << " forwarded");
  CHECK(forwarded > kRounds / 5);
  CHECK(refused > kRounds / 5);
}

}  // namespace
}  // namespace nines::fuzz
