// A disk that is full, a lock, a mode, a file that goes away: an error each time, nothing half-written, and then it
// goes on.
#include <grp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "ledger/schema.h"
#include "ledger/sqlite.h"
#include "ledger/test_support.h"

// SQLite's way to the disk, counted.
static int disk_waits = 0;
extern "C" int fdatasync(int fd) {
  ++disk_waits;
  return static_cast<int>(::syscall(SYS_fdatasync, fd));
}

namespace nines::ledger {
namespace {

using namespace testing;
using nines::testing::Folder;

Appended append(Ledger& ledger, const std::vector<Event>& some) { return must(ledger.append(some)); }

TEST_CASE("ledger: held by another program: an error, then it goes on") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  Ledger ledger = must(Ledger::open(path));
  append(ledger, events(1, 3));
  auto other = must(Database::open(path, Database::Access::kWrite));
  REQUIRE(other.run("BEGIN IMMEDIATE"));
  const auto refused = ledger.append(events(4, 6));
  CHECK(code_of(refused) == Code::kUnavailable);
  CHECK(refused.error().text().find("ledger.db") != std::string::npos);
  CHECK(must(ledger.position(kTable)) == 3);  // reading goes on
  REQUIRE(other.run("COMMIT"));
  CHECK(append(ledger, events(4, 6)).recorded == 3);
  CHECK(must(ledger.size()).rows == 6);
}

TEST_CASE("ledger: no room: an error, nothing half-written, then it goes on") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  Ledger ledger = must(Ledger::open(path));
  append(ledger, events(1, 3));
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{64 * 1024, before.rlim_max};
  std::uint64_t number = 3;
  std::optional<Error> error;
  ::setrlimit(RLIMIT_FSIZE, &small);
  for (int i = 0; i < 100 && !error; ++i) {
    auto appended = ledger.append(events(number + 1, number + 20));
    if (appended) number += 20;
    if (!appended) error = appended.error();
  }
  const auto again = ledger.append(events(number + 1, number + 20));
  const auto position = ledger.position(kTable);
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, handler);
  REQUIRE(error);
  CHECK(error->code() == Code::kIo);
  CHECK(code_of(again) == Code::kIo);
  CHECK(must(position) == number);
  CHECK(append(ledger, events(number + 1, number + 20)).recorded == 20);
  CHECK(must(ledger.size()).rows == number + 20);
  CHECK(broken(must(ledger.verify())) == "whole");
}

Sampled until(std::int64_t second) {
  return {.table_id = kTable, .counters = std::string(1000, 'c'), .until = second, .boot_id = "boot"};
}

std::vector<Slice> slices(std::int64_t first, std::int64_t count) {
  std::vector<Slice> all;
  for (std::int64_t i = first; i < first + count; ++i) {
    all.push_back({.start = i * 10, .good = 1, .up = 10, .latency = {}});
    for (std::uint16_t bucket = 0; bucket < 50; ++bucket) all.back().latency[bucket] = 1000;
  }
  return all;
}

TEST_CASE("slices: held by another program: an error, then it goes on") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  Ledger ledger = must(Ledger::open(path));
  REQUIRE(ledger.add(slices(0, 10), until(100)));
  auto other = must(Database::open(path, Database::Access::kWrite));
  REQUIRE(other.run("BEGIN IMMEDIATE"));
  CHECK(code_of(ledger.add(slices(10, 10), until(200))) == Code::kUnavailable);
  CHECK(must(ledger.sampled(kTable))->until == 100);  // reading goes on
  const Reader reader = must(Reader::open(path));
  CHECK(must(reader.total(0, 1000)).sum.good == 10);
  REQUIRE(other.run("COMMIT"));
  REQUIRE(ledger.add(slices(10, 10), until(200)));
  CHECK(must(reader.total(0, 1000)).sum.good == 20);
}

TEST_CASE("slices: no room: an error, nothing half-written, then it goes on") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  Ledger ledger = must(Ledger::open(path));
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{256 * 1024, before.rlim_max};
  std::int64_t done = 0;
  std::optional<Error> error;
  ::setrlimit(RLIMIT_FSIZE, &small);
  for (int i = 0; i < 100 && !error; ++i) {
    auto added = ledger.add(slices(done, 100), until((done + 100) * 10));
    if (added) done += 100;
    if (!added) error = added.error();
  }
  const auto filled = ledger.fill({.from = done * 10, .to = done * 10 + 86'400}, until(0), moment(1));
  const auto sampled = ledger.sampled(kTable);
  ::setrlimit(RLIMIT_FSIZE, &before);
  ::signal(SIGXFSZ, handler);
  REQUIRE(error);
  CHECK(error->code() == Code::kIo);
  CHECK(code_of(filled) == Code::kIo);
  CHECK(must(sampled).value_or(Sampled{}).until == done * 10);
  const Reader reader = must(Reader::open(path));
  const auto sum = [&] { return must(reader.total(0, 1'000'000)).sum.good; };
  CHECK(sum() == static_cast<std::uint64_t>(done));
  REQUIRE(ledger.add(slices(done, 100), until(1)));
  CHECK(sum() == static_cast<std::uint64_t>(done) + 100);
  CHECK(must(reader.check_slices()).value_or(SliceBreak{}).why == "");
  CHECK(broken(must(ledger.verify())) == "whole");
}

// Runs `body` as a user whom permissions stop; true if it returned true.
template <class Body>
bool as_nobody(Body body) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (::getuid() == 0 && (::setgroups(0, nullptr) != 0 || ::setgid(65534) != 0 || ::setuid(65534) != 0)) ::_exit(3);
    ::_exit(body() ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST_CASE("ledger: read-only: the keeper is told, readers go on") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  {
    append(*std::make_unique<Ledger>(must(Ledger::open(path))), events(1, 3));
  }
  ::chmod(path.c_str(), 0444);
  ::chmod(folder.path().c_str(), 0555);
  CHECK(as_nobody([&] {
    const auto ledger = Ledger::open(path);
    const auto aside = Ledger::open_or_set_aside(path, moment(1));
    return !ledger && ledger.error().code() == Code::kIo && !aside && aside.error().code() == Code::kIo;
  }));
  CHECK(as_nobody([&] {
    const auto reader = Reader::open(path);
    if (!reader) return false;
    const auto rows = reader->rows({});
    return rows && rows->size() == 3 && reader->verify();
  }));
  CHECK(as_nobody([&] {
    const auto ledger = Ledger::open(folder / "new.db");
    return !ledger && ledger.error().code() == Code::kIo;
  }));
  ::chmod(folder.path().c_str(), 0755);
}

TEST_CASE("ledger: a file that is moved or deleted under the keeper is noticed") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  {
    Ledger ledger = must(Ledger::open(path));
    append(ledger, events(1, 3));
    std::filesystem::remove(path);
    CHECK(code_of(ledger.append(events(4, 6))) == Code::kInvalid);
    CHECK(code_of(ledger.lost({.table_id = kTable, .first_number = 4, .count = 1})) == Code::kInvalid);
  }
  Ledger ledger = must(Ledger::open_or_set_aside(path, moment(1)));
  CHECK(append(ledger, events(1, 6)).recorded == 6);
}

TEST_CASE("ledger: durable means synchronous, in a write-ahead log") {
  const Folder folder;
  Ledger ledger = must(Ledger::open(folder / "ledger.db"));
  for (std::uint64_t number = 1; number <= 3; ++number) {
    const int before = disk_waits;
    append(ledger, events(number, number));
    CHECK(disk_waits > before);
  }
  int before = disk_waits;
  REQUIRE(ledger.add(slices(0, 1), until(10)));
  CHECK(disk_waits > before);
  before = disk_waits;
  REQUIRE(ledger.fill({.from = 10, .to = 3600}, until(10), moment(1)));
  CHECK(disk_waits > before);
  before = disk_waits;
  append(ledger, events(1, 3));
  CHECK(disk_waits == before);  // nothing new: nothing to wait for
  CHECK(std::filesystem::file_size(folder / "ledger.db-wal") > 4096);
  auto db = must(Database::open(folder / "ledger.db", Database::Access::kRead));
  CHECK(must(db.text("PRAGMA journal_mode")) == "wal");
  CHECK(must(db.integer("PRAGMA application_id")) == kApplicationId);
  CHECK(must(db.integer("PRAGMA user_version")) == static_cast<std::int64_t>(schema_steps().size()));
}

}  // namespace
}  // namespace nines::ledger
