// A backup as a whole, with a writer, with faults, and killed at any moment.
#include "backup/backup.h"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include "backup/names.h"
#include "backup/run_lock.h"
#include "backup/test_support.h"
#include "base/random.h"

namespace nines::backup {
namespace {

using namespace testing;

TEST_CASE("backup: 20 archives with a writer running hold every row acknowledged before they were begun") {
  for (const std::string mode : {"WAL", "DELETE"}) {
    CAPTURE(mode);
    const Service service(mode, 2'000);
    const Writer writer(service.database());
    std::vector<std::pair<Report, long>> taken;
    for (int i = 0; i < 20; ++i) {
      const long acknowledged = writer.acknowledged();
      taken.emplace_back(must_take(service.plan()), acknowledged);
    }
    for (const auto& [report, acknowledged] : taken) {
      CAPTURE(report.archive);
      const Folder out;
      const std::string copy = unpacked(report.where, out);
      CHECK(ask(copy, "PRAGMA integrity_check") == "ok");
      CHECK(std::stol(ask(copy, "SELECT count(*) FROM t WHERE id > 1000000")) >= acknowledged);
      CHECK(ask(copy, "SELECT count(*) FROM t WHERE id <= 2000") == "2000");
      CHECK(storage::read_file(out / "files/model.bin", 100).value() == "a model");
    }
  }
}

TEST_CASE("backup: the report, the list and the proof") {
  const Service service;
  Plan plan = service.plan();
  plan.databases.push_back({"data/none.db", service.folder / "data/none.db"});
  const Report report = must_take(plan);
  CHECK(report.missing == std::vector<std::string>{"data/none.db"});
  CHECK(report.files == 1);
  REQUIRE(report.databases.size() == 1);
  CHECK(report.notes.empty());
  CHECK(names_in(service.state()) == std::vector<std::string>{"backup.lock", "backups.json"});

  const Catalogue catalogue = Catalogue::load(catalogue_file(service.state()));
  auto archives = list(*service.destination, catalogue);
  REQUIRE(archives);
  REQUIRE(archives->size() == 1);
  CHECK(archives->front().verified());
  CHECK(archives->front().proof->sha256 == report.sha256);
  CHECK(!archives->front().proof->complete);
  CHECK(archives->front().object.bytes == report.bytes);
  const auto contents = verify(*service.destination, report.archive, service.state() + "/work");
  REQUIRE(contents);
  CHECK(contents->manifest.missing == report.missing);
  CHECK(contents->manifest.created == report.created);

  // Without the catalogue it is not verified yet, and no more than that.
  archives = list(*service.destination, {});
  CHECK(!archives->front().proof);
  CHECK(past_of(*archives, nullptr, report.created).archive == time_of(report.archive));
}

TEST_CASE("backup: an archive from the future is neither the last one nor the newest") {
  const WallTime now = *parse_time("2026-11-24T02:00:00.000Z");
  const auto made = [](WallTime time, const char* service = "test", const char* damage = "") {
    Archive archive{.object = {.name = archive_name(time)}, .time = time, .proof = Proof{}};
    archive.proof->service = service;
    archive.proof->damage = damage;
    return archive;
  };
  const std::vector<Archive> none = {made(now + 61s), made(now + 24h * 365)};
  CHECK(!past_of(none, nullptr, now).archive);
  CHECK(newest_of(none, "test", now) == nullptr);
  // A clock that was set back by a few seconds is no wrong clock.
  std::vector<Archive> all = {made(now - 25h), made(now - 24h), made(now + 60s), made(now + 61s)};
  CHECK(past_of(all, nullptr, now).archive == now + 60s);
  CHECK(newest_of(all, "test", now) == &all[2]);
  all[2] = made(now + 60s, "test", "cut off");
  CHECK(past_of(all, nullptr, now).archive == now - 24h);
  CHECK(newest_of(all, "test", now) == &all[1]);
  all[1] = made(now - 24h, "other");
  CHECK(newest_of(all, "test", now) == &all[0]);
  all[0].proof.reset();
  CHECK(newest_of(all, "test", now) == nullptr);
  CHECK(past_of(all, nullptr, now + 61s).archive == now + 61s);
}

TEST_CASE("backup: a boot with a wrong clock stops no schedule") {
  const Service service;
  Plan plan = service.plan();
  const WallTime now = plan.clock.wall();
  plan.clock.wall = [now] { return now + 24h * 365; };
  must_take(plan);
  plan.clock.wall = [now] { return now; };
  const auto due = [&] {
    const auto archives = list(*service.destination, Catalogue::load(catalogue_file(service.state())));
    REQUIRE(archives);
    const Minute two{2, 0};
    return next_run({&two, 1}, now, past_of(*archives, nullptr, now), plan.offset);
  };
  CHECK(due() == now);
  plan.keep = Keep{.within = 30 * 24h};
  must_take(plan);
  plan.clock.wall = [now] { return now + 1s; };
  CHECK(must_take(plan).removed.empty());  // it is not what 30 days are counted from
  CHECK(due() > now);
  CHECK(due() <= now + 24h);
}

TEST_CASE("backup: several in one second have names of their own") {
  const Service service;
  Plan plan = service.plan();
  plan.clock.wall = [] { return WallTime(1'800'000'000s); };
  for (int i = 0; i < 3; ++i) must_take(plan);
  CHECK(names_in(service.folder / "backups") == std::vector<std::string>{"backup-20270115-080000.tar.zst",
                                                                         "backup-20270115-080001.tar.zst",
                                                                         "backup-20270115-080002.tar.zst"});
}

TEST_CASE("backup: databases of one name, model folders, odd names") {
  Service service;
  std::filesystem::create_directories(service.folder / "other/sub");
  make_database(service.folder / "other/app.db", "DELETE", 3);
  service.folder.file("other/sub/ä \"b\"", "2");
  service.folder.file("other/a", "1");
  Plan plan = service.plan();
  plan.databases.push_back({"other/app.db", service.folder / "other/app.db"});
  plan.files = {{"other", service.folder / "other"}, {"../x/model.bin", service.folder / "model.bin"}};
  const Report report = must_take(plan);
  const auto contents = verify(*service.destination, report.archive, service.state() + "/work");
  REQUIRE(contents);
  std::vector<std::string> paths;
  for (const Member& member : contents->manifest.members) paths.push_back(member.path + " = " + member.source);
  CHECK(paths == std::vector<std::string>{"data/app.db = data/app.db", "data/2/app.db = other/app.db",
                                          "files/other/a = other/a", "files/other/app.db = other/app.db",
                                          "files/other/sub/ä \"b\" = other/sub/ä \"b\"",
                                          "files/model.bin = ../x/model.bin", "nines.yaml = nines.yaml"});
}

TEST_CASE("backup: keep rules are applied to what is verified, and a damaged archive is never what is left") {
  const Service service;
  Plan plan = service.plan();
  plan.keep = Keep{.last = 2};
  WallTime now(1'800'000'000s);
  plan.clock.wall = [&] { return now; };
  std::vector<std::string> names;
  for (int i = 0; i < 3; ++i, now += 1h) names.push_back(must_take(plan).archive);
  CHECK(names_in(service.folder / "backups") == std::vector<std::string>{names[1], names[2]});

  // Somebody damages the newest: it counts for nothing once that is known.
  std::ofstream(service.destination->where(names[2]), std::ios::app) << "x";
  const Report report = must_take(plan);
  REQUIRE(report.notes.size() == 1);
  CHECK(report.notes[0].contains("something behind the end"));
  CHECK(names_in(service.folder / "backups") == std::vector<std::string>{names[1], names[2], report.archive});
}

TEST_CASE("backup: a lost catalogue mends by itself, and nothing is deleted meanwhile") {
  const Service service;
  Plan plan = service.plan();
  WallTime now(1'800'000'000s);
  plan.clock.wall = [&] { return now; };
  for (int i = 0; i < 3; ++i, now += 1h) must_take(plan);
  std::filesystem::remove(catalogue_file(service.state()));
  plan.keep = Keep{.last = 1};
  std::vector<std::size_t> left;
  for (int i = 0; i < 4; ++i, now += 1h) {
    must_take(plan);
    left.push_back(names_in(service.folder / "backups").size());
  }
  CHECK(left == std::vector<std::size_t>{3, 2, 1, 1});  // each run verifies one, and may remove it then
}

TEST_CASE("backup: what is wrong with a source is said, and leaves no archive") {
  const Service service;
  Plan plan = service.plan();
  plan.databases.push_back({"text.db", service.folder.file("text.db", std::string(10'000, 'x'))});
  const auto damaged = take(plan);
  REQUIRE(!damaged);
  CHECK(damaged.error().code() == Code::kInvalid);
  CHECK(damaged.error().text().starts_with("database text.db: "));
  CHECK(Catalogue::load(catalogue_file(service.state())).failure_of(service.destination->where()) != nullptr);

  plan = service.plan();
  plan.files.push_back({"gone.bin", service.folder / "gone.bin"});
  CHECK(take(plan).error().text() == "read gone.bin: No such file or directory");
  CHECK(names_in(service.folder / "backups").empty());
  must_take(service.plan());
  CHECK(Catalogue::load(catalogue_file(service.state())).failure_of(service.destination->where()) == nullptr);
}

TEST_CASE("backup: two at a time are refused") {
  const Service service;
  const auto lock = RunLock::take(service.state());
  REQUIRE(lock);
  const auto second = take(service.plan());
  REQUIRE(!second);
  CHECK(second.error().code() == Code::kExists);
  CHECK(second.error().text().contains("pid " + std::to_string(::getpid())));
}

TEST_CASE("backup: without space it fails with that reason, and what was there stays") {
  const Service service("WAL", 2'000);
  const std::string good = must_take(service.plan()).archive;
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{600'000, 600'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const auto report = take(service.plan());
    ::_exit(report ? 1 : report.error().code() == Code::kLimit ? 0 : 2);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(names_in(service.folder / "backups") == std::vector<std::string>{good});
  CHECK(names_in(service.state()) == std::vector<std::string>{"backup.lock", "backups.json"});
}

TEST_CASE("backup: killed at any moment, every archive that is visible is whole, and the next run is as the first") {
  const Service service("WAL", 1'500);
  const Report whole = must_take(service.plan());
  std::filesystem::remove(whole.where);
  Random random(7);
  for (int i = 0; i < 25; ++i) {
    CAPTURE(i);
    const pid_t child = ::fork();
    if (child == 0) {
      (void)take(service.plan());
      ::_exit(0);
    }
    real_clock().pause(
        Duration(static_cast<std::int64_t>(static_cast<double>(whole.took.count()) * random.unit() * 1.3)));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const auto archives = list(*service.destination, Catalogue::load(catalogue_file(service.state())));
    REQUIRE(archives);
    for (const Archive& archive : *archives) {
      if (!archive.verified()) CHECK(verify(*service.destination, archive.object.name, service.state() + "/v"));
    }
  }
  must_take(service.plan());
  for (const std::string& name : names_in(service.folder / "backups")) CHECK(time_of(name));  // no partial ones
  CHECK(names_in(service.state()) == std::vector<std::string>{"backup.lock", "backups.json"});
  CHECK(ask(service.database(), "PRAGMA integrity_check") == "ok");
}

TEST_CASE("backup: a database that is damaged inside a whole archive is found when it is verified") {
  const Service service("DELETE", 500);
  const Report report = must_take(service.plan());
  // As a tool that knows nothing of SQLite would make one: hashes right, database wrong.
  const Folder out;
  const std::string copy = unpacked(report.where, out);
  std::fstream file(copy, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(40'960 + 8);
  file << std::string(64, '\xff');
  file.close();
  auto upload = service.destination->put("backup-20300101-000000.tar.zst");
  REQUIRE(upload);
  ArchiveWriter writer(**upload, {.service = "test", .created = WallTime(1s)});
  REQUIRE(writer.add({.path = "data/app.db", .kind = Kind::kSqlite, .source = "data/app.db"}, copy));
  REQUIRE(writer.finish());
  REQUIRE((*upload)->commit());
  const auto verified = verify(*service.destination, "backup-20300101-000000.tar.zst", service.state() + "/v");
  REQUIRE(!verified);
  CHECK(verified.error().code() == Code::kInvalid);
  CHECK(verified.error().text().contains("integrity_check"));
}

}  // namespace
}  // namespace nines::backup
