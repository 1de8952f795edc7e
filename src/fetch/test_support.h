// A server of HTTP/1.1 on loopback for tests of what calls out: says what it was asked, answers as the test wants, and
// fails as the test wants. One request a connection; a thread for each.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/fd.h"

namespace nines::fetch::testing {

struct Asked {
  std::string method, target;                  // as they came over the wire
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

struct Answer {
  enum class Fault { kNone, kResetBefore, kResetMidBody, kTruncate, kHang };
  int status = 200;
  std::string body = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
  Fault fault = Fault::kNone;
};

class HttpServer {
 public:
  explicit HttpServer(std::function<Answer(const Asked&)> handler) : handler_(std::move(handler)) {
    ::setenv("no_proxy", "127.0.0.1", 1);
    listener_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in at{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    socklen_t size = sizeof at;
    INVARIANT(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&at), size) == 0);
    INVARIANT(::listen(listener_.get(), 64) == 0);
    INVARIANT(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&at), &size) == 0);
    port_ = ntohs(at.sin_port);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  ~HttpServer() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    ::shutdown(listener_.get(), SHUT_RDWR);
    acceptor_.join();
    for (std::thread& thread : threads_) thread.join();
  }

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

 private:
  void accept_all() {
    while (true) {
      Fd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!connection) return;
      // So that a client which holds its connection open cannot hold up the test's end.
      const timeval patience{.tv_sec = 10, .tv_usec = 0};
      ::setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      threads_.emplace_back([this, fd = std::move(connection)]() mutable { serve(std::move(fd)); });
    }
  }

  static bool receive(int fd, Asked& asked) {
    std::string text;
    char buffer[65536];
    std::size_t head = std::string::npos;
    while ((head = text.find("\r\n\r\n")) == std::string::npos) {
      const ssize_t got = ::read(fd, buffer, sizeof buffer);
      if (got <= 0) return false;
      text.append(buffer, static_cast<std::size_t>(got));
    }
    const std::string first = text.substr(0, text.find("\r\n"));
    asked.method = first.substr(0, first.find(' '));
    asked.target = first.substr(asked.method.size() + 1, first.rfind(' ') - asked.method.size() - 1);
    for (std::size_t at = first.size() + 2; at < head;) {
      const std::size_t end = text.find("\r\n", at), colon = text.find(':', at);
      std::string name = text.substr(at, colon - at), value = text.substr(colon + 1, end - colon - 1);
      for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      asked.headers[name] = value.starts_with(' ') ? value.substr(1) : value;
      at = end + 2;
    }
    asked.body = text.substr(head + 4);
    const auto length = asked.headers.find("content-length");
    const std::size_t wanted = length == asked.headers.end() ? 0 : std::stoul(length->second);
    while (asked.body.size() < wanted) {
      const ssize_t got = ::read(fd, buffer, sizeof buffer);
      if (got <= 0) return false;
      asked.body.append(buffer, static_cast<std::size_t>(got));
    }
    return true;
  }

  void serve(Fd fd) {
    Asked asked;
    if (!receive(fd.get(), asked)) return;
    using Fault = Answer::Fault;
    Answer answer = handler_(asked);
    if (answer.fault == Fault::kHang) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return ending_; });
      return;
    }
    if (answer.fault == Fault::kResetBefore) return reset(fd);
    std::string text = "HTTP/1.1 " + std::to_string(answer.status) + " x\r\nConnection: close\r\n";
    bool sized = false;
    for (const auto& [name, value] : answer.headers) {
      text += name + ": " + value + "\r\n";
      sized = sized || name == "Content-Length";
    }
    if (!sized) text += "Content-Length: " + std::to_string(answer.body.size()) + "\r\n";
    text += "\r\n";
    if (asked.method != "HEAD")
      text += answer.fault == Fault::kNone ? answer.body : answer.body.substr(0, answer.body.size() / 2);
    for (std::string_view rest = text; !rest.empty();) {
      const ssize_t sent = ::send(fd.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      rest.remove_prefix(static_cast<std::size_t>(sent));
    }
    if (answer.fault == Fault::kResetMidBody) reset(fd);
  }

  static void reset(const Fd& fd) {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }

  const std::function<Answer(const Asked&)> handler_;
  Fd listener_;
  int port_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false;  // guarded by mutex_
  std::thread acceptor_;
  std::vector<std::thread> threads_;  // the acceptor's, until it has ended
};

}  // namespace nines::fetch::testing
