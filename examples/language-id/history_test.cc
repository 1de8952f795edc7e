#include <doctest/doctest.h>

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "history.h"
#include "test_support.h"

namespace nines::language_id {
namespace {

namespace fs = std::filesystem;
using testing::eventually;
using testing::Folder;
using testing::write_file;

HistoryRow row(const std::string& id, const std::string& text = "Guten Morgen") {
  return {
      .request_id = id, .time = "2026-11-24T08:00:00.000Z", .text = text, .label = "de", .confidence = 0.5, .pid = 7};
}

HistoryOptions quick(const std::string& path) { return {.path = path, .busy_timeout = 20ms, .retry_pause = 5ms}; }

bool all_written(const History& history, std::uint64_t count) {
  return eventually([&] { return history.counts().written == count && history.counts().trouble.empty(); });
}

std::int64_t rows_in(const std::string& path) {
  auto database = Database::open(path, Database::Access::kExisting, 5s);
  if (!database) return -1;
  auto count = database->prepare("SELECT count(*) FROM classifications");
  if (!count || !count->step().value_or(false)) return -1;
  return count->integer(0);
}

// Another process's transaction.
class Lock {
 public:
  explicit Lock(const std::string& path) : database_(Database::open(path, Database::Access::kExisting, 5s).value()) {
    REQUIRE(database_.run("BEGIN IMMEDIATE"));
  }
  void release() { REQUIRE(database_.run("COMMIT")); }

 private:
  Database database_;
};

TEST_CASE("history: rows come back newest first, a replayed request once") {
  const Folder folder;
  History history(quick(folder / "new/folder/h.db"));
  history.add(row("a"));
  history.add({.request_id = "b",
               .time = "2026-11-24T09:00:00.000Z",
               .text = std::string("nul\0 ' \" é", 10),
               .label = "fr",
               .confidence = 0.25,
               .pid = 8});
  history.add(row("a", "replayed"));
  REQUIRE(all_written(history, 3));
  const auto rows = history.newest(10);
  REQUIRE(rows);
  REQUIRE(rows->size() == 2);
  const HistoryRow& newest = rows->front();
  CHECK(newest.request_id == "b");
  CHECK(newest.time == "2026-11-24T09:00:00.000Z");
  CHECK(newest.text == std::string("nul\0 ' \" é", 10));
  CHECK(newest.label == "fr");
  CHECK(newest.confidence == 0.25);
  CHECK(newest.pid == 8);
  CHECK(rows->back().text == "Guten Morgen");
  CHECK(history.newest(1)->size() == 1);
}

TEST_CASE("history: closing writes what is queued") {
  const Folder folder;
  History history(quick(folder / "h.db"));
  for (int i = 0; i < 3000; ++i) history.add(row(std::to_string(i)));
  history.close();
  CHECK(history.counts().written == 3000);
  CHECK(rows_in(folder / "h.db") == 3000);
  history.add(row("late"));
  CHECK(history.counts().dropped == 1);
}

TEST_CASE("history: while locked, rows wait, the newest are dropped when too many do, and it recovers") {
  const Folder folder;
  HistoryOptions options = quick(folder / "h.db");
  options.queue_max = 10;
  int told = 0;
  options.log = [&told](const std::string&) { ++told; };
  {
    History history(options);
    history.add(row("first"));
    REQUIRE(all_written(history, 1));
    Lock lock(folder / "h.db");
    for (int i = 0; i < 15; ++i) history.add(row(std::to_string(i)));
    CHECK(history.counts().queued == 10);
    CHECK(history.counts().dropped == 5);
    REQUIRE(eventually([&] { return history.counts().trouble == "database is locked"; }));
    CHECK(history.newest(10)->size() == 1);  // readers are not kept out
    lock.release();
    REQUIRE(all_written(history, 11));
    CHECK(history.counts().queued == 0);
    CHECK(rows_in(folder / "h.db") == 11);
  }
  CHECK(told <= 2);  // not once per row or attempt
}

TEST_CASE("history: locked to the end, the rest is counted as dropped") {
  const Folder folder;
  History history(quick(folder / "h.db"));
  history.add(row("first"));
  REQUIRE(all_written(history, 1));
  Lock lock(folder / "h.db");
  history.add(row("a"));
  history.add(row("b"));
  history.close();
  CHECK(history.counts().written == 1);
  CHECK(history.counts().dropped == 2);
  CHECK(history.counts().queued == 0);
}

TEST_CASE("history: a file that is no database holds nobody up, and putting a good one there ends it") {
  const Folder folder;
  write_file(folder / "h.db", std::string(20'000, 'x'));
  int told = 0;
  HistoryOptions options = quick(folder / "h.db");
  options.log = [&told](const std::string&) { ++told; };
  {
    History history(options);
    history.add(row("a"));
    REQUIRE(eventually([&] { return !history.counts().trouble.empty(); }));
    CHECK(history.counts().queued == 1);
    CHECK_FALSE(history.newest(10));
    fs::remove(folder / "h.db");
    REQUIRE(all_written(history, 1));
    CHECK(rows_in(folder / "h.db") == 1);
  }
  CHECK(told == 2);  // the trouble, and its end
}

TEST_CASE("history: a folder that cannot be made is tried again until it can, without a row") {
  const Folder folder;
  write_file(folder / "data", "a file where the folder should be");
  History history(quick(folder / "data/h.db"));
  REQUIRE(eventually([&] { return !history.counts().trouble.empty(); }));
  fs::remove(folder / "data");
  REQUIRE(all_written(history, 0));
  CHECK(rows_in(folder / "data/h.db") == 0);
}

TEST_CASE("history: rows go to the file that has the name, not to one that was deleted or replaced") {
  const Folder folder;
  History history(quick(folder / "h.db"));
  history.add(row("a"));
  REQUIRE(all_written(history, 1));
  SUBCASE("deleted") {
    for (const char* name : {"h.db", "h.db-wal", "h.db-shm"}) fs::remove(folder / name);
  }
  SUBCASE("replaced, as a restore does") {
    {
      History other(quick(folder / "restored.db"));
    }
    for (const char* name : {"h.db-wal", "h.db-shm"}) fs::remove(folder / name);
    fs::rename(folder / "restored.db", folder / "h.db");
  }
  history.add(row("b"));
  REQUIRE(all_written(history, 2));
  const auto rows = history.newest(10);
  REQUIRE(rows);
  REQUIRE(rows->size() == 1);
  CHECK(rows->front().request_id == "b");
}

TEST_CASE("history: a transaction that fails in the middle is rolled back whole, and tried again") {
  const Folder folder;
  History history(quick(folder / "h.db"));
  history.add(row("a"));
  REQUIRE(all_written(history, 1));
  auto other = Database::open(folder / "h.db", Database::Access::kExisting, 5s);
  REQUIRE(other);
  REQUIRE(
      other->run("CREATE TRIGGER full BEFORE INSERT ON classifications WHEN new.request_id = 'c' "
                 "BEGIN SELECT RAISE(ABORT, 'full'); END"));
  history.add(row("b"));
  history.add(row("c"));
  REQUIRE(eventually([&] { return history.counts().trouble == "full"; }));
  REQUIRE(other->run("DROP TRIGGER full"));
  REQUIRE(all_written(history, 3));
  CHECK(rows_in(folder / "h.db") == 3);
}

TEST_CASE("history: several writers share one file and lose nothing") {
  const Folder folder;
  constexpr int kWriters = 3, kRows = 2000;
  const auto write = [&](int writer) {
    HistoryOptions options;  // as in production
    options.path = folder / "h.db";
    options.batch_max = 20;
    History history(options);
    for (int i = 0; i < kRows; ++i) history.add(row(std::to_string(writer) + "-" + std::to_string(i)));
    history.close();
    return history.counts().written == kRows && history.counts().dropped == 0;
  };
  std::vector<std::unique_ptr<std::jthread>> threads;
  std::array<bool, kWriters> well{};
  for (int i = 0; i < kWriters; ++i) {
    threads.push_back(std::make_unique<std::jthread>([&, i] { well[static_cast<std::size_t>(i)] = write(i); }));
  }
  threads.clear();  // joins
  for (const bool one : well) CHECK(one);
  CHECK(rows_in(folder / "h.db") == kWriters * kRows);
}

}  // namespace
}  // namespace nines::language_id
