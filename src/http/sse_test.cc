#include "http/sse.h"

#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "base/random.h"
#include "http/reader.h"
#include "net/memory_loop.h"

namespace nines::http {
namespace {

// What a scanner makes of pieces: "<events> events, border <offset in all>[, done][, at border]". Several data events
// that end in one piece are one; so bytes are fed one by one to count them.
struct Scan {
  int events = 0;
  std::size_t border = 0;
  bool done = false, at_border = false;
  bool operator==(const Scan&) const = default;
};

Scan scan_pieces(const std::vector<std::string_view>& pieces) {
  EventScanner scanner;
  Scan scan;
  std::size_t before = 0;
  for (const std::string_view piece : pieces) {
    const EventScanner::Seen seen = scanner.feed(piece);
    scan.events += seen.data_event ? 1 : 0;
    if (seen.border > 0) scan.border = before + seen.border;
    before += piece.size();
    CHECK(scanner.at_border() == (scan.border == before));
  }
  scan.done = scanner.done();
  scan.at_border = scanner.at_border();
  return scan;
}

std::vector<std::string_view> byte_by_byte(std::string_view text) {
  std::vector<std::string_view> pieces;
  for (std::size_t i = 0; i < text.size(); ++i) pieces.push_back(text.substr(i, 1));
  return pieces;
}

struct Row {
  const char* why;
  std::string_view text;
  Scan expected;
};

TEST_CASE("events: what ends one, and where a client is between two") {
  using namespace std::string_view_literals;
  const Row rows[] = {
      {"nothing", "", {0, 0, false, true}},
      {"an event", "data: x\n\n", {1, 9, false, true}},
      {"CR", "data: x\r\r", {1, 9, false, true}},
      {"CRLF: the last LF still belongs to the border", "data: x\r\n\r\n", {1, 11, false, true}},
      {"line ends of all kinds", "data: x\n\r\ndata: y\r\ndata: z\r\r", {2, 28, false, true}},
      {"no blank line yet", "data: x\n", {0, 0, false, false}},
      {"CRLF is one line end, no blank line", "data: x\r\n", {0, 0, false, false}},
      {"half a line", "data: x\n\ndata: {\"a", {1, 9, false, false}},
      {"half a name", "data: x\n\nda", {1, 9, false, false}},
      {"two events", "data: x\n\ndata: y\n\n", {2, 18, false, true}},
      {"several data lines are one event", "data: x\ndata: y\n\n", {1, 17, false, true}},
      {"data without a value is data", "data\n\n", {1, 6, false, true}},
      {"data with an empty value", "data:\n\n", {1, 7, false, true}},
      {"data without a space", "data:x\n\n", {1, 8, false, true}},
      {"a longer name is not data", "database: x\n\n", {0, 13, false, true}},
      {"names are compared exactly", "Data: x\n\n", {0, 9, false, true}},
      {"a shorter name is not data", "dat: x\n\n", {0, 8, false, true}},
      {"white space before the name is part of it", " data: x\n\n", {0, 10, false, true}},
      {"a comment is no progress, but a border", ": ping\n", {0, 7, false, true}},
      {"a comment that speaks of data", ":data: x\n\n", {0, 10, false, true}},
      {"half a comment", ": pi", {0, 0, false, false}},
      {"a comment in an event is no border", "data: x\n: ping\n", {0, 0, false, false}},
      {"blank lines", "\n\r\n\n", {0, 4, false, true}},
      {"id, event and retry without data are no progress", "id: 1\nevent: e\nretry: 5\n\n", {0, 25, false, true}},
      {"an id is no border", "id: 1\n", {0, 0, false, false}},
      {"an event's name is no border", "event: e\n", {0, 0, false, false}},
      {"an event with everything", "id: 1\nevent: e\ndata: x\n\n", {1, 24, false, true}},
      {"a byte order mark",
       "\xef\xbb\xbf"
       "data: x\n\n",
       {1, 12, false, true}},
      {"a byte order mark alone", "\xef\xbb\xbf", {0, 3, false, true}},
      {"half a byte order mark", "\xef\xbb", {0, 0, false, false}},
      {"half a byte order mark and a line",
       "\xef\xbb"
       "data: x\n\n",
       {0, 11, false, true}},
      {"a byte order mark further on is a name",
       "\n\xef\xbb\xbf"
       "data: x\n\n",
       {0, 13, false, true}},
      {"a second byte order mark is a name",
       "\xef\xbb\xbf\xef\xbb\xbf"
       "data: x\n\n",
       {0, 15, false, true}},
      {"NUL is a byte like another", "data: \0\n\n"sv, {1, 9, false, true}},
      {"done", "data: [DONE]\n\n", {1, 14, true, true}},
      {"done without a space", "data:[DONE]\r\n\r\n", {1, 15, true, true}},
      {"done is not done before the blank line", "data: [DONE]\n", {0, 0, false, false}},
      {"two spaces are part of the value", "data:  [DONE]\n\n", {1, 15, false, true}},
      {"more than done", "data: [DONE]x\n\n", {1, 15, false, true}},
      {"less than done", "data: [DONE\n\n", {1, 13, false, true}},
      {"done and another line", "data: [DONE]\ndata: x\n\n", {1, 22, false, true}},
      {"another line and done", "data: x\ndata: [DONE]\n\n", {1, 22, false, true}},
      {"a comment that says done", ": [DONE]\n\n", {0, 10, false, true}},
      {"done stays", "data: [DONE]\n\ndata: x\n\n", {2, 23, true, true}},
      {"done is of its own event", "data: x\n\ndata: [DONE]\n\n", {2, 23, true, true}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    const Scan scan = scan_pieces(byte_by_byte(row.text));
    CHECK(scan.events == row.expected.events);
    CHECK(scan.border == row.expected.border);
    CHECK(scan.done == row.expected.done);
    CHECK(scan.at_border == row.expected.at_border);
    for (std::size_t at = 0; at <= row.text.size(); ++at) {
      CAPTURE(at);
      const Scan split = scan_pieces({row.text.substr(0, at), row.text.substr(at)});
      CHECK((split.events > 0) == (row.expected.events > 0));
      CHECK(split.border == row.expected.border);
      CHECK(split.done == row.expected.done);
    }
  }
}

std::string random_stream(Random& random) {
  static constexpr std::string_view kBits[] = {"data",   ":",     " ",     "\n", "\r",           "\r\n",
                                               "[DONE]", "id: 7", "x",     "da", "data: {}",     ": ping",
                                               "\n\n",   "event", "retry", "[",  "\xef\xbb\xbf", "\xef"};
  std::string text;
  for (unsigned i = 0, n = random.below(40); i < n; ++i) text += kBits[random.below(std::size(kBits))];
  return text;
}

std::vector<std::string_view> random_pieces(Random& random, std::string_view text, unsigned most) {
  std::vector<std::string_view> pieces;
  while (!text.empty()) {
    const std::size_t n = std::min<std::size_t>(random.below(most + 1), text.size());
    pieces.push_back(text.substr(0, n));
    text.remove_prefix(n);
  }
  return pieces;
}

TEST_CASE("events: however a stream is split, the same is seen") {
  for (unsigned seed = 1; seed <= 5000; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    const std::string text = random_stream(random);
    CAPTURE(text);
    const Scan bytewise = scan_pieces(byte_by_byte(text));
    const Scan pieces = scan_pieces(random_pieces(random, text, 12));
    REQUIRE(pieces.border == bytewise.border);
    REQUIRE(pieces.done == bytewise.done);
    REQUIRE((pieces.events > 0) == (bytewise.events > 0));
  }
}

TEST_CASE("hold: what goes out is the beginning of what came in, up to the last border, and from the first event on") {
  for (unsigned seed = 1; seed <= 5000; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    const std::string text = random_stream(random);
    EventHold hold;
    std::string in, out;
    bool begun = false;
    for (const std::string_view piece : random_pieces(random, text, 12)) {
      in += piece;
      const EventHold::Out now = hold.take(piece);
      out.append(now.held).append(now.piece);
      const Scan scan = scan_pieces(byte_by_byte(in));
      begun = begun || scan.events > 0;
      REQUIRE(out == in.substr(0, begun ? scan.border : 0));
      REQUIRE(hold.may_say_error());
    }
    REQUIRE(out + std::string(hold.rest()) == in);
  }
}

TEST_CASE("hold: an event beyond the limit goes out in parts, and then an error cannot be said until it has ended") {
  EventHold hold;
  CHECK(hold.take("data: 1\n\n").piece == "data: 1\n\n");
  const std::string part(EventHold::kHeldBytes / 4, 'x');
  CHECK(hold.take("data: ").empty());
  std::string expected = "data: ";
  for (int i = 0; i < 3; ++i) {
    CHECK(hold.take(part).empty());
    expected += part;
  }
  CHECK(hold.may_say_error());
  const EventHold::Out burst = hold.take(part);
  CHECK(burst.held == expected);
  CHECK(burst.piece == part);
  CHECK_FALSE(hold.may_say_error());
  CHECK(hold.rest().empty());

  const EventHold::Out more = hold.take(part);
  CHECK(more.held.empty());
  CHECK(more.piece == part);
  CHECK_FALSE(hold.may_say_error());

  const EventHold::Out end = hold.take("\n\ndata: 2");
  CHECK(end.piece == "\n\n");
  CHECK(end.data_event);
  CHECK(hold.may_say_error());
  CHECK(hold.rest() == "data: 2");
}

TEST_CASE("hold: comments without end before the first event go out beyond the limit, too") {
  EventHold hold;
  const std::string ping = ": ping\n\n";
  std::size_t taken = 0;
  for (; taken <= EventHold::kHeldBytes - ping.size(); taken += ping.size()) CHECK(hold.take(ping).empty());
  const EventHold::Out out = hold.take(ping);
  CHECK(out.held.size() + out.piece.size() == taken + ping.size());
  CHECK_FALSE(out.data_event);
  CHECK(hold.may_say_error());
  CHECK(hold.take(ping).piece == ping);
}

Task<void> read_head(net::Stream& writer, net::Stream& stream, std::string_view text, Head& head) {
  CHECK(co_await writer.write(text));
  MessageReader reader(stream, Side::kResponses);
  CHECK(co_await reader.head(head) == true);
}

TEST_CASE("event streams are known by their type") {
  struct {
    const char* fields;
    bool expected;
  } const rows[] = {
      {"Content-Type: text/event-stream\r\n", true},
      {"content-type: Text/Event-Stream ; charset=utf-8\r\n", true},
      {"Content-Type: text/event-stream-2\r\n", false},
      {"Content-Type: application/json\r\n", false},
      {"", false},
      {"Content-Type: text/event-stream\r\nContent-Encoding: identity\r\n", true},
      {"Content-Type: text/event-stream\r\nContent-Encoding: gzip\r\n", false},
  };
  for (const auto& row : rows) {
    CAPTURE(row.fields);
    net::MemoryLoop loop;
    auto [near, far] = loop.pair();
    Head head;
    loop.run(read_head(*near, *far, std::string("HTTP/1.1 200 OK\r\n") + row.fields + "\r\n", head));
    CHECK(is_event_stream(head) == row.expected);
  }
}

TEST_CASE("stream error: an event of its own, in the form that clients raise on") {
  std::string out;
  write_stream_error(out, "replica a-1 \"broke\" off", "stream_interrupted");
  CHECK(out ==
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"replica a-1 \\\"broke\\\" off\","
        "\"type\":\"server_error\",\"param\":null,\"code\":\"stream_interrupted\"}}\n\n");
  const Scan scan = scan_pieces({out});
  CHECK(scan.events == 1);
  CHECK(scan.at_border);
}

}  // namespace
}  // namespace nines::http
