// The load that wrk and nines-load do not make: an open loop at a given rate, streams whose events are timed, and
// connections that stay idle. One thread, one epoll; it never sends a request twice.
//
//   nines-bench-client rate    --port P --rate R --seconds S [--connections MAX] [--path /small] [--body BYTES]
//   nines-bench-client streams --port P --connections C --seconds S [--path "/sse?events=200&every_us=5000"]
//   nines-bench-client idle    --port P --connections N [--path /small]
//
// rate: a request is due every 1/R seconds, whatever became of the ones before; its latency counts from that moment, so
// nothing is hidden when the service stalls. It takes an idle connection or opens one; with MAX in use it waits, and
// the wait counts. One line of JSON at the end:
//   {"due", "answered", "elapsed_s", "by_status": {"200": {"count", "p50_ms", "p99_ms", "p99_9_ms", "max_ms",
//    "first_byte_p50_ms", "first_byte_p99_ms"}}, "failed": {KIND: count}, "connections_max"}
// streams: each connection asks for one stream after the other.
//   {"events", "streams", "elapsed_s", "event_p50_ms", "event_p99_ms", "failed": {KIND: count}}
// idle: one request on each connection, then the line {"idle": N}; holds them until standard input ends, and says how
// many were still open: {"open": N}.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "gateway/event.h"
#include "load/connection.h"
#include "load/histogram.h"
#include "load/response_parser.h"

namespace {

using namespace nines;
using bench::kEventSent;
using bench::kEventSize;
using bench::kSentDigits;
using std::string_view;

constexpr Duration kRequestTimeout = 15s;
// A wave of new connections for `idle`, so that no listen queue overflows.
constexpr std::size_t kOpeningMax = 64;

struct Options {
  std::string mode, path;
  unsigned port = 0, connections = 0, body = 0;
  double rate = 0, seconds = 0;
};

struct Connection {
  int fd = -1;
  bool open = false, busy = false, seen_first = false;
  Instant due, first;
  std::size_t sent = 0;
  load::ResponseParser parser;
};

struct Tally {
  std::uint64_t count = 0;
  load::Histogram whole, first;
};

double ms(Duration d) { return std::chrono::duration<double, std::milli>(d).count(); }

class Client {
 public:
  explicit Client(Options options) : options_(std::move(options)) {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    const bool posts = options_.body > 0;
    request_ = (posts ? "POST " : "GET ") + options_.path +
               " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(options_.port) + "\r\n";
    if (posts)
      request_ += "Content-Type: application/json\r\nContent-Length: " + std::to_string(options_.body) + "\r\n";
    request_ += "\r\n";
    if (posts) request_ += '{' + std::string(options_.body - 1, 'x');
  }

  int run() {
    start_ = load::now();
    if (options_.mode == "rate") return rate();
    if (options_.mode == "streams") return streams();
    return idle();
  }

 private:
  int rate();
  int streams();
  int idle();

  void poll(Instant until);
  void on_event(Connection& c, std::uint32_t events);
  void dispatch(Instant due);
  void begin_on_new(Instant due) { begin(*connections_.emplace_back(std::make_unique<Connection>()), due); }
  bool open(Connection& c);
  void begin(Connection& c, Instant due);
  void write(Connection& c);
  void read(Connection& c);
  void on_done(Connection& c, Instant at);
  void on_failure(Connection& c, const std::string& kind);
  void time_events(string_view bytes, Instant at);
  void give_up_old_ones(Instant at);
  void drop(Connection& c);
  std::string failures() const;
  double elapsed() const { return std::chrono::duration<double>(end_ - start_).count(); }

  const Options options_;
  std::string request_;
  int epoll_ = -1;
  Instant start_, end_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> idle_, closed_;
  std::deque<Instant> waiting_;  // due, and no connection to be had
  std::uint64_t busy_ = 0, streams_ = 0, events_ = 0;
  bool accounting_ = true;
  std::map<int, Tally> by_status_;
  std::map<std::string, std::uint64_t> failed_;
  load::Histogram event_latency_;
};

bool Client::open(Connection& c) {
  c.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(options_.port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  c.open =
      c.fd >= 0 && (connect(c.fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 || errno == EINPROGRESS);
  if (!c.open) return false;
  epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.ptr = &c}};
  return epoll_ctl(epoll_, EPOLL_CTL_ADD, c.fd, &event) == 0;
}

void Client::drop(Connection& c) {
  if (c.fd >= 0) ::close(c.fd);
  c.fd = -1;
  c.open = false;
}

void Client::begin(Connection& c, Instant due) {
  c.due = due;
  c.busy = true;
  c.seen_first = false;
  c.sent = 0;
  c.parser.begin(options_.body > 0 ? "POST" : "GET");
  ++busy_;
  if (!c.open && !open(c)) return on_failure(c, "connect");
  write(c);
}

void Client::write(Connection& c) {
  while (c.sent < request_.size()) {
    const ssize_t n = send(c.fd, request_.data() + c.sent, request_.size() - c.sent, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == ENOTCONN)) return;
    if (n < 0) return on_failure(c, errno == ECONNREFUSED ? "refused" : "reset");
    c.sent += static_cast<std::size_t>(n);
  }
}

void Client::on_event(Connection& c, std::uint32_t events) {
  if (!c.open) return;
  if (c.busy && c.sent < request_.size() && (events & EPOLLOUT) != 0) write(c);
  if (c.open && (events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP)) != 0) read(c);
}

void Client::read(Connection& c) {
  static char buffer[256 * 1024];
  while (c.open) {
    const ssize_t n = recv(c.fd, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
      if (!c.busy) {  // an idle connection that the service closed
        drop(c);
        std::erase(idle_, &c);
        closed_.push_back(&c);
        return;
      }
      if (n == 0 && c.parser.end_of_stream()) return on_done(c, load::now());
      return on_failure(c, n < 0 ? "reset" : c.parser.started() ? "truncated" : "closed");
    }
    if (!c.busy) return on_failure(c, "unasked");
    const Instant at = load::now();
    if (!c.seen_first) c.first = at;
    c.seen_first = true;
    const string_view bytes(buffer, static_cast<std::size_t>(n));
    if (options_.mode == "streams") time_events(bytes, at);
    const std::size_t taken = c.parser.feed(bytes);
    if (c.parser.broken() || taken < bytes.size()) return on_failure(c, "protocol");
    if (c.parser.done()) return on_done(c, at);
  }
}

// An event whose stamp is cut by the end of a read is counted, not timed.
void Client::time_events(string_view bytes, Instant at) {
  if (!accounting_) return;
  for (auto found = bytes.find(kEventSent); found != string_view::npos; found = bytes.find(kEventSent, found + 1)) {
    const string_view digits = bytes.substr(found + kEventSent.size());
    std::uint64_t sent = 0;
    if (digits.size() < kSentDigits) return;
    std::from_chars(digits.data(), digits.data() + kSentDigits, sent);
    event_latency_.add(at.since_boot - Duration(static_cast<std::int64_t>(sent)));
  }
}

void Client::on_done(Connection& c, Instant at) {
  c.busy = false;
  --busy_;
  if (accounting_) {
    Tally& tally = by_status_[c.parser.status()];
    ++tally.count;
    tally.whole.add(at - c.due);
    tally.first.add(c.first - c.due);
  }
  if (options_.mode == "streams") {
    ++streams_;
    events_ += c.parser.body_size() / kEventSize;
    if (c.parser.status() != 200 || c.parser.body_size() % kEventSize != 0) ++failed_["incomplete"];
    if (accounting_) return begin(c, at);
  }
  if (c.parser.announces_close()) drop(c);
  (c.open ? idle_ : closed_).push_back(&c);
}

void Client::on_failure(Connection& c, const std::string& kind) {
  if (accounting_) ++failed_[kind];
  drop(c);
  if (c.busy) --busy_;
  c.busy = false;
  std::erase(idle_, &c);
  closed_.push_back(&c);
}

void Client::dispatch(Instant due) {
  std::vector<Connection*>& from = !idle_.empty() ? idle_ : closed_;
  if (!from.empty()) {
    Connection* const c = from.back();
    from.pop_back();
    return begin(*c, due);
  }
  if (connections_.size() < options_.connections) return begin_on_new(due);
  waiting_.push_back(due);
}

void Client::poll(Instant until) {
  const Duration wait = std::max(until - load::now(), Duration{0});
  const timespec timeout{.tv_sec = wait.count() / 1'000'000'000, .tv_nsec = wait.count() % 1'000'000'000};
  epoll_event events[256];
  const int n = epoll_pwait2(epoll_, events, 256, &timeout, nullptr);
  for (int i = 0; i < n; ++i) on_event(*static_cast<Connection*>(events[i].data.ptr), events[i].events);
  while (!waiting_.empty() && (!idle_.empty() || !closed_.empty())) {
    const Instant due = waiting_.front();
    waiting_.pop_front();
    dispatch(due);
  }
}

void Client::give_up_old_ones(Instant at) {
  for (auto& c : connections_) {
    if (c->busy && at - c->due > kRequestTimeout) on_failure(*c, "timed_out");
  }
}

int Client::rate() {
  const Duration interval(static_cast<std::int64_t>(1e9 / options_.rate));
  const Instant stop = start_ + Duration(static_cast<std::int64_t>(options_.seconds * 1e9));
  std::uint64_t due_count = 0;
  Instant look_at_old = start_ + 1s;
  for (Instant due = start_; due < stop || busy_ > 0 || !waiting_.empty();) {
    const Instant at = load::now();
    for (; due <= at && due < stop; due = due + interval) {
      dispatch(due);
      ++due_count;
    }
    poll(due < stop ? due : at + 100ms);
    if (at >= look_at_old) {
      give_up_old_ones(at);
      look_at_old = at + 1s;
    }
  }
  end_ = load::now();
  std::uint64_t answered = 0;
  std::string by_status;
  for (const auto& [status, t] : by_status_) {
    char text[320];
    std::snprintf(text, sizeof text,
                  "%s\"%d\":{\"count\":%llu,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"p99_9_ms\":%.3f,\"max_ms\":%.3f,"
                  "\"first_byte_p50_ms\":%.3f,\"first_byte_p99_ms\":%.3f}",
                  by_status.empty() ? "" : ",", status, static_cast<unsigned long long>(t.count),
                  ms(t.whole.percentile(0.5)), ms(t.whole.percentile(0.99)), ms(t.whole.percentile(0.999)),
                  ms(t.whole.max()), ms(t.first.percentile(0.5)), ms(t.first.percentile(0.99)));
    by_status += text;
    answered += t.count;
  }
  std::printf(
      "{\"due\":%llu,\"answered\":%llu,\"elapsed_s\":%.3f,\"by_status\":{%s},\"failed\":%s,\"connections_max\":%zu}\n",
      static_cast<unsigned long long>(due_count), static_cast<unsigned long long>(answered), elapsed(),
      by_status.c_str(), failures().c_str(), connections_.size());
  return 0;
}

int Client::streams() {
  const Instant stop = start_ + Duration(static_cast<std::int64_t>(options_.seconds * 1e9));
  // Not all at once: their events spread over time as those of strangers do.
  for (unsigned i = 0; i < options_.connections; ++i) {
    begin_on_new(load::now());
    for (const Instant next = load::now() + 1ms; load::now() < next;) poll(next);
  }
  while (load::now() < stop) poll(stop);
  end_ = load::now();
  accounting_ = false;
  for (auto& c : connections_) events_ += c->busy ? c->parser.body_size() / kEventSize : 0;
  std::printf(
      "{\"events\":%llu,\"streams\":%llu,\"elapsed_s\":%.3f,\"event_p50_ms\":%.3f,\"event_p99_ms\":%.3f,\"failed\":%s}"
      "\n",
      static_cast<unsigned long long>(events_), static_cast<unsigned long long>(streams_), elapsed(),
      ms(event_latency_.percentile(0.5)), ms(event_latency_.percentile(0.99)), failures().c_str());
  return 0;
}

int Client::idle() {
  const Instant deadline = start_ + 60s;
  while (idle_.size() < options_.connections && load::now() < deadline) {
    while (connections_.size() < options_.connections && busy_ < kOpeningMax) begin_on_new(load::now());
    poll(load::now() + 50ms);
  }
  std::printf("{\"idle\":%zu,\"failed\":%s}\n", idle_.size(), failures().c_str());
  std::fflush(stdout);
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
  poll(load::now());
  std::printf("{\"open\":%zu}\n", idle_.size());
  return 0;
}

std::string Client::failures() const {
  std::string text;
  for (const auto& [kind, count] : failed_)
    text += (text.empty() ? "\"" : ",\"") + kind + "\":" + std::to_string(count);
  return "{" + text + "}";
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (argc > 1) options.mode = argv[1];
  for (int i = 2; i + 1 < argc; i += 2) {
    const string_view name = argv[i];
    const char* const value = argv[i + 1];
    if (name == "--port") options.port = static_cast<unsigned>(std::strtoul(value, nullptr, 10));
    if (name == "--connections") options.connections = static_cast<unsigned>(std::strtoul(value, nullptr, 10));
    if (name == "--body") options.body = static_cast<unsigned>(std::strtoul(value, nullptr, 10));
    if (name == "--rate") options.rate = std::strtod(value, nullptr);
    if (name == "--seconds") options.seconds = std::strtod(value, nullptr);
    if (name == "--path") options.path = value;
  }
  if (options.path.empty()) options.path = options.mode == "streams" ? "/sse?events=200&every_us=5000" : "/small";
  const bool known = options.mode == "rate" || options.mode == "streams" || options.mode == "idle";
  if (!known || options.port == 0 || options.connections == 0 || (options.mode == "rate" && options.rate <= 0)) {
    std::fprintf(stderr,
                 "usage: nines-bench-client rate|streams|idle --port P --connections N [--rate R] [--seconds S] ...\n");
    return 2;
  }
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  return Client(options).run();
}
