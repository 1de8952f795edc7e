#include "app/releases.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include <doctest/doctest.h>

#include "base/test_support.h"

namespace nines::app {
namespace {

using nines::testing::Folder;
using supervise::Stage;

config::Launch launch_of(const std::string& model) {
  config::Launch launch;
  launch.command = {"serve", "{port}", "--model=" + model};
  return launch;
}

Release release(const std::string& model) {
  return {.launch = launch_of(model), .what = "command", .by = "alice", .at = WallTime{1s}};
}

TEST_CASE("releases: what is written is read again") {
  Folder folder;
  const std::string path = folder / "releases.json";
  CHECK(Releases::load(path).error().code() == Code::kNotFound);
  Releases releases;
  Release first = release("a");
  first.launch.env["KEY"] = config::Secret(config::Secret::Source::kEnvironment, "KEY");
  first.launch.limits = {.memory = 1ULL << 30};
  first.files = {{"model.bin", "abc"}, {"other", "def"}};
  first.staged = {"other"};
  releases.active = releases.add(first).number;
  releases.end(1, Release::Outcome::kDone, "", WallTime{2s});
  const ReleaseNumber second = releases.add(release("b")).number;
  releases.rollout = supervise::RolloutMemory{
      .from = 1, .to = second, .stage = Stage::kBack, .judged = false, .why = "\"quoted\"\nand cut"};
  releases.spoiled = {7, 1ULL << 40};
  REQUIRE(releases.save(path));
  const auto read = Releases::load(path);
  REQUIRE(read);
  CHECK(*read == releases);
  CHECK(read->find(1)->ended == WallTime{2s});
  CHECK_FALSE(read->find(2)->ended);
}

TEST_CASE("releases: a damaged book is one, wherever it is cut") {
  Folder folder;
  const std::string path = folder / "releases.json";
  Releases releases;
  releases.active = releases.add(release("a")).number;
  REQUIRE(releases.save(path));
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  const std::string whole = text.str();
  for (std::size_t size = 0; size + 2 < whole.size(); ++size) {
    std::ofstream(path, std::ios::trunc) << whole.substr(0, size);
    const auto read = Releases::load(path);
    REQUIRE_FALSE(read);
    REQUIRE(read.error().code() == Code::kInvalid);
  }
  for (const auto& [from, to] : {std::pair<std::string, std::string>{"\"active\":1", "\"active\":2"},
                                 {"\"version\":1", "\"version\":2"},
                                 {"under_way", "thrown_away"},
                                 {"\"next\":2", "\"next\":\"two\""}}) {
    std::string other = whole;
    REQUIRE(other.find(from) != std::string::npos);
    other.replace(other.find(from), from.size(), to);
    std::ofstream(path, std::ios::trunc) << other;
    CHECK(Releases::load(path).error().code() == Code::kInvalid);
  }
}

TEST_CASE("releases: the last ten, and those that are needed") {
  Releases releases;
  releases.active = releases.add(release("first")).number;
  for (int i = 2; i <= 30; ++i) {
    const ReleaseNumber number = releases.add(release(std::to_string(i))).number;
    releases.end(number, i % 2 == 0 ? Release::Outcome::kRolledBack : Release::Outcome::kDone, "", WallTime{});
  }
  CHECK(releases.all().size() == Releases::kKept);
  CHECK(releases.find(1) != nullptr);
  CHECK(releases.find(30) != nullptr);
  CHECK(releases.find(2) == nullptr);
  CHECK(releases.before(30)->number == 29);
  CHECK(releases.before(29)->number == 27);
  CHECK(releases.before(1) == nullptr);
}

TEST_CASE("releases: what differs, in words") {
  const config::Launch before = launch_of("a");
  const auto differs = [&](auto change) {
    config::Launch after = before;
    change(after);
    return difference(before, after);
  };
  CHECK(difference(before, before).empty());
  CHECK(differs([](config::Launch& l) { l.command.emplace_back("x"); }) == "command");
  CHECK(differs([](config::Launch& l) { l.env["A"] = "1"; }) == "env.A");
  CHECK(differs([](config::Launch& l) { l.env_file = {"x"}; }) == "env_file");
  CHECK(differs([](config::Launch& l) { l.directory = "x"; }) == "directory");
  CHECK(differs([](config::Launch& l) { l.user = "x"; }) == "user");
  CHECK(differs([](config::Launch& l) { l.umask = 0; }) == "umask");
  CHECK(differs([](config::Launch& l) { l.limits.files = 99; }) == "limits");
  CHECK(differs([](config::Launch& l) { l.files = {"x"}; }) == "files");
  CHECK(differs([](config::Launch& l) { l.env["A"] = "1", l.umask = 1; }) == "env.A, umask");
  config::Launch with = before;
  with.env["A"] = "1";
  CHECK(difference(with, before) == "env.A");
}

TEST_CASE("releases: staged files take the place of the originals") {
  Folder folder;
  std::filesystem::create_directories(folder / "models");
  folder.file("model.bin", "weights");
  folder.file("models/a", "a");
  backup::FileStore store(folder / "store");
  Release one{.number = 3, .launch = launch_of("model.bin")};
  one.launch.files = {"model.bin", "models"};
  one.launch.command.emplace_back("models/");
  one.launch.command.emplace_back("other/model.bin");
  one.launch.env["MODEL"] = "./model.bin";
  one.files = {{"model.bin", store.put(folder / "model.bin").value()},
               {"models/a", store.put(folder / "models/a").value()}};
  const std::string into = folder / "staged";
  const std::string place = into + folder.path();
  REQUIRE(stage_files(one, folder.path(), store, into));
  CHECK(std::filesystem::exists(place + "/model.bin"));
  CHECK(std::filesystem::exists(place + "/models/a"));

  SUBCASE("nothing is staged: as it is") { CHECK(launch_with_staged(one, folder.path(), into).value() == one.launch); }
  SUBCASE("all that are guarded are staged together") {
    one.staged = {"model.bin"};
    const auto launch = launch_with_staged(one, folder.path(), into);
    REQUIRE(launch);
    CHECK(launch->command == std::vector<std::string>{"serve", "{port}", "--model=" + place + "/model.bin",
                                                      place + "/models", "other/model.bin"});
    CHECK(std::get<std::string>(launch->env.at("MODEL")) == place + "/model.bin");
  }
  SUBCASE("a command that runs elsewhere") {
    one.staged = {"model.bin"};
    one.launch.directory = "models";
    one.launch.command = {"serve", "{port}", "../model.bin", "a"};
    const auto launch = launch_with_staged(one, folder.path(), into);
    REQUIRE(launch);
    CHECK(launch->command == std::vector<std::string>{"serve", "{port}", place + "/model.bin", place + "/models/a"});
  }
  SUBCASE("nothing names them") {
    one.staged = {"model.bin"};
    one.launch.command = {"serve", "{port}"};
    one.launch.env.clear();
    CHECK(launch_with_staged(one, folder.path(), into).error().code() == Code::kNotFound);
  }
  SUBCASE("a copy is missing") {
    one.files["more"] = std::string(64, '0');
    CHECK(stage_files(one, folder.path(), store, into).error().code() == Code::kNotFound);
  }
}

}  // namespace
}  // namespace nines::app
