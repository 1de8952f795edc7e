// The whole of it against processes that nobody asked: writers with small and large transactions, VACUUM, changes of
// the schema and checkpoints of their own, killed at random, and the capture process killed at random.
#include <doctest/doctest.h>

#include <filesystem>

#include "backup/continuous/capture.h"
#include "backup/continuous/restore_chain.h"
#include "backup/test_support.h"
#include "base/random.h"

namespace nines::backup::continuous {
namespace {

using testing::Folder;
using testing::real_clock;

// What a transaction leaves, whatever it did: the table `total` says exactly what is in `t`. So the content of any
// commit can be judged alone.
constexpr const char* kMake =
    "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, x BLOB, writer INT);"
    "CREATE TABLE IF NOT EXISTS total (writer INT PRIMARY KEY, n INT, rows INT, bytes INT, marks INT);";
constexpr const char* kBalance =
    "UPDATE total SET n = n + 1, rows = (SELECT count(*) FROM t), bytes = (SELECT ifnull(sum(length(x)), 0) FROM t),"
    " marks = (SELECT ifnull(sum(id * (1 + unicode(hex(substr(x, 1, 1))))), 0) FROM t) WHERE writer = ";
constexpr const char* kJudge =
    "SELECT count(*) FROM total WHERE n = (SELECT max(n) FROM total) AND NOT (rows = (SELECT count(*) FROM t) AND "
    "bytes = (SELECT ifnull(sum(length(x)), 0) FROM t) AND marks = (SELECT "
    "ifnull(sum(id * (1 + unicode(hex(substr(x, 1, 1))))), 0) FROM t))";

struct Shared {
  std::atomic<long> committed{0};  // by all writers; acknowledged by SQLite
  std::atomic<long> steps{0};      // of the capture process
};

class Process {
 public:
  Process() = default;
  explicit Process(const std::function<void()>& body) : pid_(::fork()) {
    REQUIRE(pid_ >= 0);
    if (pid_ != 0) return;
    body();
    ::_exit(1);  // a body goes on until it is killed
  }
  Process(const Process&) = delete;
  Process& operator=(Process&& other) noexcept {
    std::swap(pid_, other.pid_);
    return *this;
  }
  ~Process() { kill(); }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = 0;
    CHECK(WIFSIGNALED(status));  // else it failed by itself before
  }

 private:
  pid_t pid_ = 0;
};

std::string transaction(Random& random) {
  switch (random.below(12)) {
    case 0: return "INSERT INTO t (x) VALUES (randomblob(" + std::to_string(random.below(300'000)) + "));";
    case 1:
      return "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) INSERT INTO t (x) SELECT "
             "randomblob(700) FROM n;";
    case 2: return "DELETE FROM t WHERE id % 3 = " + std::to_string(random.below(3)) + ";";
    case 3: return "UPDATE t SET x = randomblob(length(x)) WHERE id % 7 = 0;";
    case 4: return "DROP INDEX IF EXISTS i; CREATE INDEX i ON t (writer, length(x));";
    case 5: return "DELETE FROM t WHERE id > 200;";
    default: return "INSERT INTO t (x) VALUES (randomblob(" + std::to_string(1 + random.below(2000)) + "));";
  }
}

void write(const std::string& path, const std::string& mode, int writer, std::uint64_t seed, Shared& shared) {
  Random random(seed);
  sqlite3* db = nullptr;
  const auto run = [&](const std::string& sql) { return sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr); };
  if (sqlite3_open(path.c_str(), &db) != SQLITE_OK) return;
  sqlite3_busy_timeout(db, 20'000);
  if (run("PRAGMA journal_mode=" + mode + "; PRAGMA synchronous=NORMAL;" + kMake) != SQLITE_OK) return;
  const std::string me = std::to_string(writer);
  if (run("INSERT OR IGNORE INTO total VALUES (" + me + ", 0, 0, 0, 0)") != SQLITE_OK) return;
  while (true) {
    // n is one counter for all, so that the newest row is the one that must be right.
    const std::string balance = std::string(kBalance) + me + "; UPDATE total SET n = (SELECT max(n) + 1 FROM total) " +
                                "WHERE writer = " + me + ";";
    const std::string how = random.below(10) == 0 ? "ROLLBACK" : "COMMIT";
    if (run("BEGIN IMMEDIATE;" + transaction(random) + balance + how) != SQLITE_OK) return;
    ++shared.committed;
    switch (random.below(60)) {
      case 0: (void)run("VACUUM"); break;
      case 1: (void)run("PRAGMA wal_checkpoint(TRUNCATE)"); break;
      case 2: (void)run("PRAGMA wal_checkpoint(RESTART)"); break;
      case 3: (void)run("PRAGMA wal_checkpoint(PASSIVE)"); break;
      default: break;
    }
    if (random.below(200) == 0) {
      sqlite3_close(db);
      if (sqlite3_open(path.c_str(), &db) != SQLITE_OK) return;
      sqlite3_busy_timeout(db, 20'000);
    }
  }
}

struct World {
  Folder folder;
  std::string path = folder / "app.db", copy = folder / "copy.db";
  std::shared_ptr<storage::Destination> destination = storage::open_directory(folder / "live");
  Shared* shared = new (::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Shared;
  std::uint64_t lineages = 0;
  int audits = 0, snapshots = 0;

  World() = default;
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World() { ::munmap(shared, 4096); }

  Capture open() {
    auto capture = Capture::open({.database = path,
                                  .state = folder / "state",
                                  .destination = destination,
                                  .clock = real_clock(),
                                  .new_lineage = [this] { return ++lineages; },
                                  .busy_max = 10s,
                                  .segments_per_save = 7});
    if (!capture) FAIL(capture.error().text());
    return std::move(*capture);
  }

  void capture_forever() {
    auto capture = open();
    while (true) {
      const auto report = capture.step();
      if (!report && report.error().code() != Code::kUnavailable && report.error().code() != Code::kNotFound) {
        std::fprintf(stderr, "capture: %s\n", report.error().text().c_str());
        return;
      }
      ++shared->steps;
      real_clock().pause(2ms);
    }
  }

  // Nobody writes any more: what was captured is the database.
  void audit() {
    Capture capture = open();
    REQUIRE(testing::eventually([&] {
      const auto report = capture.step();
      if (!report) FAIL(report.error().text());
      const auto audited = capture.audit();
      if (!audited) FAIL(audited.error().text());
      // The audit's own connection may have recovered a commit that a killed writer had not told anybody about.
      const auto after = capture.step();
      if (!after) FAIL(after.error().text());
      return *audited && after->what == StepReport::What::kNothing;
    }));
    ++audits;
    REQUIRE(capture.save());
  }

  // Every segment's end is a commit of the application's, whole and sound.
  void judge_all_commits(long at_least) {
    const auto names = list_segments(*destination);
    REQUIRE(names);
    long newest = 0;
    std::size_t judged = 0;
    for (std::size_t i = 0; i < names->size(); ++i) {
      if ((*names)[i].first != 1) continue;
      ++snapshots;
      const auto way = select(*names, {.lineage = (*names)[i].lineage, .epoch = (*names)[i].epoch});
      REQUIRE(way);
      std::filesystem::remove(copy);
      std::fstream file(copy, std::ios::in | std::ios::out | std::ios::binary | std::ios::trunc);
      Replay replay;
      for (const SegmentName& name : *way) {
        const auto applied = replay.apply(*destination, name, {}, [&](std::uint32_t page, std::string_view content) {
          file.seekp(static_cast<std::streamoff>((page - 1) * content.size()));
          file.write(content.data(), static_cast<std::streamsize>(content.size()));
          return Result<>();
        });
        if (!applied) FAIL(applied.error().text());
        file.flush();
        std::filesystem::resize_file(copy, std::uint64_t{replay.ledger().pages()} * replay.head().page_size);
        const auto sound = check_integrity(copy);
        CAPTURE(object_name(name));
        if (!sound) FAIL(sound.error().text());
        auto db = Sqlite::open(copy, Sqlite::Mode::kImmutable);
        REQUIRE(db);
        const auto tables = db->text("SELECT count(*) FROM sqlite_schema WHERE name = 'total'");
        REQUIRE(tables);
        if (*tables == "0") continue;
        const auto wrong = db->text(kJudge);
        if (!wrong) FAIL(wrong.error().text());
        REQUIRE(*wrong == "0");
        const long n = std::atol(db->text("SELECT ifnull(max(n), 0) FROM total")->c_str());
        REQUIRE(n >= newest);
        newest = n;
        ++judged;
      }
    }
    MESSAGE("judged " << judged << " commits in " << snapshots << " epochs, " << audits << " audits, "
                      << shared->committed.load() << " transactions");
    CHECK(judged > 10);
    CHECK(newest >= at_least);
  }
};

void prove(const std::string& mode, std::uint64_t seed, int rounds, int writers) {
  CAPTURE(mode);
  CAPTURE(seed);
  MESSAGE("mode " << mode << ", seed " << seed);
  Random random(seed);
  World world;
  testing::sql(world.path, "PRAGMA journal_mode=" + mode + ";" + kMake);
  for (int round = 0; round < rounds; ++round) {
    CAPTURE(round);
    std::vector<std::unique_ptr<Process>> running(static_cast<std::size_t>(writers));
    const auto start_writer = [&](std::size_t i) {
      const std::uint64_t its_seed = random.next();
      running[i] =
          std::make_unique<Process>([&, i] { write(world.path, mode, static_cast<int>(i), its_seed, *world.shared); });
    };
    const auto start_capture = [&] { return std::make_unique<Process>([&] { world.capture_forever(); }); };
    for (std::size_t i = 0; i < running.size(); ++i) start_writer(i);
    auto capture = start_capture();
    for (int kills = 0; kills < 4; ++kills) {
      const long commits = world.shared->committed + 5 + random.below(40);
      const long steps = world.shared->steps + 1 + random.below(12);
      REQUIRE(testing::eventually([&] { return world.shared->committed >= commits && world.shared->steps >= steps; }));
      if (random.below(2) == 0) {
        capture.reset();
        capture = start_capture();
      } else {
        const std::size_t i = random.below(static_cast<std::uint32_t>(writers));
        running[i].reset();
        start_writer(i);
      }
    }
    capture.reset();
    running.clear();
    world.audit();
  }
  const std::string live = testing::ask(world.path, "SELECT max(n) FROM total");
  world.judge_all_commits(std::atol(live.c_str()));
  const std::string to = world.folder / "restored.db";
  REQUIRE(restore_chain(*world.destination, {.source = world.path, .to = to}, "test"));
  CHECK(testing::ask(to, "SELECT max(n) FROM total") == live);
}

TEST_CASE("proof: two writers in WAL mode, all of them and the capture killed at random") { prove("WAL", 1, 6, 2); }
TEST_CASE("proof: a writer with a rollback journal, and the capture, killed at random") { prove("DELETE", 2, 4, 1); }

}  // namespace
}  // namespace nines::backup::continuous
