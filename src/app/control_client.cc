#include "app/control_client.h"

#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "http/client.h"
#include "net/epoll_loop.h"

namespace nines::app {
namespace {

// {"error":{"message":"…"}}, or the beginning of whatever it is.
std::string words_of(const http::Answer& answer) {
  boost::system::error_code error;
  const auto value = boost::json::parse(answer.body, error);
  if (!error && value.is_object()) {
    const auto* const about = value.as_object().if_contains("error");
    const auto* const message =
        about != nullptr && about->is_object() ? about->as_object().if_contains("message") : nullptr;
    if (message != nullptr && message->is_string()) return std::string(message->as_string());
  }
  constexpr std::size_t kShown = 200;
  return "the service answered " + std::to_string(answer.head.status()) + " " + answer.body.substr(0, kShown);
}

Result<std::string> judge(http::Answer answer) {
  const int status = answer.head.status();
  if (status >= 200 && status < 300) return std::move(answer.body);
  if (status == 404) return failure(Code::kNotFound, words_of(answer));
  if (status >= 400 && status < 500) return failure(Code::kRefused, words_of(answer));
  if (status == 507) return failure(Code::kLimit, words_of(answer));
  return failure(Code::kProtocol, words_of(answer));
}

// How long the place of a supervisor that was killed may be empty.
constexpr Duration kSuccession = 500ms;

}  // namespace

Task<Result<std::string>> ask(net::Loop& loop, const Paths& paths, ControlRequest request) {
  const std::string socket = paths.control_socket();
  const auto address = net::Address::unix_path(socket);
  if (!address) co_return failure(address.error());
  // connect() says "refused" of a stranger's socket and of a dead one alike.
  if (::access(socket.c_str(), W_OK) != 0 && errno == EACCES)
    co_return failure(Code::kRefused, "the service belongs to another user: be that user or root");

  const Instant until = loop.now() + kSuccession;
  while (true) {
    auto answer = co_await http::fetch(loop, {.to = *address,
                                              .method = request.method,
                                              .target = request.target,
                                              .body = request.body,
                                              .timeout = request.timeout});
    // 503: there is one, and it has not taken over yet.
    const bool beginning = answer && answer->head.status() == 503;
    if (answer && !beginning) co_return judge(std::move(*answer));
    const Code code = beginning ? Code::kUnavailable : answer.error().code();
    const bool nobody = beginning || code == Code::kNotFound || code == Code::kRefused;
    const bool cut_off = code == Code::kClosed && request.method == "GET";
    // One supervisor may just be replacing another.
    const bool again = (nobody || cut_off) && loop.now() < until && holder_of(paths.lock_file());
    if (again && co_await loop.sleep(10ms)) continue;
    if (beginning) co_return judge(std::move(*answer));
    co_return failure(Error(nobody ? Code::kUnavailable : code, "ask " + socket, std::move(answer.error())));
  }
}

Result<std::string> ask(const Paths& paths, ControlRequest request) {
  net::EpollLoop loop;
  return loop.run(ask(loop, paths, std::move(request)));
}

Result<std::vector<Paths>> services_without_file() {
  namespace fs = std::filesystem;
  const auto any = paths_without_file("", "any");
  if (!any) return failure(any.error());
  std::vector<Paths> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(fs::path(any->state).parent_path(), error)) {
    const std::string state = entry.path().native();
    if (!fs::exists(state + "/lock", error)) continue;
    if (auto paths = paths_without_file(state, "")) found.push_back(std::move(*paths));
  }
  std::ranges::sort(found, {}, &Paths::state);
  return found;
}

}  // namespace nines::app
