#include "backup/sqlite_copy.h"

#include <doctest/doctest.h>

#include "backup/test_support.h"

namespace nines::backup {
namespace {

using namespace testing;

// integrity_check, and every row the writer was told of before the copy began.
void check_copy(const std::string& copy, long acknowledged) {
  REQUIRE(check_integrity(copy));
  CHECK(std::stol(ask(copy, "SELECT count(*) FROM t WHERE id > 1000000")) >= acknowledged);
  CHECK(std::stol(ask(copy, "SELECT coalesce(max(id) - 1000000, 0) FROM t WHERE id > 1000000")) ==
        std::stol(ask(copy, "SELECT count(*) FROM t WHERE id > 1000000")));  // no gap
}

TEST_CASE("copy: in WAL mode a writer in another process neither restarts nor stops it") {
  const Folder folder;
  make_database(folder / "app.db", "WAL", 20'000);
  const Writer writer(folder / "app.db");
  for (int i = 0; i < 5; ++i) {
    const std::string copy = folder / "copy" + std::to_string(i);
    const long before = writer.acknowledged();
    const auto report = copy_database(folder / "app.db", copy, real_clock());
    REQUIRE(report);
    CHECK(report->way == CopyReport::Way::kWal);
    CHECK(report->restarts == 0);
    CHECK(report->bytes > 20'000'000);
    CHECK(names_in(folder.path()).back() != "copy" + std::to_string(i) + "-wal");
    check_copy(copy, before);
  }
}

TEST_CASE("copy: with a rollback journal, a writer that leaves gaps is stepped around") {
  const Folder folder;
  make_database(folder / "app.db", "DELETE", 3'000);
  const auto report = copy_database(folder / "app.db", folder / "copy", real_clock(), {.step_pages = 50});
  REQUIRE(report);
  CHECK(report->way == CopyReport::Way::kSteps);
  CHECK(report->restarts == 0);
  check_copy(folder / "copy", 0);
}

TEST_CASE("copy: with a rollback journal and a writer that never rests, the fallback gets a consistent copy") {
  const Folder folder;
  for (const std::string mode : {"DELETE", "TRUNCATE", "PERSIST"}) {
    CAPTURE(mode);
    const std::string path = folder / mode;
    make_database(path, mode, 20'000);
    const Writer writer(path);
    for (int i = 0; i < 3; ++i) {
      const std::string copy = path + ".copy" + std::to_string(i);
      const long before = writer.acknowledged();
      const auto report = copy_database(path, copy, real_clock());
      REQUIRE(report);
      CHECK(report->way == CopyReport::Way::kReconciled);
      check_copy(copy, before);
    }
  }
}

TEST_CASE("copy: the fallback follows a file that shrinks and one that grows") {
  const Folder folder;
  make_database(folder / "app.db", "DELETE", 6'000);
  Clock clock = real_clock();
  int pauses = 0;
  // Between the steps; the last change comes after the copy without a lock was begun, since there is none before.
  clock.pause = [&](Duration) {
    ++pauses;
    sql(folder / "app.db", pauses % 2 != 0
                               ? "DELETE FROM t WHERE id > 100; VACUUM"
                               : "WITH RECURSIVE n(i) AS (SELECT 101 UNION ALL SELECT i + 1 FROM n WHERE i < "
                                 "6000) INSERT INTO t SELECT i, randomblob(1000) FROM n");
  };
  const auto report = copy_database(folder / "app.db", folder / "copy", clock, {.step_pages = 20, .restarts_max = 4});
  REQUIRE(report);
  CHECK(report->way == CopyReport::Way::kReconciled);
  CHECK(check_integrity(folder / "copy"));
  CHECK(ask(folder / "copy", "SELECT count(*) FROM t") == ask(folder / "app.db", "SELECT count(*) FROM t"));
}

TEST_CASE("copy: a lock that nobody lets go is an error with a name, after a while") {
  const Folder folder;
  make_database(folder / "app.db", "DELETE", 10);
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open((folder / "app.db").c_str(), &db) == SQLITE_OK);
  REQUIRE(sqlite3_exec(db, "BEGIN EXCLUSIVE", nullptr, nullptr, nullptr) == SQLITE_OK);
  Clock clock = real_clock();
  Duration passed{0};
  clock.boot = [&] { return Instant{passed}; };
  clock.pause = [&](Duration d) { passed += d; };
  const auto report = copy_database(folder / "app.db", folder / "copy", clock);
  sqlite3_close(db);
  REQUIRE(!report);
  CHECK(report.error().code() == Code::kUnavailable);
  CHECK(report.error().text().contains("locked by another process"));
  CHECK(passed > 30s);
  CHECK(passed < 31s);
}

TEST_CASE("copy: what is no database, damaged or empty") {
  const Folder folder;
  CHECK(copy_database(folder / "none", folder / "c0", real_clock()).error().code() == Code::kNotFound);
  folder.file("text", std::string(10'000, 'x'));
  CHECK(copy_database(folder / "text", folder / "c1", real_clock()).error().code() == Code::kInvalid);
  folder.file("empty", "");
  const auto empty = copy_database(folder / "empty", folder / "c2", real_clock());
  REQUIRE(empty);
  CHECK(check_integrity(folder / "c2"));
  CHECK(count_rows(folder / "c2")->empty());
}

TEST_CASE("copy: the copy keeps the journal mode, and the source its WAL") {
  const Folder folder;
  make_database(folder / "app.db", "WAL", 10);
  sqlite3* db = nullptr;  // an application that has it open, with rows in the WAL only
  REQUIRE(sqlite3_open((folder / "app.db").c_str(), &db) == SQLITE_OK);
  REQUIRE(sqlite3_exec(db, "INSERT INTO t VALUES (77, 'x')", nullptr, nullptr, nullptr) == SQLITE_OK);
  const std::string wal_before = storage::read_file(folder / "app.db-wal", 1 << 20).value();
  REQUIRE(copy_database(folder / "app.db", folder / "copy", real_clock()));
  CHECK(storage::read_file(folder / "app.db-wal", 1 << 20).value() == wal_before);
  CHECK(count_rows(folder / "copy")->at("t") == 11);
  sqlite3_close(db);
  CHECK(ask(folder / "copy", "PRAGMA journal_mode") == "wal");
}

TEST_CASE("copy: beside a database that nobody has open, nothing is left") {
  const Folder folder;
  make_database(folder / "app.db", "WAL", 10);
  REQUIRE(names_in(folder.path()) == std::vector<std::string>{"app.db"});
  REQUIRE(copy_database(folder / "app.db", folder / "copy", real_clock()));
  CHECK(names_in(folder.path()) == std::vector<std::string>{"app.db", "copy"});
}

TEST_CASE("settle: afterwards the file alone is the database") {
  const Folder folder;
  make_database(folder / "app.db", "WAL", 10);
  const pid_t child = ::fork();
  if (child == 0) {  // an application that dies with rows in its WAL
    sqlite3* db = nullptr;
    sqlite3_open((folder / "app.db").c_str(), &db);
    sqlite3_exec(db, "INSERT INTO t VALUES (77, 'x')", nullptr, nullptr, nullptr);
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
  CHECK(names_in(folder.path()).size() == 3);
  CHECK(count_rows(folder / "app.db")->at("t") == 10);
  CHECK(settle(folder / "app.db"));
  CHECK(std::filesystem::file_size(folder / "app.db-wal") == 0);
  CHECK(count_rows(folder / "app.db")->at("t") == 11);

  folder.file("bad.db", std::string(8192, 'x'));
  folder.file("bad.db-wal", "something");
  CHECK(!settle(folder / "bad.db"));
  CHECK(storage::read_file(folder / "bad.db-wal", 100).value() == "something");
}

TEST_CASE("integrity: a damaged page is found") {
  const Folder folder;
  make_database(folder / "app.db", "DELETE", 500);
  CHECK(check_integrity(folder / "app.db"));
  std::fstream file(folder / "app.db", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(40'960 + 8);
  file << std::string(64, '\xff');
  file.close();
  const auto checked = check_integrity(folder / "app.db");
  REQUIRE(!checked);
  CHECK(checked.error().code() == Code::kInvalid);
}

}  // namespace
}  // namespace nines::backup
