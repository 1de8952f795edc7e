#include "cli/log_follower.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <utility>

#include "base/test_support.h"
#include "supervise/log_file.h"

namespace nines::cli {
namespace {

namespace fs = std::filesystem;
using Lines = std::vector<std::string>;

struct Folder : testing::Folder {
  std::string log() const { return *this / "a.log"; }
  void append(const std::string& text) const { std::ofstream(log(), std::ios::app) << text; }
};

constexpr WallTime kAt{1'800'000'000s};

Lines texts(const std::vector<LogLine>& lines) {
  Lines texts;
  for (const LogLine& line : lines) texts.push_back(line.text);
  return texts;
}

// The end of one file and the beginning of the next.
Lines read_twice(LogFollower& follower) {
  Lines lines = texts(follower.read());
  for (std::string& line : texts(follower.read())) lines.push_back(std::move(line));
  return lines;
}

TEST_CASE("follower: lines as they are completed") {
  const Folder folder;
  folder.append("old\n");
  LogFollower follower(folder.log(), supervise::open_log_file(folder.log()).value(), 4);
  CHECK(follower.read().empty());
  folder.append("one\ntw");
  CHECK(texts(follower.read()) == Lines{"one"});
  folder.append("o\n\nthree\n");
  CHECK(texts(follower.read()) == Lines{"two", "", "three"});
  CHECK(follower.read().empty());
}

TEST_CASE("follower: a rotation loses nothing") {
  const Folder folder;
  folder.append("1\n");
  LogFollower follower(folder.log());
  CHECK(texts(follower.read()) == Lines{"1"});
  folder.append("2\nlast, unended");
  fs::rename(folder.log(), folder.log() + ".1");
  folder.append("3\n");
  CHECK(texts(follower.read()) == Lines{"2", "last, unended", "3"});
  folder.append("4\n");
  CHECK(texts(follower.read()) == Lines{"4"});
}

TEST_CASE("follower: between rename and the new file it holds on to the old one") {
  const Folder folder;
  folder.append("1\n");
  LogFollower follower(folder.log());
  fs::rename(folder.log(), folder.log() + ".1");
  CHECK(texts(follower.read()) == Lines{"1"});
  std::ofstream(folder.log() + ".1", std::ios::app) << "2\n";
  CHECK(texts(follower.read()) == Lines{"2"});
}

TEST_CASE("follower: an emptied file begins again") {
  const Folder folder;
  folder.append("a long line\nhalf");
  LogFollower follower(folder.log());
  CHECK(texts(follower.read()) == Lines{"a long line"});
  std::ofstream(folder.log()) << "new\n";
  CHECK(texts(follower.read()) == Lines{"new"});
}

TEST_CASE("follower: a file that is not there yet") {
  const Folder folder;
  LogFollower follower(folder.log());
  CHECK(follower.read().empty());
  folder.append("hello\n");
  CHECK(texts(follower.read()) == Lines{"hello"});
}

TEST_CASE("follower: a line without end comes in pieces, and memory stays bounded") {
  const Folder folder;
  folder.append(std::string(5 * LogFollower::kLineMax, 'x'));
  LogFollower follower(folder.log());
  std::size_t bytes = 0;
  for (const std::string& line : texts(follower.read())) {
    CHECK(line.size() <= 2 * LogFollower::kLineMax);
    bytes += line.size();
  }
  CHECK(bytes == 5 * LogFollower::kLineMax);
}

TEST_CASE("follower: one that fell behind by several rotations leaves nothing out") {
  const Folder folder;
  supervise::RotatingLog log({.path = folder.log(), .max_bytes = 20, .max_files = 5});
  const auto say = [&](int number) { log.append("line " + std::to_string(number) + "\n", kAt); };
  for (int i = 0; i < 2; ++i) say(i);
  LogFollower follower(folder.log());
  for (int i = 2; i < 10; ++i) say(i);
  Lines wanted;
  for (int i = 0; i < 10; ++i) wanted.push_back("line " + std::to_string(i));
  CHECK(texts(follower.read()) == wanted);

  // Now its file goes, and some after it do.
  fs::last_write_time(folder.log(), fs::last_write_time(folder.log()) - 1s);
  for (int i = 10; i < 50; ++i) say(i);
  const Lines left = texts(follower.read());
  REQUIRE(left.size() >= 8);
  CHECK(left.front() == "line " + std::to_string(50 - left.size()));
  CHECK(left.back() == "line 49");
}

TEST_CASE("follower: a log that was removed with older ones beside it begins anew, not with those") {
  const Folder folder;
  folder.file("a.log.1", "long ago\n");
  folder.append("1\n");
  LogFollower follower(folder.log());
  CHECK(texts(follower.read()) == Lines{"1"});
  // The kernel's clock of files ticks every few milliseconds.
  fs::last_write_time(folder / "a.log.1", fs::last_write_time(folder.log()) - 1s);
  fs::remove(folder.log());
  CHECK(texts(follower.read()).empty());
  folder.append("2\n");
  CHECK(read_twice(follower) == Lines{"2"});
}

TEST_CASE("follower: lines have the time they were written at") {
  const Folder folder;
  supervise::RotatingLog log({.path = folder.log(), .max_bytes = 64, .max_files = 5});
  log.append("one\n", kAt);
  LogFollower follower(folder.log());
  const auto times = [&] {
    std::vector<std::pair<std::string, Duration>> found;
    for (const LogLine& line : follower.read()) found.emplace_back(line.text, line.at.value() - kAt);
    return found;
  };
  const std::string next(60, 'x');  // does not fit into the same file
  using Times = std::vector<std::pair<std::string, Duration>>;
  CHECK(times() == Times{{"one", 0s}});
  log.append("two\nha", kAt + 1s);
  log.append("lf\n", kAt + 2s);  // a line is as old as its beginning
  CHECK(times() == Times{{"two", 1s}, {"half", 1s}});
  log.append(next + "\n", kAt + 3s);
  CHECK(times() == Times{{next, 3s}});
  fs::resize_file(folder.log(), 0);
  log.append("anew\n", kAt + 4s);
  CHECK(times() == Times{{"anew", 4s}});
}

TEST_CASE("follower: up to a mark, across rotations, and on from there") {
  const Folder folder;
  supervise::RotatingLog log({.path = folder.log(), .max_bytes = 30, .max_files = 5});
  for (const char* text : {"1234567\n", "2345678\n", "3456789\n", "4567890\nun"}) log.append(text, kAt);
  auto history = supervise::LogHistory::open(folder.log()).value();
  const LogFollower::Mark mark{history.file(history.end()).id, history.end().offset};
  LogFollower follower(folder.log(), history.take({}), 0);
  log.append("finished\n5678901\n6789012\n", kAt);  // after the mark
  std::vector<LogLine> lines;
  while (follower.read_up_to(mark, lines)) {
  }
  CHECK(texts(lines) == Lines{"1234567", "2345678", "3456789", "4567890"});
  SUBCASE("to go on") { CHECK(read_twice(follower) == Lines{"unfinished", "5678901", "6789012"}); }
  SUBCASE("to end") {
    CHECK(follower.take_unfinished().value().text == "un");
    CHECK(!follower.take_unfinished());
  }
}

}  // namespace
}  // namespace nines::cli
