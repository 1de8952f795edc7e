#include "supervise/log_times.h"

#include <fcntl.h>

#include <doctest/doctest.h>
#include <cstring>
#include <vector>

#include "supervise/test_support.h"

namespace nines::supervise {
namespace {

using testing::Folder, testing::read_all;

constexpr WallTime kAt{1'800'000'000s};
constexpr std::uint64_t kRoom = 1 << 20;
using Records = std::vector<std::pair<std::uint64_t, Duration>>;

Fd open_times(const std::string& log) { return Fd(::open(times_file_of(log).c_str(), O_RDONLY | O_CLOEXEC)); }

Records records_of(const std::string& log) {
  TimesReader reader(open_times(log));
  Records records;
  while (const auto record = reader.next()) records.emplace_back(record->offset, record->at - kAt);
  return records;
}

std::string bytes_of(const std::vector<TimeRecord>& records) {
  std::string bytes(records.size() * sizeof(TimeRecord), '\0');
  std::memcpy(bytes.data(), records.data(), bytes.size());
  return bytes;
}

struct Log {
  Folder folder;
  std::string path = folder / "log";
  TimesWriter times{kRoom};
  Log() { times.begin(path); }
};

TEST_CASE("times: one record for what is written within 100 ms, whatever the clock does") {
  Log log;
  log.times.note(0, kAt);
  log.times.note(10, kAt + 99ms);
  log.times.note(20, kAt + 100ms);
  log.times.note(30, kAt + 5s);
  log.times.note(40, kAt + 1s);  // set back
  log.times.note(50, kAt + 1050ms);
  CHECK(records_of(log.path) == Records{{0, 0s}, {20, 100ms}, {30, 5s}, {40, 1s}});
}

TEST_CASE("times: bytes that could not be written leave no record behind") {
  Log log;
  log.times.note(0, kAt);
  for (int i = 1; i < 100; ++i) log.times.note(10, kAt + i * 1s);
  CHECK(records_of(log.path) == Records{{0, 0s}, {10, 99s}});
}

TEST_CASE("times: a new writer goes on") {
  Log log;
  log.times.note(0, kAt);
  log.times.note(10, kAt + 1s);
  TimesWriter next(kRoom);
  next.open(log.path, 20, kAt + 1s);
  next.note(20, kAt + 1050ms);  // within the record that is there
  next.note(30, kAt + 2s);
  CHECK(records_of(log.path) == Records{{0, 0s}, {10, 1s}, {30, 2s}});
}

TEST_CASE("times: a writer that was killed before it wrote leaves a record without bytes, which goes") {
  Log log;
  log.times.note(0, kAt);
  log.times.note(10, kAt + 1s);
  TimesWriter next(kRoom);
  next.open(log.path, 10, kAt);
  next.note(10, kAt + 9s);
  CHECK(records_of(log.path) == Records{{0, 0s}, {10, 9s}});
}

TEST_CASE("times: records that cannot be about all of the log give way to its mtime") {
  struct Row {
    std::string why;
    std::string content;
  };
  const Row rows[] = {
      {"there are none", ""},
      {"half of one", "12345678"},
      {"the log was written to long after the last", bytes_of({{0, kAt}, {10, kAt + 1s}})},
      {"offsets out of order", bytes_of({{0, kAt}, {30, kAt + 99s}, {20, kAt + 100s}})},
      {"zeros, as a power failure leaves them", bytes_of({{0, kAt}, {10, kAt + 100s}}) + std::string(32, '\0')},
      {"all beyond the log's end", bytes_of({{50, kAt + 100s}})},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    const Folder folder;
    const std::string log = folder / "log";
    folder.file("log.times", row.content);
    TimesWriter writer(kRoom);
    writer.open(log, 40, kAt + 100s);
    CHECK(records_of(log) == Records{{40, 100s}});
    writer.note(40, kAt + 200s);  // does not replace what says when the rest was written
    writer.note(50, kAt + 300s);
    CHECK(records_of(log) == Records{{40, 100s}, {40, 200s}, {50, 300s}});
  }
}

TEST_CASE("times: a torn record is written again") {
  Log log;
  log.times.note(0, kAt);
  std::ofstream(times_file_of(log.path), std::ios::app) << "torn";
  TimesWriter next(kRoom);
  next.open(log.path, 10, kAt);
  next.note(10, kAt + 1s);
  CHECK(records_of(log.path) == Records{{0, 0s}, {10, 1s}});
}

TEST_CASE("times: a file that was removed begins anew") {
  Log log;
  log.times.note(0, kAt);
  std::filesystem::remove(times_file_of(log.path));
  log.times.note(10, kAt + 1s);
  CHECK(records_of(log.path) == Records{{10, 1s}});
}

TEST_CASE("times: what cannot be written is begun anew once it can") {
  const Folder folder;
  const std::string log = folder / "log";
  std::filesystem::create_directory(times_file_of(log));
  TimesWriter writer(kRoom);
  writer.begin(log);
  writer.note(0, kAt);
  CHECK(records_of(log).empty());
  std::filesystem::remove(times_file_of(log));
  writer.note(10, kAt + 1s);
  CHECK(records_of(log) == Records{{10, 1s}});
}

TEST_CASE("times: no more records than there is room for") {
  Log log;
  TimesWriter writer(3 * sizeof(TimeRecord) + 1);
  writer.begin(log.path);
  for (int i = 0; i < 3; ++i) {
    CHECK(!writer.is_full(kAt + i * 1s));
    writer.note(static_cast<std::uint64_t>(i), kAt + i * 1s);
  }
  CHECK(!writer.is_full(kAt + 2050ms));
  CHECK(writer.is_full(kAt + 3s));
  writer.note(3, kAt + 3s);  // nobody began a new log
  CHECK(records_of(log.path) == Records{{3, 3s}});
}

TEST_CASE("times: a reader sees what is added, and not half of it") {
  const Folder folder;
  folder.file("log.times", bytes_of({{0, kAt}}));
  TimesReader reader(open_times(folder / "log"));
  CHECK(reader.next().has_value());
  CHECK(!reader.next());
  const std::string more = bytes_of({{10, kAt + 1s}});
  std::ofstream(folder / "log.times", std::ios::app) << more.substr(0, 9);
  CHECK(!reader.next());
  std::ofstream(folder / "log.times", std::ios::app) << more.substr(9);
  REQUIRE(reader.next().value().offset == 10);
  CHECK(!reader.next());
}

TEST_CASE("times: nothing is read from the first record on that is out of order") {
  const Folder folder;
  for (const TimeRecord bad :
       {TimeRecord{5, kAt + 2s}, {20, WallTime{}}, {20, WallTime::max()}, {UINT64_MAX, kAt + 2s}}) {
    folder.file("log.times", bytes_of({{0, kAt}, {10, kAt + 1s}, bad, {30, kAt + 3s}}));
    CHECK(records_of(folder / "log") == Records{{0, 0s}, {10, 1s}});
  }
}

TEST_CASE("clock: each line has the time of the record before it") {
  const Folder folder;
  folder.file("log.times", bytes_of({{5, kAt}, {10, kAt + 1s}, {10, kAt + 2s}}));
  LineClock clock(open_times(folder / "log"));
  CHECK(!clock.at(0));
  CHECK(!clock.at(4));
  CHECK(clock.at(5) == kAt);
  CHECK(clock.at(9) == kAt);
  CHECK(clock.at(10) == kAt + 2s);
  CHECK(clock.at(1000) == kAt + 2s);
  std::ofstream(folder / "log.times", std::ios::app) << bytes_of({{1001, kAt + 3s}});
  clock.refresh();
  CHECK(clock.at(1001) == kAt + 3s);
  clock.rewind();
  CHECK(clock.at(5) == kAt);
  CHECK(!LineClock().at(5));
}

}  // namespace
}  // namespace nines::supervise
