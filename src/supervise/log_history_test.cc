#include "supervise/log_history.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <doctest/doctest.h>
#include <atomic>
#include <string>
#include <thread>

#include "base/random.h"
#include "supervise/log_file.h"
#include "supervise/test_support.h"

namespace nines::supervise {
namespace {

using testing::Folder, testing::read_all;
using Place = LogHistory::Place;

constexpr WallTime kAt{1'800'000'000s};

void set_modified(const std::string& path, WallTime at) {
  const auto ns = at.time_since_epoch();
  const auto whole = std::chrono::floor<std::chrono::seconds>(ns);
  const timespec time{whole.count(), (ns - whole).count()};
  const timespec both[] = {time, time};
  REQUIRE(::utimensat(AT_FDCWD, path.c_str(), both, 0) == 0);
}

// A log whose clock is the test's: appending sets the file's time too.
struct Log {
  Folder folder;
  std::string path = folder / "log";
  RotatingLog log;

  explicit Log(std::uint64_t max_bytes = 1 << 20) : log({.path = path, .max_bytes = max_bytes, .max_files = 50}) {}
  void say(const std::string& text, Duration at) {
    log.append(text, kAt + at);
    set_modified(path, kAt + at);
  }
  LogHistory history() const { return LogHistory::open(path).value(); }
};

// Two of these fill a file of kTwoLines bytes.
constexpr std::uint64_t kTwoLines = 64;
std::string line(int number) { return "line" + std::to_string(number) + std::string(26, '.') + "\n"; }
std::string lines(int first, int last) {
  std::string all;
  for (int i = first; i <= last; ++i) all += line(i);
  return all;
}
// Line N at N times 10 s.
void say_lines(Log& log, int last) {
  for (int i = 1; i <= last; ++i) log.say(line(i), i * 10s);
}

// What is read from one place to another.
std::string between(const LogHistory& history, Place from, Place to) {
  std::string text;
  for (Place at = from; at < to; at = {at.file + 1, 0}) {
    const LogFile& log = history.file(at);
    std::string bytes(static_cast<std::size_t>((at.file == to.file ? to.offset : log.size) - at.offset), '\0');
    REQUIRE(::pread(log.file.get(), bytes.data(), bytes.size(), at.offset) == static_cast<ssize_t>(bytes.size()));
    text += bytes;
  }
  return text;
}
std::string since(const LogHistory& history, Duration at) {
  return between(history, history.since(kAt + at), history.end());
}
std::string until(const LogHistory& history, Duration at) { return between(history, {}, history.until(kAt + at)); }
std::string tail(const LogHistory& history, std::size_t count) {
  return between(history, history.tail(history.end(), count), history.end());
}

TEST_CASE("history: lines before and after a moment, across rotations") {
  Log log(kTwoLines);
  say_lines(log, 9);  // two in a file
  const LogHistory history = log.history();
  const std::string all = between(history, {}, history.end());
  CHECK(all == lines(1, 9));
  struct Row {
    Duration at;
    std::size_t before;  // lines that are certainly older
  };
  for (const Row& row : {Row{-1s, 0},
                         {10s, 0},
                         {10s + 99ms, 0},
                         {10s + 101ms, 1},
                         {20s, 1},
                         {21s, 2},
                         {35s, 3},
                         {50s, 4},
                         {55s, 5},
                         {89s, 8},
                         {90s, 8},
                         {91s, 9},
                         {1000s, 9}}) {
    CAPTURE(row.at.count());
    CHECK(since(history, row.at) == all.substr(row.before * line(1).size()));
  }
  for (const Row& row :
       {Row{-1s, 0}, {9s, 0}, {10s, 1}, {19s, 1}, {20s, 2}, {35s, 3}, {60s, 6}, {61s, 6}, {1000s, 9}}) {
    CAPTURE(row.at.count());
    CHECK(until(history, row.at) == all.substr(0, row.before * line(1).size()));
  }
}

TEST_CASE("history: a line is in the window with all of it") {
  Log log;
  log.say("one\ntw", 10s);
  log.say("o\nthree\nfo", 20s);
  log.say("ur\n", 30s);
  const LogHistory history = log.history();
  CHECK(since(history, 15s) == "two\nthree\nfour\n");
  CHECK(since(history, 25s) == "four\n");
  CHECK(until(history, 15s) == "one\ntwo\n");
  CHECK(until(history, 25s) == "one\ntwo\nthree\nfour\n");
}

TEST_CASE("history: without times it is rather too many lines than too few") {
  Log log(kTwoLines);
  say_lines(log, 6);
  SUBCASE("those of one file are gone: its mtime says no more than when it ended") {
    std::filesystem::remove(times_file_of(log.path + ".1"));
    CHECK(since(log.history(), 35s) == lines(3, 6));
    CHECK(since(log.history(), 45s) == lines(5, 6));
    CHECK(until(log.history(), 45s) == lines(1, 4));
    CHECK(until(log.history(), 15s) == lines(1, 4));
  }
  SUBCASE("some are missing at the end") {
    std::filesystem::resize_file(times_file_of(log.path), 16 + 5);
    CHECK(since(log.history(), 55s) == lines(5, 6));
    CHECK(since(log.history(), 61s).empty());
    CHECK(until(log.history(), 55s) == lines(1, 6));
  }
  SUBCASE("they are garbage") {
    std::ofstream(times_file_of(log.path)) << std::string(1000, '\xff');
    CHECK(since(log.history(), 55s) == lines(5, 6));
    CHECK(since(log.history(), 61s).empty());
  }
  SUBCASE("they are about a longer log") {
    std::filesystem::resize_file(log.path, line(1).size());
    set_modified(log.path, kAt + 60s);
    CHECK(since(log.history(), 55s) == line(5));
    CHECK(until(log.history(), 1000s) == lines(1, 5));
  }
}

TEST_CASE("history: a log from before there were times") {
  const Folder folder;
  const std::string path = folder.file("log", "old\n");
  set_modified(path, kAt + 10s);
  RotatingLog log({.path = path});
  log.append("new\n", kAt + 20s);
  set_modified(path, kAt + 20s);
  const LogHistory history = LogHistory::open(path).value();
  CHECK(since(history, 9s) == "old\nnew\n");
  CHECK(since(history, 11s) == "new\n");
  CHECK(since(history, 21s).empty());
  CHECK(until(history, 5s) == "old\n");
  CHECK(until(history, 15s) == "old\n");
}

TEST_CASE("history: a clock that was set back hides nothing") {
  Log log;
  log.say("one\n", 10s);
  log.say("two\n", 50s);
  log.say("three\n", 20s);
  log.say("four\n", 30s);
  const LogHistory history = log.history();
  CHECK(since(history, 25s) == "two\nthree\nfour\n");
  CHECK(since(history, 15s) == "two\nthree\nfour\n");
  CHECK(until(history, 25s) == "one\ntwo\nthree\n");
}

TEST_CASE("history: the last lines, across files") {
  Log log(kTwoLines);
  say_lines(log, 5);
  const LogHistory history = log.history();
  const std::string all = between(history, {}, history.end());
  for (std::size_t count = 0; count <= 7; ++count) {
    CAPTURE(count);
    CHECK(tail(history, count) == all.substr(all.size() - std::min<std::size_t>(count, 5) * line(1).size()));
  }
  const Place end = history.until(kAt + 30s);
  CHECK(between(history, history.tail(end, 2), end) == lines(2, 3));
}

TEST_CASE("history: the last lines, of every shape") {
  const Folder folder;
  const std::string wide(200'000, 'x');
  struct Row {
    std::string why;
    std::string content;
    std::size_t count;
    std::string lines;
  };
  const Row rows[] = {
      {"nothing there", "", 3, ""},
      {"a line that is not finished counts", "a\nb", 1, "b"},
      {"empty lines are lines", "a\n\n\n", 2, "\n\n"},
      {"one empty line", "\n", 5, "\n"},
      {"a line longer than a block", "a\n" + wide + "\nb\n", 2, wide + "\nb\n"},
      {"the line before it", "a\n" + wide + "\nb\n", 3, "a\n" + wide + "\nb\n"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    folder.file("log", row.content);
    CHECK(tail(LogHistory::open(folder / "log").value(), row.count) == row.lines);
  }
}

TEST_CASE("history: files of a rotation that was cut short are still one log") {
  Log log(kTwoLines);
  say_lines(log, 6);
  std::filesystem::rename(log.path + ".2", log.path + ".3");
  std::filesystem::rename(times_file_of(log.path + ".2"), times_file_of(log.path + ".3"));
  std::filesystem::rename(log.path + ".1", log.path + ".2");  // and its times are left behind
  CHECK(since(log.history(), 15s) == lines(2, 6));
  std::filesystem::rename(log.path, log.path + ".1");
  CHECK(since(log.history(), 15s) == lines(2, 6));
  CHECK(LogHistory::open(log.folder / "none").error().code() == Code::kNotFound);
  // The next writer puts it in order.
  RotatingLog next({.path = log.path, .max_bytes = kTwoLines, .max_files = 50});
  for (int i = 7; i <= 9; ++i) next.append(line(i), kAt + i * 10s);
  CHECK(since(log.history(), 0s).starts_with(lines(1, 7)));
  CHECK(since(log.history(), 75s) == lines(8, 9));
}

TEST_CASE("history: no line that was written since is left out, and few that were not are in") {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    Log log(32 + random.below(300));
    struct Said {
      std::string line;
      Duration at;
    };
    std::vector<Said> said;
    Duration now = 0s;
    for (int i = 0; i < 60; ++i) {
      now += random.below(2) == 0 ? Duration(1ms * random.below(60)) : Duration(1ms * random.below(5000));
      said.push_back({std::to_string(i) + std::string(random.below(20), '.') + "\n", now});
      if (random.below(15) == 0)
        log.log = RotatingLog(RotatingLog::Options{.path = log.path, .max_bytes = 200, .max_files = 50});
      log.say(said.back().line, now);
    }
    const LogHistory history = log.history();
    for (int i = 0; i < 20; ++i) {
      const Duration moment = 1ms * random.below(static_cast<std::uint32_t>(now / 1ms) + 2000);
      std::string must, may;
      for (const Said& line : said) {
        if (line.at >= moment) must += line.line;
        if (line.at + kTimesSpan + 10ms > moment) may += line.line;
      }
      const std::string found = since(history, moment);
      REQUIRE(found.ends_with(must));
      REQUIRE(may.ends_with(found));
    }
  }
}

TEST_CASE("history: a log that is rotated while it is opened is whole, and has its own times") {
  const Folder folder;
  const std::string path = folder / "log";
  RotatingLog log({.path = path, .max_bytes = 64, .max_files = 4});
  std::atomic<bool> done = false;
  // Each line says when it was written.
  std::thread writer([&] {
    for (int second = 1; !done; ++second) log.append(std::to_string(1'000'000 + second) + "\n", kAt + second * 1s);
  });
  testing::eventually([&] { return std::filesystem::exists(path + ".3"); });
  for (int i = 0; i < 500; ++i) {
    const auto history = LogHistory::open(path);
    if (!history) continue;  // can happen only while there is no file by that name
    for (std::size_t file = 0; file <= history->end().file; ++file) {
      LogFile const& part = history->file({file, 0});
      const std::string text = between(*history, {file, 0}, {file, part.size});
      LineClock clock(Fd(::fcntl(part.times.get(), F_DUPFD_CLOEXEC, 3)));
      for (std::size_t at = 0; at + 8 <= text.size(); at += 8) {
        const auto time = clock.at(at);
        if (time) REQUIRE(*time - kAt == std::chrono::seconds(std::stoi(text.substr(at, 7)) - 1'000'000));
      }
    }
  }
  done = true;
  writer.join();
}

}  // namespace
}  // namespace nines::supervise
