#include <doctest/doctest.h>

#include "supervise/process.h"
#include "supervise/test_support.h"

namespace nines::supervise {
namespace {

using testing::Folder, testing::Running;

std::string advice_for(const Command& command, Code code) {
  const auto found = find_program(command);
  REQUIRE_FALSE(found);
  CHECK(name_of(found.error().code()) == name_of(code));
  const auto started = spawn(command);
  REQUIRE_FALSE(started);
  CHECK(started.error().text() == found.error().text());  // asked before the fork, and the same
  return found.error().text();
}

TEST_CASE("program: found in PATH, that of the command first") {
  const Folder folder;
  const auto tool = folder.file("my-tool", "#!/bin/sh\nexit 5\n");
  CHECK(find_program({.argv = {"sh"}}).value().ends_with("/sh"));
  Command command{.argv = {"my-tool"}, .environment = {{"PATH", "/nowhere:" + folder.path()}}};
  CHECK(find_program(command).value() == tool);
  CHECK(Running(spawn(command)).wait() == Exit{Exit::Kind::kStatus, 5, false});
  folder.file("not-executable", "#!/bin/sh\n", 0644);
  command.environment = {{"PATH", folder.path() + ":/bin"}};
  folder.file("ls", "no program", 0644);  // does not hide the ls behind it
  command.argv = {"ls"};
  CHECK(find_program(command).value() == "/bin/ls");
}

TEST_CASE("program: with a slash it is relative to the working directory of the command") {
  const Folder folder;
  std::filesystem::create_directory(folder / "bin");
  folder.file("bin/tool", "#!/bin/sh\nexit 6\n");
  for (const std::string name : {"bin/tool", "./bin/tool", "bin/../bin/tool"}) {
    CAPTURE(name);
    CHECK(Running(spawn({.argv = {name}, .directory = folder.path()})).wait() == Exit{Exit::Kind::kStatus, 6, false});
  }
  // A working directory that is itself relative to ours.
  const auto ours = std::filesystem::current_path();
  const auto relative = std::filesystem::relative(folder.path(), ours).string();
  CHECK(Running(spawn({.argv = {"./bin/tool"}, .directory = relative})).wait() == Exit{Exit::Kind::kStatus, 6, false});
  // So is a relative entry of PATH.
  Command in_path{.argv = {"tool"}, .environment = {{"PATH", "bin"}}, .directory = folder.path()};
  CHECK(find_program(in_path).value() == folder / "bin/tool");
  folder.file("bin/by-env", "#!/usr/bin/env bin/tool\n");
  CHECK(Running(spawn({.argv = {"bin/by-env"}, .directory = folder.path()})).wait());
  // An interpreter, too.
  folder.file("bin/script", "#!bin/tool\n");
  CHECK(Running(spawn({.argv = {"bin/script"}, .directory = folder.path()})).wait());
}

// Each row: a command that cannot run, its code, and what the person must read in the message.
TEST_CASE("program: each way to be wrong has words of its own") {
  const Folder folder;
  std::filesystem::create_directory(folder / "folder");
  folder.file("here", "#!/bin/sh\n");
  folder.file("no-x", "#!/bin/sh\n", 0644);
  folder.file("no-interpreter", "#!/opt/missing/python3 -u\n");
  folder.file("no-env", "#!/usr/bin/env missing-python3\n");
  folder.file("env-words", "#!/usr/bin/env sh -e\n");
  folder.file("windows-env", "#!/usr/bin/env sh\r\n");
  folder.file("windows", "#!/bin/sh\r\necho hello\r\n");
  struct Row {
    std::string why;
    const char* command;
    Code code;
    const char* says;
  };
  const Row rows[] = {
      {"no such command", "missing-tool", Code::kNotFound, "PATH"},
      {"it lies in the working directory", "here", Code::kNotFound, "./here"},
      {"no such path", "./missing", Code::kNotFound, "/missing`"},
      {"a file where a directory should be", "./here/tool", Code::kNotFound, "/here/tool`"},
      {"a directory", "./folder", Code::kInvalid, "is a directory"},
      {"not executable", "./no-x", Code::kRefused, "chmod +x"},
      {"a device", "/dev/null", Code::kInvalid, "not a file"},
      {"its interpreter is missing", "./no-interpreter", Code::kNotFound, "/opt/missing/python3"},
      {"env does not find it", "./no-env", Code::kNotFound, "missing-python3"},
      {"env gets one word", "./env-words", Code::kNotFound, "env -S"},
      {"Windows line ends after an argument", "./windows-env", Code::kNotFound, "Windows"},
      {"Windows line ends", "./windows", Code::kNotFound, "Windows"},
      {"nothing", "", Code::kInvalid, "empty"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    const std::string advice = advice_for({.argv = {row.command}, .directory = folder.path()}, row.code);
    CAPTURE(advice);
    CHECK(advice.contains(row.says));
  }
  advice_for({}, Code::kInvalid);
  CHECK(advice_for({.argv = {"no-x"}, .environment = {{"PATH", folder.path()}}}, Code::kRefused).contains("chmod"));
  CHECK(advice_for({.argv = {"sh"}, .directory = folder / "gone"}, Code::kNotFound).contains("working directory"));
  CHECK(advice_for({.argv = {"sh"}, .directory = folder / "here"}, Code::kInvalid).contains("not a directory"));
}

TEST_CASE("program: what env can start is left to env") {
  const Folder folder;
  for (const std::string line : {"#!/usr/bin/env -S sh -e\nexit 4\n", "#! /usr/bin/env  sh\nexit 4\n",
                                 "#!/bin/sh -e\nexit 4\n", "#!/usr/bin/env -S A=1 sh\nexit 4\n"}) {
    CAPTURE(line);
    CHECK(Running(spawn({.argv = {folder.file("script", line)}})).wait() == Exit{Exit::Kind::kStatus, 4, false});
  }
}

TEST_CASE("program: a zero byte or a bad variable name is refused, not cut short") {
  for (const Command& command :
       {Command{.argv = {"true", std::string("a\0b", 3)}}, Command{.argv = {"true"}, .environment = {{"A=B", "c"}}},
        Command{.argv = {"true"}, .environment = {{"", "c"}}},
        Command{.argv = {"true"}, .tag = std::string("\0", 1)}}) {
    const auto refused = spawn(command);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == Code::kInvalid);
  }
}

}  // namespace
}  // namespace nines::supervise
