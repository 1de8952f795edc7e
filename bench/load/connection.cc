#include "load/connection.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <system_error>

namespace nines::load {
namespace {

std::string text_of(int errnum) { return std::generic_category().message(errnum); }

Fault fault_of(int errnum, std::string_view during) {
  const std::string detail = std::string(during) + ": " + text_of(errnum);
  switch (errnum) {
    case ECONNREFUSED: return {Kind::kRefused, detail};
    case EAGAIN:
    case EINPROGRESS:
    case ETIMEDOUT: return {Kind::kTimedOut, detail};
    default: return {Kind::kReset, detail};
  }
}

timeval timeval_of(Duration d) {
  const auto us = std::chrono::ceil<std::chrono::microseconds>(d).count();
  return {.tv_sec = us / 1'000'000, .tv_usec = us % 1'000'000};
}

}  // namespace

Instant now() { return Instant{std::chrono::steady_clock::now().time_since_epoch()}; }

Result<Address> Address::parse(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return failure(Code::kInvalid, "`" + std::string(text) + "` is not HOST:PORT");
  std::string host(text.substr(0, colon));
  const std::string port(text.substr(colon + 1));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);

  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0 || host.empty()) {
    if (error == 0) freeaddrinfo(found);
    return failure(Code::kInvalid,
                   "`" + std::string(text) + "` is not HOST:PORT: " + (error == 0 ? "no host" : gai_strerror(error)));
  }
  Address address;
  std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
  address.size = found->ai_addrlen;
  freeaddrinfo(found);
  return address;
}

std::optional<Fault> Connection::exchange(std::string_view method, std::string_view request) {
  deadline_ = now() + timeout_;
  response_.begin(method);
  auto fault = run(request);
  if (fault || response_.announces_close()) fd_.reset();
  return fault;
}

std::optional<Fault> Connection::run(std::string_view request) {
  fresh_ = !fd_;
  if (auto fault = fresh_ ? open() : check_idle()) return fault;
  if (auto fault = send_all(request)) return fault;
  return receive();
}

std::optional<Fault> Connection::open() {
  fd_.reset(::socket(address_.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd_) return Fault{Kind::kConnect, "socket: " + text_of(errno)};
  // SO_SNDTIMEO bounds connect() too.
  const timeval limit = timeval_of(timeout_);
  const int on = 1;
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address_.storage), address_.size) != 0) {
    Fault fault = fault_of(errno, "connect");
    if (fault.kind == Kind::kReset) fault.kind = Kind::kConnect;
    return fault;
  }
  ++opened_;
  return std::nullopt;
}

// Between two requests a keep-alive connection must be open and silent.
std::optional<Fault> Connection::check_idle() {
  char byte = 0;
  const auto got = ::recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (got > 0) return Fault{Kind::kProtocol, "bytes between two responses"};
  if (got == 0) return Fault{Kind::kClosedIdle, "closed between two requests, not announced"};
  if (errno == EAGAIN) return std::nullopt;
  return fault_of(errno, "between two requests");
}

std::optional<Fault> Connection::send_all(std::string_view request) {
  while (!request.empty()) {
    const auto sent = ::send(fd_.get(), request.data(), request.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
      request.remove_prefix(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN) {
      if (auto fault = wait_for(POLLOUT)) return fault;
    } else if (errno != EINTR) {
      return fault_of(errno, "send");
    }
  }
  return std::nullopt;
}

std::optional<Fault> Connection::receive() {
  std::array<char, 16 * 1024> buffer;
  // The usual case costs one system call: nothing of the time-out is spent yet, so SO_RCVTIMEO is the deadline.
  bool may_block = !fresh_;
  while (true) {
    if (!may_block) {
      if (auto fault = wait_for(POLLIN)) return fault;
    }
    const auto got = ::recv(fd_.get(), buffer.data(), buffer.size(), may_block ? 0 : MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || (errno == EAGAIN && !may_block))) {
      may_block = false;
      continue;
    }
    if (got < 0) return fault_of(errno, "receive");
    may_block = false;
    if (got == 0) {
      if (response_.end_of_stream()) return std::nullopt;
      if (!response_.started()) return Fault{Kind::kClosed, "closed before the response"};
      return Fault{Kind::kTruncated, "closed after " + std::to_string(response_.body_size()) + " bytes of the body"};
    }
    const std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
    const std::size_t taken = response_.feed(bytes);
    if (response_.broken()) return Fault{Kind::kProtocol, response_.error()};
    if (!response_.done()) continue;
    if (taken < bytes.size()) return Fault{Kind::kProtocol, "bytes after the response"};
    return std::nullopt;
  }
}

std::optional<Fault> Connection::wait_for(short events) {
  while (true) {
    const Duration left = deadline_ - now();
    if (left <= 0ns)
      return Fault{Kind::kTimedOut, response_.started() ? "in the middle of the response" : "no response"};
    pollfd item{.fd = fd_.get(), .events = events, .revents = 0};
    const auto ms = std::min<std::int64_t>(std::chrono::ceil<std::chrono::milliseconds>(left).count(), 60'000);
    if (::poll(&item, 1, static_cast<int>(ms)) > 0) return std::nullopt;
  }
}

}  // namespace nines::load
