#include "app/tagged.h"

#include <unistd.h>

#include <csignal>

#include <doctest/doctest.h>

#include "base/test_support.h"
#include "supervise/process.h"
#include "supervise/procfs.h"

namespace nines::app {
namespace {

using supervise::Found;
using testing::eventually;

// Of a service that nobody else has: its id is the name of the run folder.
struct Stage {
  testing::Folder folder;
  Paths paths{.config_file = "", .folder = "", .state = "", .run = folder.path()};
  net::EpollLoop loop;
  std::vector<supervise::Process> started;

  pid_t start(const std::string& script, const std::string& tag) {
    auto process = supervise::spawn({.argv = {"sh", "-c", script}, .tag = tag});
    REQUIRE(process);
    started.push_back(std::move(*process));
    return started.back().pid();
  }
  pid_t start_part(const std::string& part, std::uint64_t incarnation, std::uint16_t port = 0,
                   const std::string& script = "exec sleep 1000") {
    return start(script, tag(paths, part, incarnation, port));
  }
  std::vector<pid_t> found() const {
    std::vector<pid_t> pids;
    for (const Found& process : find_tagged(paths)) pids.push_back(process.pid);
    std::ranges::sort(pids);
    return pids;
  }
  ~Stage() {
    for (auto& process : started) {
      process.kill_group();
      eventually([&] { return process.reaped() || process.try_reap().has_value(); });
    }
  }
};

TEST_CASE("tagged: what a tag says is what is found, slashes in the part or not") {
  for (const std::string part : {"web-1", "gateway", "team/web-1"}) {
    CAPTURE(part);
    Stage stage;
    const pid_t pid = stage.start_part(part, 18'446'744'073'709'551'615ULL, 29999);
    const auto found = find_tagged(stage.paths);
    REQUIRE(found.size() == 1);
    CHECK(found[0] == Found{.pid = pid,
                            .parent = ::getpid(),
                            .start_time = stage.started.back().start_time(),
                            .leader = true,
                            .part = part,
                            .incarnation = 18'446'744'073'709'551'615ULL,
                            .port = 29999});
  }
}

TEST_CASE("tagged: workers are found and are no leaders; the dead and the strangers are not found") {
  Stage stage, other;
  const pid_t leader = stage.start_part("web-1", 3, 20000, "sleep 1000 & wait");
  const pid_t dead = stage.start_part("web-2", 4, 20001, "exit 0");
  stage.start("exec sleep 1000", "");
  other.start_part("web-1", 3);
  REQUIRE(eventually([&] { return supervise::read_process_stat(dead)->dead(); }));
  REQUIRE(eventually([&] { return find_tagged(stage.paths).size() == 2; }));
  for (const Found& found : find_tagged(stage.paths)) {
    CHECK(found.part == "web-1");
    CHECK(found.leader == (found.pid == leader));
  }
}

TEST_CASE("tagged: a tag that nobody understands belongs to nobody, and is ended with the rest") {
  Stage stage;
  const std::string any = tag(stage.paths, "web-1", 1);
  const std::string id = any.substr(0, any.find('/'));
  for (const std::string rest : {"", "web-1", "web-1/x/20000", "web-1/1/70000", "web-1/-1/1", "1/2"})
    stage.start("exec sleep 1000", id + "/" + rest);
  CHECK(stage.found().size() == 6);
  for (const Found& found : find_tagged(stage.paths)) CHECK(found.part != "web-1");
  CHECK(stage.loop.run(end_leftovers(stage.loop, stage.paths)) == 6);
  CHECK(stage.found().empty());
}

TEST_CASE("tagged: an anchor is nothing that is left of its service") {
  Stage stage;
  const pid_t anchor = stage.start_part(std::string(kAnchorPart), 1);
  const pid_t supervisor = stage.start_part("supervisor", 1);
  CHECK(stage.found() == std::vector<pid_t>{supervisor});
  CHECK(stage.loop.run(end_leftovers(stage.loop, stage.paths)) == 1);
  CHECK_FALSE(supervise::read_process_stat(anchor)->dead());
}

TEST_CASE("tagged: what is spared stays, the rest goes, deaf ones by SIGKILL, stopped ones as well") {
  Stage stage;
  const pid_t spared = stage.start_part("web-1", 1);
  stage.start_part("web-2", 2, 0, "trap '' TERM; echo > " + (stage.folder / "deaf") + "; while :; do sleep 1; done");
  const pid_t stopped = stage.start_part("web-3", 3);
  REQUIRE(eventually([&] { return std::filesystem::exists(stage.folder / "deaf"); }));
  ::kill(stopped, SIGSTOP);
  const auto spare = [&](const Found& found) { return found.pid == spared; };
  CHECK(stage.loop.run(end_leftovers(stage.loop, stage.paths, spare, 100ms)) >= 2);
  CHECK(stage.found() == std::vector<pid_t>{spared});
}

TEST_CASE("tagged: a pid that was given to another meanwhile is left alone") {
  Stage stage;
  stage.start_part("web-1", 1);
  auto found = find_tagged(stage.paths);
  REQUIRE(found.size() == 1);
  auto other = found;
  ++other[0].start_time;
  stage.loop.run(end_tagged(stage.loop, stage.paths, other, 0ns));
  CHECK(stage.found().size() == 1);
  stage.loop.run(end_tagged(stage.loop, stage.paths, found, 0ns));
  CHECK(stage.found().empty());
}

}  // namespace
}  // namespace nines::app
