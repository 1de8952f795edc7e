// The server behind every proxy of these benches: fast, single-threaded, and of known behaviour. It shares no code with
// the product, so that nothing is measured against itself.
//
//   nines-bench-backend --port PORT [--slots N] [--service-us US] [--start-delay-ms MS]
//                       [--first-of PORT,PORT,…] [--diary FILE] [--broken-by FILE]
//
//   --first-of   listens on the first of these that is free, too: a place of its own for each copy of one command
//   --diary      appends "began PID NS" and "listens PID NS PORT", for each port: CLOCK_BOOTTIME
//   --broken-by  while this file exists, it exits with 1 as soon as it has begun
//
//   /small            about 100 bytes of JSON; any method
//   /echo             reads the request's body and answers how long it was
//   /big              1 MiB
//   /sse?events=N&every_us=US
//                     N small events, one write each, paced; an event says when it was sent (CLOCK_MONOTONIC)
//   /work[?us=US]     inference: waits for one of --slots, holds it for US (default: --service-us); a body that does
//                     not begin with `{` is answered with 500. A client that leaves frees its slot.
//   /health           200 in every mode
//   /control?mode=M   of /work and /small: ok, as above | fail, 500 at once | hang, never an answer | reset
//   /control?leak=M   takes M MiB and keeps them
//   /stats            {"requests", "abandoned"}: of everything but /health, /control and /stats
//
// SIGTERM: takes no more connections, closes idle ones, finishes what it has, exits 0.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <queue>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/event.h"

namespace {

using nines::bench::kEventFormat;
using nines::bench::kEventSize;
using std::string_view;

constexpr std::size_t kHeadMax = 64 * 1024;
constexpr std::uint64_t kWatchListener = 0, kWatchSignals = 1, kWatchSecondListener = 2;

struct Options {
  unsigned port = 0, slots = 1'000'000, service_us = 0, start_delay_ms = 0;
  std::vector<unsigned> first_of;
  const char *diary = nullptr, *broken_by = nullptr;
};

enum class Mode : std::uint8_t { kOk, kFail, kHang, kReset };

std::uint64_t now_ns(clockid_t clock = CLOCK_MONOTONIC) {
  timespec t{};
  clock_gettime(clock, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(t.tv_nsec);
}

std::uint64_t number_in(string_view text, string_view name, std::uint64_t otherwise) {
  const auto at = text.find(name);
  if (at == string_view::npos) return otherwise;
  std::uint64_t value = otherwise;
  std::from_chars(text.data() + at + name.size(), text.data() + text.size(), value);
  return value;
}

void note(const Options& options, const char* what, unsigned port) {
  if (options.diary == nullptr) return;
  const int fd = ::open(options.diary, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  dprintf(fd, "%s %d %llu %u\n", what, getpid(), static_cast<unsigned long long>(now_ns(CLOCK_BOOTTIME)), port);
  close(fd);
}

std::string answer(int status, string_view type, string_view body) {
  return "HTTP/1.1 " + std::to_string(status) + (status == 200 ? " OK" : " Error") +
         "\r\nContent-Type: " + std::string(type) + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string(body);
}

const std::string kMegabyte(std::size_t{1} << 20, 'm');
const std::string kBig = answer(200, "application/octet-stream", kMegabyte);
const std::string kSmall =
    answer(200, "application/json", R"({"label":"en","confidence":0.9731,"model":"bench-1","tokens":[12,7,4051,88]})");
const std::string kHealthy = answer(200, "text/plain", "ok");
const std::string kFailed = answer(500, "application/json", R"({"error":"failed as asked"})");
constexpr string_view kStreamHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\nTransfer-Encoding: "
    "chunked\r\n\r\n";

struct Connection {
  int fd = -1;
  std::uint64_t id = 0;  // never used twice, so that a timer of one that has gone finds nothing
  std::string in;
  // Of the request being read or answered:
  std::string path;
  std::uint64_t body_left = 0, body_size = 0;
  char body_first = 0;
  bool reading_body = false, answering = false;
  bool holds_slot = false, waits_for_slot = false;
  std::uint64_t work_us = 0;
  std::uint64_t events_left = 0, event_every_ns = 0, event_due = 0;
  // Output: what is owned, then what is static.
  std::string out;
  std::size_t out_sent = 0;
  string_view out_static;
};

struct Due {
  std::uint64_t at, id;
  friend bool operator>(const Due& a, const Due& b) { return a.at > b.at; }
};

class Server {
 public:
  explicit Server(const Options& options) : options_(options) {}
  int run();

 private:
  bool listen();
  bool listen_on(int& listener, unsigned port, std::uint64_t watch);
  void accept_all(int listener);
  void on_event(std::uint64_t id, std::uint32_t events);
  bool read_all(Connection& c);  // false: the peer has gone
  void take_input(Connection& c);
  bool take_head(Connection& c);
  void respond(Connection& c);
  void work(Connection& c);
  void begin_work(Connection& c);
  void release_slot(Connection& c);
  void on_due(Connection& c);
  void send_event(Connection& c, std::uint64_t now);
  void put(Connection& c, string_view bytes) {
    const auto end_of_first_line = bytes.find("\r\n") + 2;
    if (stopping_ && bytes.starts_with("HTTP")) {
      c.out.append(bytes.substr(0, end_of_first_line)).append("Connection: close\r\n");
      bytes.remove_prefix(end_of_first_line);
    }
    c.out += bytes;
    c.answering = false;
  }
  void go_on(Connection& c);  // with what it has sent, and with what is to be sent to it
  bool flush(Connection& c);
  void close(Connection& c);
  void stop();
  timespec until_next() const;

  static bool is_idle(const Connection& c) {
    return !c.answering && !c.reading_body && c.in.empty() && c.out.empty() && c.out_static.empty();
  }
  Connection* find(std::uint64_t id) {
    const std::size_t fd = id >> 32;
    return fd < table_.size() && table_[fd] && table_[fd]->id == id ? table_[fd].get() : nullptr;
  }

  const Options options_;
  Mode mode_ = Mode::kOk;
  int epoll_ = -1, listener_ = -1, second_listener_ = -1, signals_ = -1;
  bool stopping_ = false;
  std::uint64_t opened_ = 0, open_ = 0, requests_ = 0, abandoned_ = 0, slots_used_ = 0;
  std::vector<std::unique_ptr<Connection>> table_;  // by descriptor
  std::priority_queue<Due, std::vector<Due>, std::greater<>> timers_;
  std::deque<std::uint64_t> waiting_;  // for a slot
  std::vector<std::string> leaked_;
};

bool Server::listen() {
  if (options_.start_delay_ms > 0) usleep(options_.start_delay_ms * 1000);
  const auto has_place = [&](unsigned port) { return listen_on(second_listener_, port, kWatchSecondListener); };
  if (!options_.first_of.empty() && std::ranges::none_of(options_.first_of, has_place)) return false;
  return listen_on(listener_, options_.port, kWatchListener);
}

bool Server::listen_on(int& listener, unsigned port, std::uint64_t watch) {
  listener = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  epoll_event event{.events = EPOLLIN, .data = {.u64 = watch}};
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 && ::listen(listener, 8192) == 0 &&
      epoll_ctl(epoll_, EPOLL_CTL_ADD, listener, &event) == 0) {
    note(options_, "listens", port);
    return true;
  }
  ::close(listener);
  listener = -1;
  return false;
}

int Server::run() {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  signals_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  epoll_event watch{.events = EPOLLIN, .data = {.u64 = kWatchSignals}};
  epoll_ctl(epoll_, EPOLL_CTL_ADD, signals_, &watch);
  if (!listen()) {
    std::perror("nines-bench-backend: cannot listen");
    return 1;
  }
  std::vector<epoll_event> events(512);
  while (!stopping_ || open_ > 0) {
    const timespec timeout = until_next();
    const int n = epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()),
                               timers_.empty() ? nullptr : &timeout, nullptr);
    for (int i = 0; i < n; ++i)
      on_event(events[static_cast<std::size_t>(i)].data.u64, events[static_cast<std::size_t>(i)].events);
    for (const std::uint64_t now = now_ns(); !timers_.empty() && timers_.top().at <= now;) {
      const Due due = timers_.top();
      timers_.pop();
      if (Connection* c = find(due.id)) on_due(*c);
    }
  }
  return 0;
}

timespec Server::until_next() const {
  const std::uint64_t now = now_ns();
  const std::uint64_t wait = timers_.empty() || timers_.top().at <= now ? 0 : timers_.top().at - now;
  return {.tv_sec = static_cast<time_t>(wait / 1'000'000'000), .tv_nsec = static_cast<long>(wait % 1'000'000'000)};
}

void Server::on_event(std::uint64_t id, std::uint32_t events) {
  if (id == kWatchListener) return accept_all(listener_);
  if (id == kWatchSecondListener) return accept_all(second_listener_);
  if (id == kWatchSignals) return stop();
  Connection* const c = find(id);
  if (c == nullptr) return;
  if ((events & (EPOLLERR | EPOLLHUP)) != 0 || ((events & (EPOLLIN | EPOLLRDHUP)) != 0 && !read_all(*c)))
    return close(*c);
  go_on(*c);
}

void Server::go_on(Connection& c) {
  take_input(c);
  if (!flush(c) || (stopping_ && is_idle(c))) close(c);
}

void Server::accept_all(int listener) {
  for (;;) {
    const int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) return;
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (table_.size() <= static_cast<std::size_t>(fd)) table_.resize(static_cast<std::size_t>(fd) + 64);
    auto c = std::make_unique<Connection>();
    c->fd = fd;
    c->id = (static_cast<std::uint64_t>(fd) << 32) | (++opened_ & 0xffffffff);
    epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.u64 = c->id}};
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
    table_[static_cast<std::size_t>(fd)] = std::move(c);
    ++open_;
  }
}

// A half-closed peer counts as gone, as it does for uvicorn.
bool Server::read_all(Connection& c) {
  static char buffer[128 * 1024];
  for (;;) {
    const ssize_t n = recv(c.fd, buffer, sizeof buffer, 0);
    if (n > 0) c.in.append(buffer, static_cast<std::size_t>(n));
    if (n > 0 && c.reading_body && c.in.size() <= c.body_left) {  // a long body is counted, not kept
      if (c.body_left == c.body_size) c.body_first = c.in[0];
      c.body_left -= c.in.size();
      c.in.clear();
    }
    if (n == 0) return false;
    if (n < 0) return errno == EAGAIN;
    if (static_cast<std::size_t>(n) < sizeof buffer) return true;
  }
}

void Server::take_input(Connection& c) {
  while (!c.answering) {
    if (!c.reading_body && !take_head(c)) return;
    if (c.body_left > c.in.size()) return;
    if (c.body_left > 0) {
      if (c.body_left == c.body_size) c.body_first = c.in[0];
      c.in.erase(0, c.body_left);
      c.body_left = 0;
    }
    c.reading_body = false;
    c.answering = true;
    respond(c);
    if (c.out.size() > 4 * kMegabyte.size() || !c.out_static.empty()) return;
  }
}

bool Server::take_head(Connection& c) {
  const auto end = c.in.find("\r\n\r\n");
  if (end == std::string::npos) {
    if (c.in.size() > kHeadMax) std::exit(3);
    return false;
  }
  const string_view head(c.in.data(), end + 2);
  const auto path_at = head.find(' ') + 1;
  c.path = head.substr(path_at, head.find(' ', path_at) - path_at);
  std::uint64_t length = 0;
  for (std::size_t line = head.find("\r\n") + 2; line < head.size(); line = head.find("\r\n", line) + 2) {
    if (strncasecmp(head.data() + line, "content-length: ", 16) == 0) {
      std::from_chars(head.data() + line + 16, head.data() + head.size(), length);
    } else if (strncasecmp(head.data() + line, "transfer-encoding:", 18) == 0) {
      std::fprintf(stderr, "nines-bench-backend: a chunked request, which these benches never send\n");
      std::exit(3);
    }
  }
  c.in.erase(0, end + 4);
  c.body_size = c.body_left = length;
  c.body_first = 0;
  c.reading_body = true;
  return true;
}

void Server::respond(Connection& c) {
  const string_view path = c.path;
  if (path == "/health") return put(c, kHealthy);
  if (path.starts_with("/control?leak=")) {
    leaked_.emplace_back(number_in(path, "leak=", 0) << 20, 'x');
    return put(c, kHealthy);
  }
  if (path.starts_with("/control")) {
    mode_ = path.ends_with("hang")    ? Mode::kHang
            : path.ends_with("fail")  ? Mode::kFail
            : path.ends_with("reset") ? Mode::kReset
                                      : Mode::kOk;
    return put(c, kHealthy);
  }
  if (path == "/stats") {
    return put(
        c, answer(200, "application/json",
                  "{\"requests\":" + std::to_string(requests_) + ",\"abandoned\":" + std::to_string(abandoned_) + "}"));
  }
  ++requests_;
  const bool works = path.starts_with("/work");
  if (works || path.starts_with("/small")) {
    if (mode_ == Mode::kHang) return;
    if (mode_ == Mode::kReset) {
      shutdown(c.fd, SHUT_RDWR);  // the loop finds it closed
      return;
    }
    if (mode_ == Mode::kFail) return put(c, kFailed);
    return works ? work(c) : put(c, kSmall);
  }
  if (path.starts_with("/echo")) {
    return put(c, answer(200, "application/json", "{\"bytes\":" + std::to_string(c.body_size) + "}"));
  }
  if (path == "/big") {
    c.out_static = kBig;
    c.answering = false;
    return;
  }
  if (path.starts_with("/sse")) {
    c.events_left = number_in(path, "events=", 200);
    c.event_every_ns = number_in(path, "every_us=", 5000) * 1000;
    c.event_due = now_ns();
    c.out += kStreamHead;
    return on_due(c);
  }
  put(c, answer(404, "text/plain", "no such path"));
}

void Server::work(Connection& c) {
  if (c.body_size > 0 && c.body_first != '{') return put(c, kFailed);
  c.work_us = number_in(c.path, "us=", options_.service_us);
  if (slots_used_ < options_.slots) return begin_work(c);
  c.waits_for_slot = true;
  waiting_.push_back(c.id);
}

void Server::begin_work(Connection& c) {
  ++slots_used_;
  c.holds_slot = true;
  c.waits_for_slot = false;
  timers_.push({now_ns() + c.work_us * 1000, c.id});
}

void Server::release_slot(Connection& c) {
  c.holds_slot = false;
  --slots_used_;
  while (!waiting_.empty() && slots_used_ < options_.slots) {
    Connection* const next = find(waiting_.front());
    waiting_.pop_front();
    if (next != nullptr && next->waits_for_slot) begin_work(*next);
  }
}

void Server::on_due(Connection& c) {
  if (c.holds_slot) {
    release_slot(c);
    put(c, kSmall);
  } else if (c.answering && c.event_due != 0) {
    send_event(c, now_ns());
  }
  go_on(c);
}

void Server::send_event(Connection& c, std::uint64_t now) {
  char event[kEventSize + 1];
  std::snprintf(event, sizeof event, kEventFormat, static_cast<unsigned long long>(now));
  char chunk[kEventSize + 16];
  const int size = std::snprintf(chunk, sizeof chunk, "%zx\r\n%s\r\n", kEventSize, event);
  c.out.append(chunk, static_cast<std::size_t>(size));
  if (--c.events_left == 0) {
    c.event_due = 0;
    return put(c, "0\r\n\r\n");
  }
  c.event_due += c.event_every_ns;
  timers_.push({c.event_due, c.id});
}

bool Server::flush(Connection& c) {
  while (c.out_sent < c.out.size() || !c.out_static.empty()) {
    const bool owned = c.out_sent < c.out.size();
    const string_view left = owned ? string_view(c.out).substr(c.out_sent) : c.out_static;
    const ssize_t n = send(c.fd, left.data(), left.size(), MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN;
    if (owned) {
      c.out_sent += static_cast<std::size_t>(n);
    } else {
      c.out_static.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  c.out.clear();
  c.out_sent = 0;
  return true;
}

void Server::close(Connection& c) {
  if (c.answering) ++abandoned_;
  if (c.holds_slot) release_slot(c);
  ::close(c.fd);
  --open_;
  table_[static_cast<std::size_t>(c.fd)].reset();
}

void Server::stop() {
  stopping_ = true;
  ::close(listener_);
  if (second_listener_ >= 0) ::close(second_listener_);
  epoll_ctl(epoll_, EPOLL_CTL_DEL, signals_, nullptr);
  for (auto& c : table_) {
    if (c && is_idle(*c)) close(*c);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const string_view name = argv[i];
    const auto value = static_cast<unsigned>(std::strtoul(argv[i + 1], nullptr, 10));
    if (name == "--port") options.port = value;
    if (name == "--slots") options.slots = value;
    if (name == "--service-us") options.service_us = value;
    if (name == "--start-delay-ms") options.start_delay_ms = value;
    if (name == "--diary") options.diary = argv[i + 1];
    if (name == "--broken-by") options.broken_by = argv[i + 1];
    for (const char* at = name == "--first-of" ? argv[i + 1] : nullptr; at != nullptr && *at != '\0';) {
      char* end = nullptr;
      options.first_of.push_back(static_cast<unsigned>(std::strtoul(at, &end, 10)));
      at = end + (*end == ',' ? 1 : 0);
    }
  }
  if (options.port == 0 || options.port > 65535) {
    std::fprintf(stderr,
                 "usage: nines-bench-backend --port PORT [--slots N] [--service-us US] [--start-delay-ms MS]\n"
                 "                           [--first-of PORT,PORT,...] [--diary FILE] [--broken-by FILE]\n");
    return 2;
  }
  note(options, "began", 0);
  if (options.broken_by != nullptr && access(options.broken_by, F_OK) == 0) return 1;
  signal(SIGPIPE, SIG_IGN);
  return Server(options).run();
}
