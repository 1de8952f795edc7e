#include "backup/restore.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "backup/holders.h"
#include "backup/test_support.h"
#include "base/random.h"

namespace nines::backup {
namespace {

using namespace testing;

Wanted wanted(const Service& service) { return {.databases = {{"data/app.db", service.database()}}, .files = {}}; }

Result<std::vector<Swapped>> restore(const Service& service, const Report& report, const std::string& stamp,
                                     const Wanted& what) {
  auto staging = stage(*service.destination, report.archive, report.sha256, what);
  if (!staging) return failure(staging.error());
  return swap(staging->items, stamp);
}

std::string rows(const std::string& database) { return ask(database, "SELECT count(*) FROM t"); }

// An application that dies: its WAL stays.
void add_row_and_die(const std::string& path, int id) {
  const pid_t child = ::fork();
  if (child == 0) {
    sqlite3* db = nullptr;
    sqlite3_open(path.c_str(), &db);
    const std::string insert = "INSERT INTO t VALUES (" + std::to_string(id) + ", 'x')";
    ::_exit(sqlite3_exec(db, insert.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK ? 0 : 1);
  }
  int status = 1;
  ::waitpid(child, &status, 0);
  REQUIRE(status == 0);
}

TEST_CASE("restore: the new one is in place without a stale WAL, the old one is kept whole") {
  for (const std::string mode : {"WAL", "DELETE"}) {
    CAPTURE(mode);
    const Service service(mode);
    const Report report = must_take(service.plan());
    ::chmod(service.database().c_str(), 0640);
    add_row_and_die(service.database(), 7777);
    if (mode == "WAL") REQUIRE(std::filesystem::exists(service.database() + "-wal"));
    const auto swapped = restore(service, report, "S", wanted(service));
    REQUIRE(swapped);
    REQUIRE(swapped->size() == 1);
    CHECK(swapped->front().kept == service.database() + ".before-restore-S");
    CHECK(swapped->front().kept_alone);
    CHECK(names_in(service.folder / "data") == std::vector<std::string>{"app.db", "app.db.before-restore-S"});
    struct stat status{};
    ::stat(service.database().c_str(), &status);
    CHECK((status.st_mode & 0777) == 0640);
    CHECK(rows(service.database()) == "100");
    CHECK(rows(swapped->front().kept) == "101");
    CHECK(ask(service.database(), "PRAGMA integrity_check") == "ok");
    CHECK(ask(service.database(), "PRAGMA journal_mode") == (mode == "WAL" ? "wal" : "delete"));
  }
}

TEST_CASE("restore: a database that is gone, and one whose WAL is left alone") {
  const Service service;
  const Report report = must_take(service.plan());
  std::filesystem::remove(service.database());
  service.folder.file("data/app.db-wal", "stale");
  service.folder.file("data/app.db-shm", "stale");
  const auto swapped = restore(service, report, "S", wanted(service));
  REQUIRE(swapped);
  CHECK(swapped->front().kept.empty());
  CHECK(names_in(service.folder / "data") == std::vector<std::string>{"app.db", "app.db.before-restore-S-wal"});
  CHECK(rows(service.database()) == "100");

  std::filesystem::remove_all(service.folder / "data");
  REQUIRE(restore(service, report, "S", wanted(service)));
  CHECK(rows(service.database()) == "100");
}

TEST_CASE("restore: a database SQLite cannot read is kept with what lay beside it") {
  for (const std::string& content : {std::string(8192, 'x'), std::string("stub")}) {
    CAPTURE(content.size());
    const Service service;
    const Report report = must_take(service.plan());
    service.folder.file("data/app.db", content);
    service.folder.file("data/app.db-wal", "its wal");
    const auto swapped = restore(service, report, "S", wanted(service));
    REQUIRE(swapped);
    CHECK(!swapped->front().kept_alone);
    CHECK(storage::read_file(service.database() + ".before-restore-S", 10'000).value() == content);
    CHECK(storage::read_file(service.database() + ".before-restore-S-wal", 100).value() == "its wal");
    CHECK(names_in(service.folder / "data").size() == 3);
    CHECK(rows(service.database()) == "100");
  }
}

TEST_CASE("restore: while somebody has it open, nothing is touched, and that process is named") {
  const Service service;
  const Report report = must_take(service.plan());
  const Writer writer(service.database(), 5ms);
  auto staging = stage(*service.destination, report.archive, report.sha256, wanted(service));
  REQUIRE(staging);
  struct stat before{}, after{};
  ::stat(service.database().c_str(), &before);
  const auto swapped = swap(staging->items, "S");
  REQUIRE(!swapped);
  CHECK(swapped.error().code() == Code::kRefused);
  CHECK(swapped.error().text().contains("is open in process "));
  ::stat(service.database().c_str(), &after);
  CHECK(before.st_ino == after.st_ino);
  discard(*staging);
  CHECK(!std::filesystem::exists(service.database() + ".restoring"));
  CHECK(!std::filesystem::exists(service.database() + ".before-restore-S"));
}

TEST_CASE("restore: an archive that is not what was verified is refused before anything is staged for good") {
  const Service service;
  const Report report = must_take(service.plan());
  CHECK(stage(*service.destination, report.archive, std::string(64, '0'), wanted(service)).error().code() ==
        Code::kInvalid);
  std::filesystem::resize_file(report.where, report.bytes - 1);
  CHECK(stage(*service.destination, report.archive, report.sha256, wanted(service)).error().code() == Code::kInvalid);
  CHECK(names_in(service.folder / "data") == std::vector<std::string>{"app.db"});
}

TEST_CASE("restore: only what the configuration names is written, whatever the archive says") {
  const Service service;
  auto upload = service.destination->put("backup-20300101-000000.tar.zst");
  REQUIRE(upload);
  ArchiveWriter writer(**upload, {.service = "test", .created = WallTime(1s)});
  const std::string file = service.folder.file("evil", "evil");
  int n = 0;
  for (const std::string source :
       {"../../evil", "/etc/evil", "models/../../evil", "models//etc/evil", "modelsx/a", "models/ok/a", "models"}) {
    REQUIRE(writer.add({.path = "files/" + std::to_string(++n), .kind = Kind::kFile, .source = source}, file));
  }
  REQUIRE(writer.add({.path = "data/x.db", .kind = Kind::kSqlite, .source = "../x.db"}, file));
  const auto finished = writer.finish();
  REQUIRE(finished);
  REQUIRE((*upload)->commit());
  Wanted what = wanted(service);
  what.files = {{"models", service.folder / "models"}};
  const auto staging = stage(*service.destination, "backup-20300101-000000.tar.zst", finished->sha256, what);
  std::vector<std::string> paths;
  if (staging) {
    for (const Staged& item : staging->items) paths.push_back(item.path);
    CHECK(staging->not_wanted == std::vector<std::string>{"../x.db"});
    CHECK(staging->not_in_archive == std::vector<std::string>{"data/app.db"});
    discard(*staging);
  }
  for (const std::string& path : paths) {
    CAPTURE(path);
    CHECK((path == service.folder / "models" || path == service.folder / "models/ok/a" ||
           path == service.folder / "models/etc/evil"));
  }
}

TEST_CASE("restore: model files only where they are missing or different") {
  const Service service;
  const Report report = must_take(service.plan());
  Wanted what = wanted(service);
  what.files = {{"model.bin", service.folder / "model.bin"}};
  auto staging = stage(*service.destination, report.archive, report.sha256, what);
  REQUIRE(staging);
  CHECK(staging->unchanged == std::vector<std::string>{"model.bin"});
  CHECK(staging->items.size() == 1);
  discard(*staging);
  service.folder.file("model.bin", "damaged");
  REQUIRE(restore(service, report, "S", what));
  CHECK(storage::read_file(service.folder / "model.bin", 100).value() == "a model");
  CHECK(storage::read_file(service.folder / "model.bin.before-restore-S", 100).value() == "damaged");
}

TEST_CASE("restore: repeated with the same names it keeps the first old file, and the second beside it") {
  const Service service;
  const Report report = must_take(service.plan());
  sql(service.database(), "DELETE FROM t WHERE id > 50");
  REQUIRE(restore(service, report, "S", wanted(service)));
  sql(service.database(), "DELETE FROM t WHERE id > 20");
  const auto second = restore(service, report, "S", wanted(service));
  REQUIRE(second);
  CHECK(second->front().kept == service.database() + ".before-restore-S-2");
  CHECK(rows(service.database() + ".before-restore-S") == "50");
  CHECK(rows(service.database() + ".before-restore-S-2") == "20");
}

TEST_CASE("restore: killed at any moment, the old or the new database is in place, and a repeated run succeeds") {
  const Service service("WAL", 1'000);
  const Report report = must_take(service.plan());
  sql(service.database(), "DELETE FROM t WHERE id > 600");
  auto first = stage(*service.destination, report.archive, report.sha256, wanted(service));
  REQUIRE(first);
  const Instant began = boot();
  REQUIRE(swap(first->items, "first"));
  const Duration took = boot() - began;
  Random random(11);
  int old_ones = 0, new_ones = 0;
  for (int i = 0; i < 60; ++i) {
    CAPTURE(i);
    sql(service.database(), "DELETE FROM t WHERE id > 600");
    add_row_and_die(service.database(), 700);  // 601 rows, one of them in the WAL only
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const Fd staged(ends[0]), say(ends[1]);
    const pid_t child = ::fork();
    if (child == 0) {
      const auto staging = stage(*service.destination, report.archive, report.sha256, wanted(service));
      if (!staging || ::write(say.get(), "x", 1) != 1) ::_exit(1);
      (void)swap(staging->items, "S" + std::to_string(i));
      ::_exit(0);
    }
    // Every fourth while it stages, the others while it swaps.
    char byte = 0;
    if (i % 4 != 0) REQUIRE(::read(staged.get(), &byte, 1) == 1);
    real_clock().pause(Duration(static_cast<std::int64_t>(static_cast<double>(took.count()) * random.unit() * 1.5)));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const std::string now = rows(service.database());
    CHECK((now == "601" || now == "1000"));
    ++(now == "601" ? old_ones : new_ones);
    CHECK(ask(service.database(), "PRAGMA integrity_check") == "ok");
    REQUIRE(restore(service, report, "S" + std::to_string(i), wanted(service)));
    CHECK(rows(service.database()) == "1000");
    const std::string kept = service.database() + ".before-restore-S" + std::to_string(i);
    CHECK(rows(kept) == "601");
    CHECK(ask(kept, "PRAGMA integrity_check") == "ok");
  }
  MESSAGE("killed before the swap: ", old_ones, ", after: ", new_ones);
}

TEST_CASE("restore: what is unfinished is remembered") {
  const Folder folder;
  CHECK(!load_unfinished(folder.path()));
  const Unfinished unfinished{.archive = "/b/a", .stamp = "S", .stopped = {"a-1", "a-2"}};
  REQUIRE(save_unfinished(folder.path(), unfinished));
  CHECK((*load_unfinished(folder.path()) == unfinished));
  folder.file("restore.json", "{");
  CHECK(!load_unfinished(folder.path()));
  clear_unfinished(folder.path());
  CHECK(names_in(folder.path()).empty());
}

TEST_CASE("holders: processes with the database or its WAL open") {
  const Service service;
  const std::string paths[] = {service.database()};
  CHECK(holders_of(paths).empty());
  {
    const Fd mine(::open(service.database().c_str(), O_RDONLY | O_CLOEXEC));
    CHECK(holders_of(paths).empty());  // ourselves
    const Writer writer(service.database(), 5ms);
    const auto holders = holders_of(paths);
    REQUIRE(holders.size() == 1);
    CHECK(holders[0].command == "backup_test");
    CHECK(holders[0].session == ::getsid(0));
    CHECK(holders[0].path.starts_with(service.database()));
  }
  CHECK(holders_of(paths).empty());
}

}  // namespace
}  // namespace nines::backup
