// For the tests of this module: a service's folder with a database, somebody who writes to it, and plans.
#pragma once

#include <doctest/doctest.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <new>
#include <string>

#include "backup/backup.h"
#include "backup/sqlite_file.h"
#include "base/test_support.h"
#include "storage/directory.h"
#include "storage/files.h"

namespace nines::backup::testing {

using nines::testing::eventually;
using nines::testing::Folder;

inline Instant boot() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return {std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec)};
}

inline Clock real_clock() {
  return {.wall = [] { return WallTime(std::chrono::system_clock::now()); },
          .boot = boot,
          .pause =
              [](Duration d) {
                const timespec time{.tv_sec = 0, .tv_nsec = std::min<Duration>(d, 900ms).count()};
                ::nanosleep(&time, nullptr);
              }};
}

// Runs SQL on a connection of its own; waits for locks.
inline void sql(const std::string& path, const std::string& statements) {
  sqlite3* db = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
  sqlite3_busy_timeout(db, 20'000);
  char* message = nullptr;
  const int code = sqlite3_exec(db, statements.c_str(), nullptr, nullptr, &message);
  const std::string said = message != nullptr ? message : "";
  sqlite3_free(message);
  sqlite3_close(db);
  CAPTURE(statements);
  CAPTURE(said);
  REQUIRE(code == SQLITE_OK);
}

inline std::string ask(const std::string& path, const std::string& query) {
  auto db = Sqlite::open(path, Sqlite::Mode::kLive);
  REQUIRE(db);
  const auto answer = db->text(query);
  if (!answer) FAIL(answer.error().text());
  return *answer;
}

// Rows of 1,000 bytes with ids from 1.
inline void make_database(const std::string& path, const std::string& journal_mode, int rows) {
  std::error_code ignored;
  std::filesystem::create_directories(storage::folder_of(path), ignored);
  sql(path, "PRAGMA journal_mode=" + journal_mode +
                "; PRAGMA synchronous=OFF; CREATE TABLE t (id INTEGER PRIMARY KEY, x BLOB);" +
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " + std::to_string(rows) +
                ") INSERT INTO t SELECT i, randomblob(1000) FROM n WHERE " + std::to_string(rows) + " > 0");
}

// A process that inserts one row after another, ids from 1,000,000, and says which one SQLite has acknowledged.
class Writer {
 public:
  explicit Writer(const std::string& path, Duration pause = 100us) {
    shared_ = static_cast<std::atomic<long>*>(
        ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    REQUIRE(shared_ != MAP_FAILED);
    new (shared_) std::atomic<long>[ 2 ]{};
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) write(path, pause);
    REQUIRE(eventually([&] { return acknowledged() > 0; }));
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer() {
    stop();
    ::munmap(shared_, 4096);
  }
  // Ids up to 1,000,000 + this are in the database.
  long acknowledged() const { return shared_[0].load(); }
  // The longest it waited for one row.
  Duration slowest() const { return Duration(shared_[1].load()); }
  void stop() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  [[noreturn]] void write(const std::string& path, Duration pause) {
    sqlite3* db = nullptr;
    if (sqlite3_open(path.c_str(), &db) != SQLITE_OK) ::_exit(1);
    sqlite3_busy_timeout(db, 20'000);
    sqlite3_exec(db, "PRAGMA synchronous=OFF", nullptr, nullptr, nullptr);
    for (long n = 1;; ++n) {
      const std::string insert = "INSERT INTO t VALUES (" + std::to_string(1'000'000 + n) + ", randomblob(100))";
      const Instant began = boot();
      if (sqlite3_exec(db, insert.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) ::_exit(2);
      shared_[1].store(std::max(shared_[1].load(), static_cast<long>((boot() - began).count())));
      shared_[0].store(n);
      if (pause > 0ms) real_clock().pause(pause);
    }
  }

  std::atomic<long>* shared_ = nullptr;
  pid_t pid_ = 0;
};

// A service's folder: app.db, model.bin, nines.yaml, and backups/ to be made.
struct Service {
  Folder folder;
  std::shared_ptr<storage::Destination> destination = storage::open_directory(folder / "backups");

  std::string database() const { return folder / "data/app.db"; }
  std::string state() const { return folder / ".nines"; }
  Plan plan() const {
    return {.service = "test",
            .nines = "0.0.0",
            .host = "here",
            .databases = {{"data/app.db", database()}},
            .files = {{"model.bin", folder / "model.bin"}},
            .configuration = Source{"nines.yaml", folder / "nines.yaml"},
            .state = state(),
            .destination = destination,
            .keep = std::nullopt,
            .clock = real_clock(),
            .offset = [](WallTime) { return 0s; }};
  }
  explicit Service(const std::string& journal_mode = "WAL", int rows = 100) {
    make_database(database(), journal_mode, rows);
    folder.file("model.bin", "a model");
    folder.file("nines.yaml", "service: test\n");
  }
};

inline Report must_take(const Plan& plan) {
  auto report = take(plan);
  if (!report) FAIL(report.error().text());
  return std::move(*report);
}

// Unpacks data/app.db of an archive with plain tar.
inline std::string unpacked(const std::string& archive, const Folder& into) {
  const std::string command = "tar --zstd -xf '" + archive + "' -C '" + into.path() + "'";
  REQUIRE(std::system(command.c_str()) == 0);
  return into / "data/app.db";
}

inline std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) names.push_back(entry.path().filename());
  std::ranges::sort(names);
  return names;
}

}  // namespace nines::backup::testing
