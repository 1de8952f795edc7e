#include "app/handover.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include <doctest/doctest.h>

#include "base/test_support.h"

namespace nines::app {
namespace {

// A supervisor without an anchor, as far as handing over goes; whoever takes over runs in a thread of its own.
struct Stage {
  testing::Folder folder;
  Paths paths{.config_file = "", .folder = "", .state = "", .run = folder.path()};
  net::EpollLoop loop;
  std::vector<Fd> files;
  bool wanted = true;
  int taken = 0;
  Handover handover{loop,
                    {.wanted = [this] { return wanted; },
                     .descriptors =
                         [this] {
                           std::vector<int> all;
                           for (const Fd& file : files) all.push_back(file.get());
                           return all;
                         },
                     .taken = [this] { ++taken; }}};

  explicit Stage(int count) {
    for (int i = 0; i < count; ++i)
      files.emplace_back(::open(folder.file("file" + std::to_string(i), "").c_str(), O_RDWR | O_CLOEXEC));
    REQUIRE(handover.open(paths.handover_socket()));
  }
  // Serves while `other` runs.
  void serve(const std::function<void()>& other) {
    std::thread thread([&] {
      other();
      loop.post([&] { loop.start(end()); });
    });
    loop.run();
    thread.join();
  }
  Task<void> end() {
    co_await handover.close();
    loop.stop();
  }
};

ino_t inode(int fd) {
  struct stat status{};
  ::fstat(fd, &status);
  return status.st_ino;
}

TEST_CASE("handover: the descriptors come in their order, and taking them is not yet taking over") {
  Stage stage(9);
  stage.serve([&] {
    const auto estate = take_over(stage.paths, 10s);
    REQUIRE(estate);
    const auto order = in_order(*estate);
    REQUIRE(order.size() == 9);
    for (std::size_t i = 0; i < order.size(); ++i) {
      CHECK(inode(order[i]) == inode(stage.files[i].get()));
      CHECK((::fcntl(order[i], F_GETFD) & FD_CLOEXEC) != 0);
    }
    CHECK(estate->listeners.size() == 3);
    CHECK(estate->handover);
    CHECK_FALSE(estate->environment.empty());
  });
  CHECK(stage.taken == 0);  // whoever dies before "here I am" has changed nothing
}

TEST_CASE("handover: \"here I am\" is heard once, and the end of the other is seen") {
  Stage stage(7);
  stage.serve([&] {
    const auto estate = take_over(stage.paths, 10s);
    REQUIRE(estate);
    CHECK(::send(estate->handover.get(), "!", 1, MSG_NOSIGNAL) == 1);
    CHECK(testing::eventually([&] { return stage.taken == 1; }));
  });
  CHECK(stage.taken == 1);
}

TEST_CASE("handover: with an anchor that lives there is nothing to take") {
  Stage stage(7);
  stage.wanted = false;
  stage.serve([&] { CHECK(take_over(stage.paths, 10s).error().code() == Code::kRefused); });
  CHECK(stage.taken == 0);
}

TEST_CASE("handover: nobody there, or too few descriptors") {
  const testing::Folder folder;
  const Paths paths{.config_file = "", .folder = "", .state = "", .run = folder.path()};
  CHECK(take_over(paths, 1s).error().code() == Code::kUnavailable);
  Stage stage(3);
  stage.serve([&] { CHECK(take_over(stage.paths, 10s).error().code() == Code::kProtocol); });
}

}  // namespace
}  // namespace nines::app
