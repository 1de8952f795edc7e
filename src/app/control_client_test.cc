#include "app/control_client.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/test_support.h"
#include "http/server.h"
#include "net/epoll_loop.h"
#include "net/stream.h"

namespace nines::app {
namespace {

namespace fs = std::filesystem;

struct Folder : testing::Folder {
  net::Address address() const { return net::Address::unix_path(paths.control_socket()).value(); }
  Paths paths = {.config_file = "", .folder = path(), .state = path(), .run = path()};
};

Task<http::Response> answer(http::Request& request) {
  const std::string_view path = request.head.path();
  if (path == "/v1/status") co_return http::Response{.body = "{}"};
  if (path == "/v1/down") co_return http::Response{.status = 202, .body = request.body};
  if (path == "/v1/busy") co_return http::error_response(409, "not now", "busy");
  if (path == "/v1/broken") co_return http::Response{.status = 500, .body = "oops"};
  co_return http::error_response(404, "there is no replica x", "not_found");
}

Result<std::string> ask_server(ControlRequest request) {
  const Folder folder;
  net::EpollLoop loop;
  http::Server server(loop, answer);
  auto listener = loop.listen(folder.address());
  REQUIRE(listener);
  server.serve(std::move(*listener));
  auto result = loop.run(ask(loop, folder.paths, std::move(request)));
  loop.run(server.drain(1s));
  return result;
}

TEST_CASE("control client: answers and refusals") {
  CHECK(ask_server({.target = "/v1/status"}).value() == "{}");
  CHECK(ask_server({.method = "POST", .target = "/v1/down", .body = "{\"by\":\"me\"}"}).value() == "{\"by\":\"me\"}");
  struct Row {
    const char* target;
    Code code;
    const char* text;
  };
  const Row rows[] = {{"/v1/replicas/x/stop", Code::kNotFound, "there is no replica x"},
                      {"/v1/busy", Code::kRefused, "not now"},
                      {"/v1/broken", Code::kProtocol, "the service answered 500 oops"}};
  for (const Row& row : rows) {
    const auto refused = ask_server({.method = "POST", .target = row.target, .body = "{}"});
    REQUIRE(!refused);
    CHECK(refused.error().code() == row.code);
    CHECK(refused.error().text() == row.text);
  }
}

TEST_CASE("control client: nobody there, in each of its ways") {
  Folder folder;
  CHECK(ask(folder.paths, {.target = "/v1/status"}).error().code() == Code::kUnavailable);

  // A socket whose process has gone.
  const net::Address address = folder.address();
  const Fd dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::bind(dead.get(), address.get(), address.length()) == 0);
  CHECK(ask(folder.paths, {.target = "/v1/status"}).error().code() == Code::kUnavailable);

  // One who listens and says nothing.
  REQUIRE(::listen(dead.get(), 1) == 0);
  CHECK(ask(folder.paths, {.target = "/v1/status", .timeout = 20ms}).error().code() == Code::kTimedOut);

  folder.paths.run = "/" + std::string(200, 'x');
  CHECK(ask(folder.paths, {.target = "/v1/status"}).error().code() == Code::kLimit);
}

TEST_CASE("control client: the services that `nines run` started here") {
  const Folder folder;
  ::setenv("XDG_STATE_HOME", folder.paths.run.c_str(), 1);
  CHECK(services_without_file().value().empty());
  for (const char* listen : {"127.0.0.1:8001", "127.0.0.1:8000"}) {
    const Paths paths = paths_without_file("", listen).value();
    fs::create_directories(paths.state);
    std::ofstream(paths.lock_file()) << "1\n";
  }
  fs::create_directories(paths_without_file("", "127.0.0.1:8002").value().state);  // never got as far as a lock
  const auto found = services_without_file().value();
  REQUIRE(found.size() == 2);
  CHECK(found[0].state == paths_without_file("", "127.0.0.1:8000").value().state);
  CHECK(found[1].state.ends_with("127.0.0.1_8001"));
  ::unsetenv("XDG_STATE_HOME");
}

}  // namespace
}  // namespace nines::app
