// The oracle is judged by servers whose every byte is scripted: each way to fail must be counted once, under its name.
#include "load/load.h"

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "base/fd.h"
#include "base/text.h"
#include "load/histogram.h"
#include "load/report.h"
#include "load/response_parser.h"

namespace nines::load {
namespace {

const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const std::string kHeadOf200 = "HTTP/1.1 200 OK\r\n";

struct Parsed {
  ResponseParser parser;
  std::size_t taken = 0;
};

Parsed parse(std::string_view bytes, std::size_t step, std::string_view method = "GET") {
  Parsed parsed;
  parsed.parser.begin(method);
  while (parsed.taken < bytes.size() && !parsed.parser.done() && !parsed.parser.broken()) {
    parsed.taken += parsed.parser.feed(bytes.substr(parsed.taken, step));
  }
  return parsed;
}

TEST_CASE("parser: what is well-formed, whole and one byte at a time") {
  struct Row {
    const char* why;
    std::string bytes;
    int status;
    std::string body;
    bool close;
  };
  const Row rows[] = {
      {"a length", kOk, 200, "ok", false},
      {"a length of zero", kHeadOf200 + "content-length: 0\r\n\r\n", 200, "", false},
      {"an empty reason", "HTTP/1.1 503 \r\nContent-Length:1\r\n\r\n!", 503, "!", false},
      {"chunks, an extension, a trailer",
       kHeadOf200 + "Transfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\n", 200,
       "abc0123456789", false},
      {"no chunk", kHeadOf200 + "Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", 200, "", false},
      {"close announced among others", kHeadOf200 + "Connection: x, Close\r\nContent-Length: 0\r\n\r\n", 200, "", true},
      {"interim responses are skipped", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + kOk, 200, "ok", false},
      {"204 has no body", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", false},
  };
  for (const Row& row : rows) {
    for (const std::size_t step : {std::size_t{1}, std::size_t{3}, row.bytes.size()}) {
      CAPTURE(row.why);
      CAPTURE(step);
      const Parsed parsed = parse(row.bytes, step);
      CHECK(parsed.parser.error() == "");
      CHECK(parsed.parser.done());
      CHECK(parsed.taken == row.bytes.size());
      CHECK(parsed.parser.status() == row.status);
      CHECK(parsed.parser.body_start() == row.body);
      CHECK(parsed.parser.body_size() == row.body.size());
      CHECK(parsed.parser.announces_close() == row.close);
    }
  }
}

TEST_CASE("parser: what is odd is an error, whole and one byte at a time") {
  struct Row {
    const char* why;
    std::string bytes;
  };
  const std::string chunked = kHeadOf200 + "Transfer-Encoding: chunked\r\n\r\n";
  const Row rows[] = {
      {"not HTTP", "SSH-2.0-OpenSSH\r\n"},
      {"HTTP/1.0", "HTTP/1.0 200 OK\r\n"},
      {"lower case", "http/1.1 200 OK\r\n"},
      {"no space after the status", "HTTP/1.1 200\r\n"},
      {"two digits", "HTTP/1.1 20 OK\r\n"},
      {"four digits", "HTTP/1.1 2000 OK\r\n"},
      {"status 600", "HTTP/1.1 600 No\r\n"},
      {"bare LF", "HTTP/1.1 200 OK\n"},
      {"bare LF after a field", kHeadOf200 + "A: b\n"},
      {"CR within a field", kHeadOf200 + "A: b\rc\r\n"},
      {"NUL within a field", kHeadOf200 + "A: b" + std::string(1, '\0') + "\r\n"},
      {"space before the colon", kHeadOf200 + "Content-Length : 2\r\n"},
      {"folding", kHeadOf200 + "A: b\r\n c\r\n"},
      {"no colon", kHeadOf200 + "nonsense\r\n"},
      {"empty name", kHeadOf200 + ": b\r\n"},
      {"two lengths, even equal ones", kHeadOf200 + "Content-Length: 2\r\nContent-Length: 2\r\n"},
      {"a list of lengths", kHeadOf200 + "Content-Length: 2, 2\r\n\r\n"},
      {"a signed length", kHeadOf200 + "Content-Length: +2\r\n\r\n"},
      {"an empty length", kHeadOf200 + "Content-Length:\r\n"},
      {"a length beyond 64 bits", kHeadOf200 + "Content-Length: 18446744073709551616\r\n\r\n"},
      {"a length beyond the limit", kHeadOf200 + "Content-Length: 1073741825\r\n\r\n"},
      {"length and coding", kHeadOf200 + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {"two codings", kHeadOf200 + "Transfer-Encoding: gzip, chunked\r\n\r\n"},
      {"chunked twice", kHeadOf200 + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"},
      {"no framing", kHeadOf200 + "A: b\r\n\r\n"},
      {"204 with a length", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"},
      {"101", "HTTP/1.1 101 Switching Protocols\r\n\r\n"},
      {"chunk size missing", chunked + "\r\n"},
      {"chunk size of a word", chunked + "zz\r\n"},
      {"chunk size with 0x", chunked + "0x2\r\n"},
      {"chunk size with a space", chunked + "2 \r\n"},
      {"chunk size beyond 32 bits", chunked + "100000000\r\n"},
      {"chunk longer than stated", chunked + "2\r\nabc\r\n"},
      {"bare LF after a chunk", chunked + "2\r\nab\n"},
      {"framing in a trailer", chunked + "0\r\nContent-Length: 1\r\n"},
      {"an endless line", kHeadOf200 + "A: " + std::string(ResponseParser::kLineMax, 'x')},
  };
  for (const Row& row : rows) {
    for (const std::size_t step : {std::size_t{1}, row.bytes.size()}) {
      CAPTURE(row.why);
      CAPTURE(step);
      const Parsed parsed = parse(row.bytes, step);
      CHECK(parsed.parser.broken());
      CHECK(parsed.parser.error() != "");
    }
  }
  std::string many = kHeadOf200;
  for (std::size_t i = 0; i <= ResponseParser::kFieldsMax; ++i) many += "A: b\r\n";
  CHECK(parse(many, many.size()).parser.broken());
  std::string interim;
  for (int i = 0; i <= ResponseParser::kInterimMax; ++i) interim += "HTTP/1.1 103 Early Hints\r\n\r\n";
  CHECK(parse(interim, interim.size()).parser.broken());
}

TEST_CASE("parser: the end of the stream completes only a body that was announced to end there") {
  struct Row {
    std::string bytes;
    bool complete;
  };
  const Row rows[] = {
      {"", false},
      {"HTTP/1.1 200", false},
      {kHeadOf200 + "Connection: close\r\n", false},
      {kHeadOf200 + "Connection: close\r\n\r\nall there is", true},
      {kHeadOf200 + "Connection: close\r\nContent-Length: 3\r\n\r\nab", false},
      {kHeadOf200 + "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.bytes);
    Parsed parsed = parse(row.bytes, 5);
    CHECK(!parsed.parser.done());
    CHECK(!parsed.parser.broken());
    CHECK(parsed.parser.started() == !row.bytes.empty());
    CHECK(parsed.parser.end_of_stream() == row.complete);
  }
}

TEST_CASE("parser: a response ends where it ends; HEAD has no body; only the start of a body is kept") {
  CHECK(parse(kOk + kOk, 1000).taken == kOk.size());
  CHECK(parse("HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\n" + kOk, 1000).parser.field("a").empty());
  CHECK(parse(kHeadOf200 + "Content-Length: 99\r\n\r\n", 1000, "HEAD").parser.done());
  const Parsed parsed = parse(kHeadOf200 + "Content-Length: 5000\r\n\r\n" + std::string(5000, 'x'), 7);
  CHECK(parsed.parser.done());
  CHECK(parsed.parser.body_size() == 5000);
  CHECK(parsed.parser.body_start() == std::string(ResponseParser::kBodyKept, 'x'));
}

TEST_CASE("histogram: percentiles are within 1.6 percent, never below the value, never above the maximum") {
  Histogram histogram;
  CHECK(histogram.percentile(0.99) == 0ns);
  for (int i = 1; i <= 1000; ++i) histogram.add(i * 1ms);
  for (const auto& [share, exact] : {std::pair{0.5, 500ms}, {0.99, 990ms}, {0.999, 999ms}, {1.0, 1000ms}}) {
    CHECK(histogram.percentile(share) >= exact);
    CHECK(histogram.percentile(share) <= std::min<Duration>(exact * 1016 / 1000, 1s));
  }
  Histogram single;
  single.add(Duration::max());
  CHECK(single.percentile(0.5) == Duration::max());
}

enum class Then : std::uint8_t { kKeep, kClose, kReset, kHang, kDribble };

struct Reply {
  std::string bytes;
  Then then = Then::kKeep;
};

// Answers the n-th request of all with the n-th reply, on whichever connection it comes; the last reply repeats.
class ScriptedServer {
 public:
  explicit ScriptedServer(std::vector<Reply> script) : script_(std::move(script)) {
    listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(listener_.get(), 64) == 0);
    REQUIRE(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    accepting_ = std::jthread([this] { accept_all(); });
  }
  ~ScriptedServer() { ::shutdown(listener_.get(), SHUT_RDWR); }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  std::size_t requests() const { return requests_; }

 private:
  void accept_all() {
    std::vector<std::jthread> connections;
    while (true) {
      const int fd = ::accept(listener_.get(), nullptr, nullptr);
      if (fd < 0) return;
      connections.emplace_back([this, fd] { serve(Fd(fd)); });
    }
  }

  static bool read_request(int fd) {
    std::string received;
    while (true) {
      const auto head = received.find("\r\n\r\n");
      if (head != std::string::npos) {
        const auto at = received.find("Content-Length: ");
        std::size_t body = 0;
        if (at < head) body = std::stoul(received.substr(at + 16));
        if (received.size() >= head + 4 + body) return true;
      }
      char buffer[4096];
      const auto got = ::recv(fd, buffer, sizeof buffer, 0);
      if (got <= 0) return false;
      received.append(buffer, static_cast<std::size_t>(got));
    }
  }

  static void send_all(int fd, std::string_view bytes) { ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL); }

  static bool gone_within(int fd, int milliseconds) {
    pollfd item{.fd = fd, .events = POLLIN, .revents = 0};
    char byte = 0;
    return ::poll(&item, 1, milliseconds) > 0 && ::recv(fd, &byte, 1, MSG_PEEK) <= 0;
  }

  void serve(Fd fd) {
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    while (read_request(fd.get())) {
      const Reply& reply = script_[std::min(requests_++, script_.size() - 1)];
      if (reply.then == Then::kDribble) {
        for (const char byte : reply.bytes) {
          send_all(fd.get(), {&byte, 1});
          if (gone_within(fd.get(), 1)) return;
        }
        continue;
      }
      send_all(fd.get(), reply.bytes);
      if (reply.then == Then::kClose) return;
      if (reply.then == Then::kHang) {
        gone_within(fd.get(), 60'000);
        return;
      }
      if (reply.then == Then::kReset) {
        const linger abort{.l_onoff = 1, .l_linger = 0};
        ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
        return;
      }
    }
  }

  std::vector<Reply> script_;
  Fd listener_;
  std::uint16_t port_ = 0;
  std::atomic<std::size_t> requests_ = 0;
  std::jthread accepting_;
};

Snapshot run(Options options) {
  auto load = Load::start(std::move(options));
  REQUIRE(load.has_value());
  load->wait();
  return load->stop();
}

// Short enough for an impatient test, and the rows that must not time out have none of it.
constexpr Duration kImpatient = 600ms;
constexpr Duration kPatient = 60s;

TEST_CASE("load: each way to fail is counted once, under its name, and nothing is sent twice") {
  const std::string head = kHeadOf200 + "Content-Length: 10\r\n\r\n";
  const std::string chunked = kHeadOf200 + "Transfer-Encoding: chunked\r\n\r\n";
  struct Row {
    const char* why;
    Reply reply;
    Kind kind;
    int status;
    Duration timeout = kPatient;
  };
  const Row rows[] = {
      {"500", {"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"}, Kind::kStatus, 500},
      {"503 and close", {"HTTP/1.1 503 No\r\nConnection: close\r\n\r\nno", Then::kClose}, Kind::kStatus, 503},
      {"204 is not 200", {"HTTP/1.1 204 No Content\r\n\r\n"}, Kind::kStatus, 204},
      {"reset before the response", {"", Then::kReset}, Kind::kReset, 0},
      {"closed before the response", {"", Then::kClose}, Kind::kClosed, 0},
      {"closed in the head", {"HTTP/1.1 200 OK\r\nConte", Then::kClose}, Kind::kTruncated, 200},
      {"closed in the body", {head + "short", Then::kClose}, Kind::kTruncated, 200},
      {"closed between chunks", {chunked + "2\r\nab\r\n", Then::kClose}, Kind::kTruncated, 200},
      {"nonsense", {"hello\r\n"}, Kind::kProtocol, 0},
      {"more than was asked for", {kOk + "x"}, Kind::kProtocol, 200},
      {"silence", {"", Then::kHang}, Kind::kTimedOut, 0, kImpatient},
      {"silence in the body", {head + "short", Then::kHang}, Kind::kTimedOut, 200, kImpatient},
      {"dribbles without end",
       {kHeadOf200 + "A: " + std::string(10'000, 'x'), Then::kDribble},
       Kind::kTimedOut,
       200,
       kImpatient},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    // The failure comes on a used connection, then on a fresh one; the service recovers.
    ScriptedServer server({{kOk}, row.reply, row.reply, {kOk}});
    const Snapshot s = run({.address = server.address(), .connections = 1, .requests = 5, .timeout = row.timeout});
    CHECK(s.ok == 3);
    CHECK(s.failed == 2);
    CHECK(s.by_kind == std::map<Kind, std::uint64_t>{{row.kind, 2}});
    CHECK(server.requests() == 5);
    REQUIRE(s.failures.size() == 2);
    CHECK(s.failures[0].kind == row.kind);
    CHECK(s.failures[0].status == row.status);
    CHECK(s.failures[0].after <= s.failures[1].after);
    CHECK(s.failures[0].detail != "");
  }
}

TEST_CASE("load: slow and complete is ok") {
  ScriptedServer server({{kOk, Then::kDribble}});
  const Snapshot s = run({.address = server.address(), .connections = 2, .requests = 4, .timeout = kPatient});
  CHECK(s.ok == 4);
  CHECK(s.failed == 0);
  CHECK(s.opened == 2);
}

TEST_CASE("load: a close between two requests is a failure unless it was announced") {
  const std::string announced = kHeadOf200 + "Connection: close\r\nContent-Length: 2\r\n\r\nok";
  ScriptedServer polite({{announced, Then::kClose}});
  const Snapshot good = run({.address = polite.address(), .connections = 1, .requests = 3, .timeout = kPatient});
  CHECK(good.ok == 3);
  CHECK(good.failed == 0);
  CHECK(good.opened == 3);

  // Requests are far enough apart for the close to be seen before the next one is sent; should it be sent first
  // on a slow machine, the same fault shows as closed or reset.
  ScriptedServer rude({{kOk, Then::kClose}, {kOk}});
  const Snapshot bad =
      run({.address = rude.address(), .connections = 1, .requests = 3, .timeout = kPatient, .rate_max = 10});
  CHECK(bad.ok == 2);
  CHECK(bad.failed == 1);
  CHECK(bad.requests() == 3);
}

TEST_CASE("load: nobody listening is refused, once per request") {
  std::string address;
  {
    address = ScriptedServer({{kOk}}).address();
  }
  const Snapshot s = run({.address = address, .connections = 3, .requests = 6, .pause_after_refusal = 1ms});
  CHECK(s.by_kind == std::map<Kind, std::uint64_t>{{Kind::kRefused, 6}});
  CHECK(s.ok == 0);
  CHECK(s.longest_gap == s.elapsed);
}

TEST_CASE("load: templates alternate by weight, failures carry what helps, a header's values are counted") {
  ScriptedServer server({
      {kHeadOf200 + "X-Replica: a\r\nContent-Length: 0\r\n\r\n"},
      {"HTTP/1.1 502 Bad\r\nX-Request-Id: r7\r\nX-Replica: b\r\nContent-Length: 4\r\n\r\nwhy\x01"},
      {kHeadOf200 + "X-Replica: a\r\nContent-Length: 0\r\n\r\n"},
  });
  const Snapshot s = run({.address = server.address(),
                          .connections = 1,
                          .requests = 4,
                          .templates = {{.path = "/health"}, {.method = "POST", .path = "/classify", .body = "{}"}},
                          .timeout = kPatient,
                          .count_header = "x-replica"});
  CHECK(s.ok == 3);
  REQUIRE(s.failures.size() == 1);
  CHECK(s.failures[0].method == "POST");
  CHECK(s.failures[0].path == "/classify");
  CHECK(s.failures[0].request_id == "r7");
  CHECK(s.failures[0].body == "why\x01");
  CHECK(s.values == std::map<std::string, std::uint64_t>{{"a", 3}, {"b", 1}});
  CHECK(s.by_status == std::map<int, std::uint64_t>{{200, 3}, {502, 1}});
  CHECK(json_report(s).contains(R"("body":"why\\x01")"));
  CHECK(text_report(s).contains("3 ok, 1 failed"));
}

TEST_CASE("load: weights interleave, and the gap without a success reaches from one to the next") {
  ScriptedServer server({{kOk}, {"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"}});
  const Snapshot s = run({.address = server.address(),
                          .connections = 1,
                          .requests = 7,
                          .templates = {{.path = "/a", .weight = 2}, {.path = "/b"}},
                          .timeout = kPatient});
  std::string played;
  for (const Failure& failure : s.failures) played += failure.path;
  CHECK(played == "/b/a/a/b/a/a");
  REQUIRE(s.failures.size() == 6);
  CHECK(s.longest_gap >= s.failures[5].after - s.failures[0].after);
  CHECK(s.longest_gap + s.longest_gap_after <= s.elapsed);
}

TEST_CASE("load: the rate is a ceiling, stop() ends a run early, many connections share one count") {
  ScriptedServer server({{kOk}});
  const Snapshot counted = run({.address = server.address(), .connections = 8, .requests = 500, .timeout = kPatient});
  CHECK(counted.ok == 500);
  CHECK(server.requests() == 500);

  auto load = Load::start({.address = server.address(), .connections = 4, .timeout = kPatient, .rate_max = 200});
  REQUIRE(load.has_value());
  while (load->snapshot().ok < 20) std::this_thread::yield();
  CHECK(!load->finished());
  const Snapshot s = load->stop();
  CHECK(s.finished);
  CHECK(s.failed == 0);
  CHECK(static_cast<double>(s.ok) <= 200 * std::chrono::duration<double>(s.elapsed).count() + 200 * 0.05 + 1);
}

TEST_CASE("load: options that make no sense are refused with a reason") {
  CHECK(!Load::start({.address = "127.0.0.1"}).has_value());
  CHECK(!Load::start({.address = ":80"}).has_value());
  CHECK(!Load::start({.address = "127.0.0.1:http"}).has_value());
  CHECK(!Load::start({.address = "127.0.0.1:1", .connections = 0}).has_value());
  CHECK(!Load::start({.address = "127.0.0.1:1", .templates = {{.path = "health"}}}).has_value());
  CHECK(!Load::start({.address = "127.0.0.1:1", .templates = {{.path = "/a b"}}}).has_value());
  CHECK(!Load::start({.address = "127.0.0.1:1", .templates = {{.weight = 0}}}).has_value());
}

}  // namespace
}  // namespace nines::load
