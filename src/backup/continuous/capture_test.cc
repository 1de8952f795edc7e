#include "backup/continuous/capture.h"

#include <doctest/doctest.h>

#include <filesystem>

#include "backup/continuous/restore_chain.h"
#include "backup/test_support.h"
#include "base/random.h"

namespace nines::backup::continuous {
namespace {

using testing::Folder;
using testing::real_clock;

// SQL in a process of its own, which ends cleanly or by SIGKILL right behind the last statement: this process must have
// no connection to a database that it captures.
void foreign(const std::string& path, const std::string& statements, bool killed = false) {
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    sqlite3* db = nullptr;
    if (sqlite3_open(path.c_str(), &db) != SQLITE_OK) ::_exit(1);
    sqlite3_busy_timeout(db, 20'000);
    if (sqlite3_exec(db, statements.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) ::_exit(2);
    if (killed) ::raise(SIGKILL);
    sqlite3_close(db);
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  CAPTURE(statements);
  if (killed) {
    REQUIRE(WIFSIGNALED(status));
  } else {
    REQUIRE(WIFEXITED(status));
    REQUIRE(WEXITSTATUS(status) == 0);
  }
}

// A process that has the database open and executes what it is told, so that its log outlives each statement.
class Application {
 public:
  explicit Application(const std::string& path) {
    REQUIRE(::pipe(to_) == 0);
    REQUIRE(::pipe(from_) == 0);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) serve(path);
  }
  Application(const Application&) = delete;
  Application& operator=(const Application&) = delete;
  ~Application() {
    kill();
    for (const int fd : {to_[0], to_[1], from_[0], from_[1]}) ::close(fd);
  }
  void run(const std::string& statements) {
    const std::string line = statements + '\n';
    REQUIRE(::write(to_[1], line.data(), line.size()) == static_cast<ssize_t>(line.size()));
    char answer = 0;
    REQUIRE(::read(from_[0], &answer, 1) == 1);
    CAPTURE(statements);
    REQUIRE(answer == '0');
  }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  [[noreturn]] void serve(const std::string& path) {
    sqlite3* db = nullptr;
    if (sqlite3_open(path.c_str(), &db) != SQLITE_OK) ::_exit(1);
    sqlite3_busy_timeout(db, 20'000);
    std::string line;
    char c = 0;
    while (::read(to_[0], &c, 1) == 1) {
      if (c != '\n') {
        line += c;
        continue;
      }
      const char answer = sqlite3_exec(db, line.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK ? '0' : '1';
      if (::write(from_[1], &answer, 1) != 1) ::_exit(3);
      line.clear();
    }
    ::_exit(0);
  }

  int to_[2] = {}, from_[2] = {};
  pid_t pid_ = 0;
};

// Time that passes by itself as far as comparisons need it: each look is a second after the one before.
struct Bench {
  Folder folder;
  std::string path = folder / "app.db";
  std::shared_ptr<storage::Destination> destination = storage::open_directory(folder / "live");
  std::uint64_t lineages = 0x100;
  Instant now{};
  std::optional<SegmentKey> key;

  CaptureOptions options() {
    Clock clock = real_clock();
    clock.boot = [this] { return now; };
    return {.database = path,
            .state = folder / "state",
            .destination = destination,
            .key = key,
            .clock = clock,
            .new_lineage = [this] { return ++lineages; }};
  }
  Capture open() {
    auto capture = Capture::open(options());
    if (!capture) FAIL(capture.error().text());
    return std::move(*capture);
  }
  StepReport step(Capture& capture) {
    now = now + 1h;
    auto report = capture.step();
    if (!report) FAIL(report.error().text());
    return *report;
  }
  // Until there is nothing to do.
  void settle(Capture& capture) {
    REQUIRE(testing::eventually([&] { return step(capture).what == StepReport::What::kNothing; }));
  }
  bool audited(Capture& capture) {
    return testing::eventually([&] {
      const auto audit = capture.audit();
      if (!audit) FAIL(audit.error().text());
      if (!*audit) step(capture);
      return *audit;
    });
  }
  // All rows of t, of a restore of what was captured by then.
  std::string restored(const std::string& query, WallTime at = WallTime::max()) {
    const std::string to = folder / "restored.db";
    std::filesystem::remove(to);
    const auto done = restore_chain(*destination, {.source = path, .at = at, .key = key, .to = to}, "test");
    if (!done) FAIL(done.error().text());
    return testing::ask(to, query);
  }
  std::vector<SegmentName> segments() {
    auto names = list_segments(*destination);
    REQUIRE(names);
    return *names;
  }
};

constexpr const char* kMake = "PRAGMA journal_mode=WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, x)";
constexpr const char* kCount = "SELECT count(*) || ' ' || ifnull(sum(length(x)), 0) FROM t";
using What = StepReport::What;

TEST_CASE("a commit is one segment, an idle database is none, and each commit can be restored") {
  for (const bool encrypted : {false, true}) {
    Bench bench;
    if (encrypted) bench.key = *SegmentKey::make(std::string(32, 'k'));
    Application app(bench.path);
    app.run(kMake);
    Capture capture = bench.open();
    CHECK(bench.step(capture).what == What::kSnapshot);
    CHECK(bench.step(capture).what == What::kNothing);
    std::vector<WallTime> times;
    for (int i = 1; i <= 5; ++i) {
      app.run("INSERT INTO t VALUES (" + std::to_string(i) + ", randomblob(10000))");
      const StepReport report = bench.step(capture);
      CHECK(report.what == What::kShipped);
      CHECK(report.commits == 1);
      CHECK(bench.step(capture).what == What::kNothing);
      times.push_back(capture.chain().head().captured);
      const Instant began = testing::boot();
      testing::eventually([&] { return testing::boot() - began > 3ms; });  // the names count in milliseconds
    }
    CHECK(bench.audited(capture));
    CHECK(bench.segments().size() == 6);
    for (int i = 1; i <= 5; ++i)
      CHECK(bench.restored(kCount, times[static_cast<std::size_t>(i - 1)]) ==
            std::to_string(i) + " " + std::to_string(10000 * i));
    if (encrypted) {
      bench.key = *SegmentKey::make(std::string(32, 'x'));
      const auto refused = restore_chain(*bench.destination,
                                         {.source = bench.path, .key = bench.key, .to = bench.folder / "r.db"}, "test");
      CHECK(refused.error().code() == Code::kRefused);
    }
  }
}

TEST_CASE("what happens to a log: resets with and without commits unseen, truncation, its removal") {
  Bench bench;
  auto app = std::make_unique<Application>(bench.path);
  app->run(kMake);
  Capture capture = bench.open();
  bench.settle(capture);
  app->run("INSERT INTO t VALUES (1, randomblob(30000))");
  CHECK(bench.step(capture).what == What::kShipped);

  app->run("PRAGMA wal_checkpoint(RESTART)");
  CHECK(bench.step(capture).what == What::kNothing);
  app->run("INSERT INTO t VALUES (2, 'x')");
  CHECK(bench.step(capture).what == What::kShipped);  // nothing was missing in between

  app->run("INSERT INTO t VALUES (3, randomblob(30000))");
  app->run("PRAGMA wal_checkpoint(RESTART); INSERT INTO t VALUES (4, 'x')");
  CHECK(bench.step(capture).what == What::kCompared);
  CHECK(bench.audited(capture));

  app->run("INSERT INTO t VALUES (5, 'x'); PRAGMA wal_checkpoint(TRUNCATE)");
  CHECK(bench.step(capture).what == What::kCompared);
  CHECK(bench.audited(capture));
  bench.settle(capture);
  app->run("INSERT INTO t VALUES (6, 'x')");
  CHECK(bench.step(capture).what == What::kShipped);

  app->run("INSERT INTO t VALUES (7, 'x')");
  app.reset();  // killed; whoever opens it next and is alone removes the log when it closes
  foreign(bench.path, "INSERT INTO t VALUES (8, 'x')");
  CHECK(bench.step(capture).what == What::kCompared);
  bench.settle(capture);
  foreign(bench.path, "INSERT INTO t VALUES (9, 'x')");
  CHECK(bench.step(capture).what == What::kCompared);
  CHECK(bench.audited(capture));
  CHECK(bench.restored("SELECT group_concat(id) FROM t") == "1,2,3,4,5,6,7,8,9");
}

TEST_CASE("with a rollback journal, and between the modes") {
  Bench bench;
  foreign(bench.path, "CREATE TABLE t (id INTEGER PRIMARY KEY, x)");
  Capture capture = bench.open();
  bench.settle(capture);
  for (const char* const mode : {"DELETE", "TRUNCATE", "PERSIST", "WAL", "DELETE", "WAL"}) {
    CAPTURE(mode);
    foreign(bench.path, std::string("PRAGMA journal_mode=") + mode + "; INSERT INTO t (x) VALUES (randomblob(5000))");
    CHECK(bench.step(capture).what == What::kCompared);
    bench.settle(capture);
    CHECK(bench.audited(capture));
    CHECK(bench.restored(kCount) == testing::ask(bench.path, kCount));
  }
}

TEST_CASE("VACUUM, a changed schema, a database that shrinks and grows, and a page size that changes") {
  Bench bench;
  foreign(bench.path, std::string(kMake) + "; PRAGMA auto_vacuum=NONE");
  Capture capture = bench.open();
  bench.settle(capture);
  for (const char* const statements :
       {"INSERT INTO t SELECT NULL, randomblob(9000) FROM (VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9))",
        "ALTER TABLE t ADD COLUMN y; CREATE INDEX i ON t (y); UPDATE t SET y = id", "DELETE FROM t WHERE id % 2 = 0",
        "VACUUM", "INSERT INTO t (x) VALUES (randomblob(90000))", "DELETE FROM t; VACUUM",
        "PRAGMA journal_mode=DELETE; PRAGMA page_size=1024; VACUUM", "INSERT INTO t (x) VALUES (randomblob(90000))"}) {
    CAPTURE(statements);
    foreign(bench.path, statements);
    bench.settle(capture);
    CHECK(bench.audited(capture));
    CHECK(bench.restored(kCount) == testing::ask(bench.path, kCount));
  }
  CHECK(capture.chain().head().epoch == 2);
}

TEST_CASE("after a kill -9 it goes on without a snapshot; without its state, or with a broken one, with a new one") {
  Bench bench;
  Application app(bench.path);
  app.run(kMake);
  for (int i = 1; i <= 4; ++i) {
    Capture capture = bench.open();
    const What first = bench.step(capture).what;
    // Comparing is for whoever did not see the log's last frame.
    CHECK(first == (i == 1 ? What::kSnapshot : What::kShipped));
    app.run("INSERT INTO t VALUES (NULL, randomblob(5000))");
    CHECK(bench.step(capture).what == What::kShipped);
    app.run("INSERT INTO t VALUES (NULL, randomblob(5000))");
  }  // never saved but at the snapshot: as a kill leaves it
  std::vector<SegmentName> segments = bench.segments();
  CHECK(segments.size() == 8);
  CHECK(segments.back().epoch == 1);

  SUBCASE("no state") { std::filesystem::remove(bench.folder / "state/ledger"); }
  SUBCASE("a broken state") { std::filesystem::resize_file(bench.folder / "state/ledger", 300); }
  SUBCASE("a segment is gone") {
    REQUIRE(bench.destination->remove(object_name(segments[4])));
    CHECK(restore_chain(*bench.destination, {.source = bench.path, .to = bench.folder / "r.db"}, "x").error().code() ==
          Code::kInvalid);
  }
  Capture capture = bench.open();
  CHECK(bench.step(capture).what == What::kSnapshot);
  bench.settle(capture);
  CHECK(bench.audited(capture));
  CHECK(bench.restored(kCount) == "8 40000");
}

TEST_CASE("a commit that was captured and is lost in a crash is recorded as a fork") {
  Bench bench;
  auto app = std::make_unique<Application>(bench.path);
  app->run(kMake);
  Capture capture = bench.open();
  bench.settle(capture);
  app->run("INSERT INTO t VALUES (1, 'kept')");
  bench.step(capture);
  const auto size = std::filesystem::file_size(bench.path + "-wal");
  app->run("INSERT INTO t VALUES (2, 'lost')");
  CHECK(bench.step(capture).what == What::kShipped);
  const WallTime before = capture.chain().head().captured;
  // What a loss of power does to a log that was not synced.
  app.reset();
  std::filesystem::resize_file(bench.path + "-wal", size);
  Application next(bench.path);
  next.run("INSERT INTO t VALUES (3, 'after')");
  const Instant began = testing::boot();
  testing::eventually([&] { return testing::boot() - began > 3ms; });
  const StepReport report = bench.step(capture);
  CHECK(report.what == What::kCompared);
  CHECK(report.forked);
  CHECK(capture.chain().head().fork);
  CHECK(bench.restored("SELECT group_concat(id) FROM t") == "1,3");
  CHECK(bench.restored("SELECT group_concat(id) FROM t", before) == "1,2");
}

TEST_CASE("an audit finds a page that changed behind SQLite's back, and a new lineage begins") {
  Bench bench;
  Application app(bench.path);
  app.run(std::string(kMake) + "; INSERT INTO t VALUES (1, randomblob(30000)); PRAGMA wal_checkpoint(PASSIVE)");
  Capture capture = bench.open();
  bench.settle(capture);
  CHECK(bench.audited(capture));
  app.run("INSERT INTO t VALUES (2, 'x')");
  bench.step(capture);
  app.run("INSERT INTO t VALUES (3, 'not shipped yet')");
  CHECK(*capture.audit());
  const std::uint64_t lineage = capture.chain().head().lineage;
  app.run("PRAGMA wal_checkpoint(RESTART)");
  bench.settle(capture);
  {
    std::fstream file(bench.path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(4096 * 4 + 100);
    file << "noise";
  }
  std::optional<Error> found;
  REQUIRE(testing::eventually([&] {
    const auto audit = capture.audit();
    if (!audit) found = audit.error();
    if (audit && !*audit) app.run("INSERT INTO t VALUES (NULL, 'x')"), bench.step(capture);
    return found.has_value();
  }));
  CHECK(found->code() == Code::kInvalid);
  CHECK(bench.step(capture).what == What::kSnapshot);
  CHECK(capture.chain().head().lineage != lineage);
}

TEST_CASE("a restore: refused while the file is open, removes a stale log, keeps the old file, leaves nothing behind") {
  Bench bench;
  auto app = std::make_unique<Application>(bench.path);
  app->run(kMake);
  Capture capture = bench.open();
  app->run("INSERT INTO t VALUES (1, 'x')");
  bench.settle(capture);
  const RestoreRequest request{.source = bench.path, .to = bench.path};
  CHECK(restore_chain(*bench.destination, request, "s").error().code() == Code::kRefused);
  CHECK_FALSE(std::filesystem::exists(bench.path + ".restoring"));
  app->run("INSERT INTO t VALUES (2, 'y')");
  app.reset();
  REQUIRE(std::filesystem::file_size(bench.path + "-wal") > 0);
  const auto done = restore_chain(*bench.destination, request, "s");
  if (!done) FAIL(done.error().text());
  CHECK_FALSE(std::filesystem::exists(bench.path + "-wal"));
  CHECK(testing::ask(bench.path, "SELECT group_concat(id) FROM t") == "1");
  CHECK(testing::ask(done->swapped.kept, "SELECT group_concat(id) FROM t") == "1,2");
  CHECK(restore_chain(*bench.destination, {.source = "/another.db", .to = bench.path}, "s").error().code() ==
        Code::kNotFound);
  const RestoreRequest early{.source = bench.path, .at = WallTime(1s), .to = bench.path};
  CHECK(restore_chain(*bench.destination, early, "s").error().code() == Code::kNotFound);
}

}  // namespace
}  // namespace nines::backup::continuous
