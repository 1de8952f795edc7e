#include "app/launch.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>

#include <doctest/doctest.h>

#include "base/test_support.h"

namespace nines::app {
namespace {

using nines::testing::Folder;

std::string value_of(const Environment& environment, const std::string& name) {
  const auto found = std::ranges::find(environment, name, [](const auto& pair) { return pair.first; });
  return found == environment.end() ? "(none)" : found->second;
}

TEST_CASE("launch: lines of an env_file") {
  struct Row {
    const char* why;
    std::string text;
    const char* a;  // what A is
  };
  const Row rows[] = {
      {"plain", "A=1", "1"},
      {"nothing", "", "(none)"},
      {"empty", "A=", ""},
      {"the last one counts", "A=1\nA=2\n", "2"},
      {"comments and blank lines", "# A=0\n\n  \nA=1\n#A=2", "1"},
      {"export", "export A=1", "1"},
      {"blanks around", "  A = 1  ", "1"},
      {"Windows", "A=1\r\nB=2\r\n", "1"},
      {"quotes", "A=\"1 # 2\"", "1 # 2"},
      {"single quotes", "A='$HOME'", "$HOME"},
      {"nothing is expanded", "A=$HOME", "$HOME"},
      {"one quote is text", "A=\"", "\""},
      {"quotes inside are text", "A=x\"y\"", "x\"y\""},
      {"an equals sign", "A=b=c", "b=c"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    const auto environment = parse_env_file(row.text, "x.env");
    REQUIRE(environment);
    CHECK(value_of(*environment, "A") == row.a);
  }
  for (const auto& [text, said] :
       {std::pair{"A=1\nB", "x.env:2: there is no =; write NAME=VALUE"}, std::pair{"1A=1", "x.env:1: "},
        std::pair{"=1", "x.env:1: "}, std::pair{"A B=1", "x.env:1: "}}) {
    const auto environment = parse_env_file(text, "x.env");
    REQUIRE_FALSE(environment);
    CHECK(environment.error().code() == Code::kInvalid);
    CHECK(environment.error().text().starts_with(said));
  }
  CHECK_FALSE(parse_env_file(std::string("A=\0", 3), "x.env"));
}

TEST_CASE("launch: what is executed") {
  Folder folder;
  folder.file("a.env", "A=file\nB=file\n");
  folder.file("secret", "quiet\n");
  config::Launch launch;
  launch.command = {"serve", "--port={port}", "{port}{port}", "{socket}"};
  launch.env_file = {"a.env"};
  launch.env["B"] = "text";
  launch.env["C"] = config::Secret(config::Secret::Source::kFile, "secret");
  launch.directory = "work";
  launch.umask = 027;
  launch.limits = {.files = 100, .processes = 200, .core = 0};
  const auto command = command_of(launch, folder.path(), {.port = 8001, .socket = "/run/x.sock"});
  REQUIRE(command);
  CHECK(command->argv == std::vector<std::string>{"serve", "--port=8001", "80018001", "/run/x.sock"});
  CHECK(value_of(command->environment, "A") == "file");
  CHECK(value_of(command->environment, "B") == "text");
  CHECK(value_of(command->environment, "C") == "quiet");
  CHECK(command->directory == folder / "work");
  CHECK(command->umask == 027U);
  REQUIRE(command->limits.size() == 3);
  CHECK(command->limits[0].resource == RLIMIT_NOFILE);
  CHECK(command->limits[1].value == 200);
  CHECK(command->limits[2].resource == RLIMIT_CORE);
  CHECK_FALSE(command->identity);

  launch.directory = "/srv";
  CHECK(command_of(launch, folder.path(), {})->directory == "/srv");
  launch.directory.reset();
  CHECK(command_of(launch, folder.path(), {})->directory == folder.path());
}

TEST_CASE("launch: another user") {
  config::Launch launch;
  launch.command = {"serve"};
  launch.user = "0";
  auto command = command_of(launch, "/", {});
  REQUIRE(command);
  CHECK(command->identity->user == 0);
  CHECK(value_of(command->environment, "USER") == "root");
  launch.env["USER"] = "somebody";
  launch.user = "4294967000:12345";
  command = command_of(launch, "/", {});
  REQUIRE(command);
  CHECK(command->identity->user == 4294967000U);
  CHECK(command->identity->group == 12345);
  CHECK(command->identity->groups.empty());
  CHECK(value_of(command->environment, "USER") == "somebody");
  CHECK(value_of(command->environment, "HOME") == "/");
  for (const char* unknown : {"nobody-of-this-name", "0:no-such-group"}) {
    launch.user = unknown;
    CHECK(command_of(launch, "/", {}).error().code() == Code::kNotFound);
  }
}

TEST_CASE("launch: what is missing is named") {
  Folder folder;
  config::Launch launch;
  launch.command = {"serve"};
  launch.env_file = {"none.env"};
  CHECK(command_of(launch, folder.path(), {}).error().text().find("none.env") != std::string::npos);
  launch.env_file.clear();
  launch.env["KEY"] = config::Secret(config::Secret::Source::kEnvironment, "NINES_NOT_SET_ANYWHERE");
  const auto failed = command_of(launch, folder.path(), {});
  REQUIRE_FALSE(failed);
  CHECK(failed.error().text().find("replicas.env.KEY") != std::string::npos);
  CHECK(failed.error().text().find("NINES_NOT_SET_ANYWHERE") != std::string::npos);
}

}  // namespace
}  // namespace nines::app
