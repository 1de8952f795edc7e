#include "cli/log_follower.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "base/test_support.h"

namespace nines::cli {
namespace {

namespace fs = std::filesystem;
using Lines = std::vector<std::string>;

struct Folder : testing::Folder {
  std::string log() const { return *this / "a.log"; }
  void append(const std::string& text) const { std::ofstream(log(), std::ios::app) << text; }
};

TEST_CASE("follower: lines as they are completed") {
  const Folder folder;
  folder.append("old\n");
  LogFollower follower(folder.log(), end_of_log(folder.log(), 10).size);
  CHECK(follower.read().empty());
  folder.append("one\ntw");
  CHECK(follower.read() == Lines{"one"});
  folder.append("o\n\nthree\n");
  CHECK(follower.read() == Lines{"two", "", "three"});
  CHECK(follower.read().empty());
}

TEST_CASE("follower: a rotation loses nothing") {
  const Folder folder;
  folder.append("1\n");
  LogFollower follower(folder.log(), 0);
  CHECK(follower.read() == Lines{"1"});
  folder.append("2\nlast, unended");
  fs::rename(folder.log(), folder.log() + ".1");
  folder.append("3\n");
  CHECK(follower.read() == Lines{"2", "last, unended"});
  CHECK(follower.read() == Lines{"3"});
  folder.append("4\n");
  CHECK(follower.read() == Lines{"4"});
}

TEST_CASE("follower: between rename and the new file it holds on to the old one") {
  const Folder folder;
  folder.append("1\n");
  LogFollower follower(folder.log(), 0);
  fs::rename(folder.log(), folder.log() + ".1");
  CHECK(follower.read() == Lines{"1"});
  std::ofstream(folder.log() + ".1", std::ios::app) << "2\n";
  CHECK(follower.read() == Lines{"2"});
}

TEST_CASE("follower: an emptied file begins again") {
  const Folder folder;
  folder.append("a long line\nhalf");
  LogFollower follower(folder.log(), 0);
  CHECK(follower.read() == Lines{"a long line"});
  std::ofstream(folder.log()) << "new\n";
  CHECK(follower.read() == Lines{"new"});
}

TEST_CASE("follower: a file that is not there yet") {
  const Folder folder;
  LogFollower follower(folder.log(), 0);
  CHECK(follower.read().empty());
  folder.append("hello\n");
  CHECK(follower.read() == Lines{"hello"});
}

TEST_CASE("follower: a line without end comes in pieces, and memory stays bounded") {
  const Folder folder;
  folder.append(std::string(5 * LogFollower::kLineMax, 'x'));
  LogFollower follower(folder.log(), 0);
  std::size_t bytes = 0;
  for (const std::string& line : follower.read()) {
    CHECK(line.size() <= 2 * LogFollower::kLineMax);
    bytes += line.size();
  }
  CHECK(bytes == 5 * LogFollower::kLineMax);
}

TEST_CASE("follower: the end of a log and where to go on") {
  const Folder folder;
  CHECK(end_of_log(folder.log(), 2).lines.empty());
  CHECK(end_of_log(folder.log(), 2).size == 0);
  folder.append("1\n2\n3\n");
  CHECK(end_of_log(folder.log(), 2).lines == Lines{"2", "3"});
  CHECK(end_of_log(folder.log(), 2).size == 6);
  CHECK(end_of_log(folder.log(), 0).lines.empty());
}

}  // namespace
}  // namespace nines::cli
