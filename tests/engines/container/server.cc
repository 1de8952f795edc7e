// The server in the image of container_test.py: linked statically, it is all that the image holds. It listens on the
// port in its first argument or in PORT, and does what it is asked to:
//   /health, /        200
//   /say/TEXT         writes a line with TEXT
//   /eat              takes memory until there is none
//   /exit             writes a last line and ends with status 3
// SIGTERM ends it with status 0: a container's first process has no other default.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

void say(const std::string& text) {
  const std::string line = text + "\n";
  [[maybe_unused]] const ssize_t written = ::write(STDOUT_FILENO, line.data(), line.size());
}

[[noreturn]] void eat() {
  constexpr std::size_t kPiece = 1 << 20, kPage = 4096;
  while (true) {
    auto* const piece = static_cast<volatile char*>(std::malloc(kPiece));
    for (std::size_t at = 0; piece != nullptr && at < kPiece; at += kPage) piece[at] = 1;
  }
}

std::string answer(const std::string& path) {
  if (path.starts_with("/say/")) say(path.substr(5));
  if (path == "/exit") {
    say("last words");
    std::_Exit(3);
  }
  if (path == "/eat") eat();
  return "{\"path\": \"" + path + "\"}";
}

void serve(int client) {
  std::string request;
  char buffer[4096];
  while (request.find("\r\n\r\n") == std::string::npos) {
    const ssize_t got = ::read(client, buffer, sizeof buffer);
    if (got <= 0) return;
    request.append(buffer, static_cast<std::size_t>(got));
  }
  const auto from = request.find(' ') + 1;
  const std::string body = answer(request.substr(from, request.find(' ', from) - from));
  const std::string whole =
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: " +
      std::to_string(body.size()) + "\r\n\r\n" + body;
  [[maybe_unused]] const ssize_t written = ::write(client, whole.data(), whole.size());
}

}  // namespace

int main(int count, char** arguments) {
  std::signal(SIGTERM, [](int) { std::_Exit(0); });
  std::signal(SIGPIPE, SIG_IGN);
  const char* const port = count > 1 ? arguments[1] : std::getenv("PORT");
  if (port == nullptr) {
    say("no port was given");
    return 2;
  }
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  ::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(listener, 512) != 0) {
    std::perror("listen");
    return 1;
  }
  say(std::string("listening on ") + port);
  std::fprintf(stderr, "and complaining\n");
  while (true) {
    const int client = ::accept(listener, nullptr, nullptr);
    if (client < 0) continue;
    serve(client);
    ::close(client);
  }
}
