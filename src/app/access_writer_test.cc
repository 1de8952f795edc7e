#include "app/access_writer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include "base/test_support.h"

namespace nines::app {
namespace {

namespace fs = std::filesystem;
using gateway::AccessLogged;
using gateway::AccessRecord;
using testing::eventually;
using testing::Folder;

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Newest first.
std::string all_of(const std::string& path, int files) {
  std::string text = read(path);
  for (int i = 1; i < files; ++i) text += read(path + "." + std::to_string(i));
  return text;
}

AccessRecord record(std::string_view id) { return {.id = id, .method = "GET", .target = "/x", .status = 200}; }

TEST_CASE("access writer: what workers add is in the file, and the rest at the end") {
  const Folder folder;
  const std::string path = folder / "access.log";
  {
    AccessWriter writer(AccessLogged::kAll, {.path = path}, 2);
    writer.log(0).add(record("first"));
    CHECK(eventually([&] { return read(path).contains("\"first\""); }));
    writer.log(1).add(record("second"));
    writer.log(0).add(record("third"));
  }
  const std::string text = read(path);
  CHECK(text.contains("\"second\""));
  CHECK(text.contains("\"third\""));
  CHECK_FALSE(text.contains("dropped"));
  AccessWriter none(AccessLogged::kNone, {.path = folder / "none.log"}, 1);
  none.log(0).add(record("x"));
  CHECK_FALSE(fs::exists(folder / "none.log"));
}

TEST_CASE("access writer: what cannot be written is counted, and said once it can") {
  const Folder folder;
  const std::string path = folder / "access.log";
  fs::create_directory(path);  // in the way
  std::uint64_t told = 0;
  {
    AccessWriter writer(AccessLogged::kAll, {.path = path}, 1, [&](std::uint64_t n) { told += n; });
    writer.log(0).add(record("lost"));
    writer.log(0).add(record("lost"));
  }
  CHECK(told == 2);
  {
    std::atomic<std::uint64_t> lost = 0;
    AccessWriter writer(AccessLogged::kAll, {.path = path}, 1, [&](std::uint64_t n) { lost += n; });
    writer.log(0).add(record("lost"));
    CHECK(eventually([&] { return lost == 1; }));
    fs::remove(path);
    writer.log(0).add(record("kept"));
  }
  const std::string text = read(path);
  CHECK(text.contains("\"kept\""));
  CHECK(text.contains("\"dropped\":1}"));
  CHECK_FALSE(text.contains("\"lost\""));
}

TEST_CASE("access writer: files are bounded, and a batch is never cut in two") {
  const Folder folder;
  const std::string path = folder / "access.log", line(99, 'x');
  SharedLog log({.path = path, .max_bytes = 250, .max_files = 3});
  for (int i = 0; i < 20; ++i) CHECK(log.append(line + "\n") == 0);
  for (int i = 0; i < 3; ++i) CHECK(read(i == 0 ? path : path + "." + std::to_string(i)).size() == 200);
  CHECK_FALSE(fs::exists(path + ".3"));
  CHECK(log.append(std::string(1000, 'y') + "\n") == 0);  // larger than a file may be: one of its own
  CHECK(read(path).size() == 1001);
}

TEST_CASE("access writer: a file that was removed or emptied is gone on with") {
  const Folder folder;
  const std::string path = folder / "access.log";
  SharedLog log({.path = path});
  CHECK(log.append("a\n") == 0);
  fs::remove(path);
  CHECK(log.append("b\n") == 0);
  CHECK(read(path) == "b\n");
  std::ofstream(path, std::ios::trunc);
  CHECK(log.append("c\n") == 0);
  CHECK(read(path) == "c\n");
}

TEST_CASE("access writer: two gateways rotate one file, and no line is lost or cut") {
  const Folder folder;
  const std::string path = folder / "access.log";
  constexpr int kLines = 2000, kFiles = 200;
  const auto write = [&](char who) {
    SharedLog log({.path = path, .max_bytes = 1000, .max_files = kFiles});
    for (int i = 0; i < kLines; ++i)
      if (log.append(std::string(1, who) + std::to_string(i) + "\n") != 0) return;
  };
  std::thread one([&] { write('a'); }), two([&] { write('b'); });
  one.join();
  two.join();
  std::istringstream text(all_of(path, kFiles));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  CHECK(lines.size() == 2 * kLines);
  std::ranges::sort(lines);
  CHECK(std::ranges::adjacent_find(lines) == lines.end());
}

}  // namespace
}  // namespace nines::app
