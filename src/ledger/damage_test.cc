// Bits that flip, files that end early: found, or without effect; and a keeper goes on in any case.
#include <filesystem>
#include <fstream>

#include "base/random.h"
#include "ledger/chain.h"
#include "ledger/schema.h"
#include "ledger/test_support.h"

namespace nines::ledger {
namespace {

namespace fs = std::filesystem;
using namespace testing;
using nines::testing::Folder;

void write_file(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

void run_sql(const std::string& path, const std::string& sql) {
  auto db = must(Database::open(path, Database::Access::kWrite));
  if (auto done = db.run(sql.c_str()); !done) FAIL(done.error().text());
}

std::vector<Event> mixed(std::uint64_t count) {
  const char* const kinds[] = {"spawned", "ready", "exited"};
  std::vector<Event> all;
  for (std::uint64_t number = 1; number <= count; ++number) {
    all.push_back(event(number, kinds[number % 3], "language-id-" + std::to_string(number % 4)));
    all.back().incarnation = number / 3;
  }
  return all;
}

bool same(const std::vector<Row>& a, const std::vector<Row>& b) {
  return std::ranges::equal(
      a, b, [](const Row& x, const Row& y) { return x.seq == y.seq && x.event == y.event && x.hash == y.hash; });
}

std::vector<std::string> set_aside_in(const Folder& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder.path())) {
    const std::string name = entry.path().filename().string();
    if (name.find(".damaged-") != std::string::npos && !name.ends_with("-wal") && !name.ends_with("-shm"))
      names.push_back(name);
  }
  std::ranges::sort(names);
  return names;
}

TEST_CASE("verify: says the first row where the chain breaks, and why") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  {
    must(must(Ledger::open(path)).append(events(1, 20)));
  }
  struct Edit {
    const char* sql;
    std::uint64_t seq;
    const char* why;
  };
  const Edit edits[] = {
      {"UPDATE events SET text = 'all was well' WHERE seq = 7", 7, "does not fit"},
      {"UPDATE events SET wall_ns = wall_ns + 1 WHERE seq = 1", 1, "does not fit"},
      {"UPDATE events SET hash = zeroblob(32) WHERE seq = 20", 20, "does not fit"},
      {"UPDATE events SET form = 2 WHERE seq = 3", 3, "form 2"},
      {"DELETE FROM events WHERE seq = 7", 7, "missing"},
      {"DELETE FROM events WHERE seq = 1", 1, "missing"},
      {"DELETE FROM events WHERE seq > 18", 19, "missing, and all after it"},
      {"DELETE FROM events", 1, "missing, and all after it"},
      {"UPDATE events SET seq = 100 WHERE seq = 7", 7, "missing"},
      {"UPDATE events SET seq = -3 WHERE seq = 7", 1, "row -3 stands in its place"},
      {"INSERT INTO events SELECT 21, form, table_id, 21, boot_id, monotonic_ns, wall_ns, kind, target, pid, 21, a, b, "
       "text, hash FROM events WHERE seq = 20",
       21, "does not fit"},
      {"UPDATE chain SET head_hash = zeroblob(32)", 20, "not the row that was written last"},
      {"UPDATE chain SET head_seq = 21", 21, "missing"},
      {"UPDATE chain SET anchor_seq = 5", 6, "row 1 stands in its place"},
  };
  const std::string whole = content_of(path);
  for (const Edit& edit : edits) {
    CAPTURE(edit.sql);
    write_file(path, whole);
    run_sql(path, edit.sql);
    const auto verified = must(must(Reader::open(path)).verify());
    REQUIRE(verified.broken);
    CHECK(verified.broken->seq == edit.seq);
    CHECK(verified.broken->why.find(edit.why) != std::string::npos);
    CHECK(code_of(Ledger::open(path)) == Code::kInvalid);
    fs::remove(path + "-wal");
    fs::remove(path + "-shm");
  }
}

TEST_CASE("verify: a change far behind the tail that open() looks at") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  {
    must(must(Ledger::open(path)).append(events(1, 3000)));
  }
  run_sql(path, "UPDATE events SET a = 0 WHERE seq = 1500");
  CHECK(broken(must(must(Ledger::open(path)).verify())).starts_with("1500: "));
  run_sql(path, "UPDATE events SET a = 0 WHERE seq = 2500");
  CHECK(code_of(Ledger::open(path)) == Code::kInvalid);
}

TEST_CASE("set aside: the damaged file is kept, the new one begins by saying so") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  std::string left;
  SUBCASE("nonsense") { write_file(path, left = std::string(20'000, 'x')); }
  SUBCASE("empty") { write_file(path, left = ""); }
  SUBCASE("short") { write_file(path, left = "SQLite format 3"); }
  SUBCASE("only its write-ahead log") { write_file(path + "-wal", "what was in it"); }
  SUBCASE("a table is gone") {
    REQUIRE(make_ledger(path));
    run_sql(path, "DROP TABLE positions");
  }
  SUBCASE("an index is gone") {
    REQUIRE(make_ledger(path));
    run_sql(path, "DROP INDEX exits_once");
  }
  SUBCASE("its header says another version") {
    REQUIRE(make_ledger(path));
    run_sql(path, "PRAGMA user_version = 9");
  }
  const bool file_was_there = fs::exists(path);
  CHECK(code_of(Ledger::open(path)) == Code::kInvalid);
  Ledger ledger = must(Ledger::open_or_set_aside(path, moment(0)));
  CHECK(fs::exists(path + ".damaged-20261123-120000") == file_was_there);
  if (!left.empty()) CHECK(content_of(path + ".damaged-20261123-120000") == left);
  must(ledger.append(events(1, 2)));
  const auto rows = all_rows(path);
  if (!file_was_there) {
    CHECK(content_of(path + ".damaged-20261123-120000-wal") == "what was in it");
  }
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].event.kind == "ledger_set_aside");
  CHECK(rows[0].event.text.find("ledger.db.damaged-20261123-120000") != std::string::npos);
  CHECK(rows[0].event.when == moment(0));
  CHECK(broken(must(ledger.verify())) == "whole");
}

TEST_CASE("set aside: looking at a damaged ledger changes neither it nor its write-ahead log") {
  const Folder folder;
  const std::string path = folder / "ledger.db", copy = folder / "copy.db";
  {
    must(must(Ledger::open(path)).append(events(1, 20)));
  }
  auto db = must(Database::open(path, Database::Access::kWrite));
  REQUIRE(db.run("UPDATE events SET a = 0 WHERE seq = 7"));
  const std::string file = content_of(path), log = content_of(path + "-wal");
  REQUIRE(log.size() > 4096);
  write_file(copy, file);
  write_file(copy + "-wal", log);
  CHECK(code_of(Ledger::open(copy)) == Code::kInvalid);
  CHECK((content_of(copy) == file));
  CHECK((content_of(copy + "-wal") == log));
  must(Ledger::open_or_set_aside(copy, moment(0)));
  CHECK((content_of(copy + ".damaged-20261123-120000") == file));
  CHECK((content_of(copy + ".damaged-20261123-120000-wal") == log));
}

TEST_CASE("damage: a page that was overwritten is found at the opening, wherever it is") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  {
    must(must(Ledger::open(path)).append(mixed(3000)));
  }
  const std::string whole = content_of(path);
  for (std::size_t page = 0; page < whole.size() / 4096; ++page) {
    CAPTURE(page);
    std::string content = whole;
    content.replace(page * 4096, 4096, std::string(4096, '\0'));
    write_file(path, content);
    CHECK(code_of(Ledger::open(path)) == Code::kInvalid);
  }
}

TEST_CASE("set aside: names never collide, and there is a limit") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  for (std::size_t i = 0; i < kSetAsideMax; ++i) {
    write_file(path, "damage " + std::to_string(i));
    must(Ledger::open_or_set_aside(path, moment(0)));
  }
  const auto names = set_aside_in(folder);
  CHECK(names.size() == kSetAsideMax);
  CHECK(content_of(path + ".damaged-20261123-120000") == "damage 0");
  CHECK(content_of(path + ".damaged-20261123-120000-20") == "damage 19");
  write_file(path, "one too many");
  CHECK(code_of(Ledger::open_or_set_aside(path, moment(0))) == Code::kLimit);
  CHECK(content_of(path) == "one too many");
}

TEST_CASE("set aside: a keeper that died before it could tell is told for") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  write_file(path + ".damaged-20261122-010203", "damage");
  must(Ledger::open_or_set_aside(path, moment(0)));
  const auto rows = all_rows(path);
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].event.kind == "ledger_set_aside");
  CHECK(rows[0].event.text.find("damaged-20261122-010203") != std::string::npos);
  must(Ledger::open_or_set_aside(path, moment(1)));
  CHECK(all_rows(path).size() == 1);
}

TEST_CASE("damage: whatever bits flip, no wrong row passes for a right one, and the keeper goes on") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  {
    must(must(Ledger::open(path)).append(mixed(1500)));
  }
  const auto original = all_rows(path);
  for (const char* part : {"-wal", "-shm"}) fs::remove(path + part);
  const std::string whole = content_of(path);
  int at_open = 0, by_verify = 0, harmless = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    const Folder here;
    const std::string copy = here / "ledger.db";
    Random random(seed);
    std::string content = whole;
    for (auto flips = 1 + random.below(4); flips > 0; --flips)
      content[random.below(static_cast<std::uint32_t>(whole.size()))] ^= static_cast<char>(1 << random.below(8));
    if (random.below(8) == 0) content.resize(random.below(static_cast<std::uint32_t>(whole.size())));
    write_file(copy, content);

    auto ledger = Ledger::open(copy);
    if (ledger) {
      const auto verified = must(ledger->verify());
      const auto rows = must(Reader::open(copy)).rows({.limit = kRowsMax});
      if (!verified.broken) {
        ++harmless;
        CHECK(rows);
        CHECK(same(*rows, original));
      } else {
        ++by_verify;
      }
    } else {
      ++at_open;
      CHECK(ledger.error().code() == Code::kInvalid);
      Ledger next = must(Ledger::open_or_set_aside(copy, moment(0)));
      CHECK(set_aside_in(here).size() == 1);
      CHECK((content_of(here / set_aside_in(here)[0]) == content));
      must(next.append(events(1, 3)));
      CHECK(broken(must(next.verify())) == "whole");
    }
  }
  MESSAGE("found at open " << at_open << ", by verify " << by_verify << ", without effect " << harmless);
  CHECK(at_open > 0);
  CHECK(by_verify > 0);
}

TEST_CASE("damage: a write-ahead log with flipped bits loses its end, which the position tells") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  Ledger ledger = must(Ledger::open(path));
  for (std::uint64_t first = 1; first <= 100; first += 5) must(ledger.append(events(first, first + 4)));
  const auto original = all_rows(path);
  const std::string file = content_of(path), log = content_of(path + "-wal");
  for (std::uint64_t seed = 1; seed <= 25; ++seed) {
    CAPTURE(seed);
    const Folder here;
    Random random(seed);
    std::string changed = log;
    changed[random.below(static_cast<std::uint32_t>(log.size()))] ^= static_cast<char>(1 << random.below(8));
    if (random.below(4) == 0) changed.resize(random.below(static_cast<std::uint32_t>(log.size())));
    write_file(here / "ledger.db", file);
    write_file(here / "ledger.db-wal", changed);
    Ledger copy = must(Ledger::open(here / "ledger.db"));
    CHECK(broken(must(copy.verify())) == "whole");
    const auto rows = all_rows(here / "ledger.db");
    const auto position = must(copy.position(kTable));
    CHECK(rows.size() == position);
    CHECK(same(rows, {original.begin(), original.begin() + static_cast<std::ptrdiff_t>(rows.size())}));
    must(copy.append(events(position + 1, 100)));
    CHECK(same(all_rows(here / "ledger.db"), original));
  }
}

}  // namespace
}  // namespace nines::ledger
