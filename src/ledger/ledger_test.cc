#include "ledger/ledger.h"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <thread>

#include "ledger/append.h"
#include "ledger/schema.h"
#include "ledger/sqlite.h"
#include "ledger/test_support.h"

namespace nines::ledger {
namespace {

using namespace testing;
using nines::testing::Folder;

Appended append(Ledger& ledger, const std::vector<Event>& some) { return must(ledger.append(some)); }

void run_sql(const std::string& path, const std::string& sql) {
  auto db = must(Database::open(path, Database::Access::kCreate));
  if (auto done = db.run(sql.c_str()); !done) FAIL(done.error().text());
}

TEST_CASE("ledger: what is appended is there, to the byte, and again after opening") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  Event odd = event(3, "", "");
  odd.text = std::string("a\0b\xff\x1b", 5);
  odd.a = INT64_MIN;
  odd.b = INT64_MAX;
  odd.incarnation = UINT64_MAX;
  odd.pid = UINT32_MAX;
  odd.when = {"", Instant::never(), WallTime(Duration(-1))};
  const std::vector<Event> some = {event(1), event(2, "spawned"), odd};
  {
    Ledger ledger = must(Ledger::open(path));
    CHECK(append(ledger, some).recorded == 3);
    CHECK(must(ledger.position(kTable)) == 3);
    CHECK(must(ledger.position(1)) == 0);
  }
  Ledger ledger = must(Ledger::open(path));
  CHECK(must(ledger.position(kTable)) == 3);
  CHECK(must(ledger.latest_position())->table_id == kTable);
  CHECK(must(ledger.latest_position())->number == 3);
  const auto rows = all_rows(path);
  REQUIRE(rows.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(rows[i].seq == i + 1);
    CHECK(rows[i].event == some[i]);
  }
  const auto verified = must(ledger.verify());
  CHECK(broken(verified) == "whole");
  CHECK(verified.rows == 3);
  CHECK(verified.last_seq == 3);
  CHECK_FALSE(std::filesystem::exists(path + ".new"));
}

TEST_CASE("ledger: an event is recorded once, however often it is offered") {
  const Folder folder;
  Ledger ledger = must(Ledger::open(folder / "ledger.db"));
  struct Offer {
    std::uint64_t first, last;
    std::size_t recorded, known;
    std::uint64_t lost;
  };
  // In this order, on one log.
  const Offer offers[] = {
      {5, 9, 5, 0, 0},    // a log first seen behind its beginning: what was before it is not ours to tell
      {5, 9, 0, 5, 0},    // a keeper that died before it heard of its success
      {8, 12, 3, 2, 0},   //
      {20, 21, 2, 0, 7},  // numbers left out are unknown, not nothing
      {13, 19, 0, 7, 0},  // and stay so
      {22, 22, 1, 0, 0},
  };
  for (const Offer& offer : offers) {
    CAPTURE(offer.first);
    const Appended appended = append(ledger, events(offer.first, offer.last));
    CHECK(appended.recorded == offer.recorded);
    CHECK(appended.known == offer.known);
    CHECK(appended.lost == offer.lost);
  }
  const auto rows = all_rows(folder / "ledger.db");
  REQUIRE(rows.size() == 12);
  CHECK(rows[8].event.kind == "events_lost");
  CHECK(rows[8].event.number == 19);
  CHECK(rows[8].event.a == 7);
  CHECK(rows[8].event.b == 12'000'000'000);  // after the event before them
  CHECK(rows[8].event.when == moment(20));
  CHECK(must(ledger.position(kTable)) == 22);
  CHECK(append(ledger, {}).recorded == 0);
}

TEST_CASE("ledger: logs have positions of their own, and events in no log are always new") {
  const Folder folder;
  Ledger ledger = must(Ledger::open(folder / "ledger.db"));
  append(ledger, events(1, 3));
  Event other = event(1);
  other.table_id = 7;
  Event own = event(0, "keeper_note");
  own.table_id = 0;
  CHECK(append(ledger, {other, own, own}).recorded == 3);
  CHECK(must(ledger.position(kTable)) == 3);
  CHECK(must(ledger.position(7)) == 1);
  CHECK(must(ledger.position(0)) == 0);
  CHECK(must(ledger.latest_position())->table_id == 7);

  for (std::uint64_t table = 1000; table < 1100; ++table) {
    other.table_id = table;
    append(ledger, {other});
  }
  CHECK(must(ledger.position(1099)) == 1);
  CHECK(must(ledger.position(1036)) == 1);
  CHECK(must(ledger.position(7)) == 0);  // bounded: the 64 latest
}

TEST_CASE("ledger: a loss is a row, once") {
  const Folder folder;
  Ledger ledger = must(Ledger::open(folder / "ledger.db"));
  const Loss loss{.table_id = kTable, .first_number = 1, .count = 10, .from = Instant{1s}, .until = moment(9)};
  CHECK(must(ledger.lost(loss)));
  CHECK_FALSE(must(ledger.lost(loss)));
  CHECK(must(ledger.position(kTable)) == 10);
  append(ledger, events(11, 12));
  CHECK(must(ledger.lost({.table_id = kTable, .first_number = 11, .count = 5, .until = moment(15)})));  // 13 to 15
  CHECK(must(ledger.lost({.table_id = kTable, .first_number = 20, .count = 1, .until = moment(20)})));  // 16 to 20
  CHECK_FALSE(must(ledger.lost({.table_id = kTable, .first_number = 30, .count = 0, .until = moment(20)})));
  const auto rows = all_rows(folder / "ledger.db");
  REQUIRE(rows.size() == 5);
  CHECK(rows[0].event.a == 10);
  CHECK(rows[0].event.b == 1'000'000'000);
  CHECK(rows[3].event.a == 3);
  CHECK(rows[4].event.a == 5);
  CHECK(must(ledger.position(kTable)) == 20);
}

TEST_CASE("ledger: an exit is recorded once for each process") {
  const Folder folder;
  Ledger ledger = must(Ledger::open(folder / "ledger.db"));
  Event exit = event(2, "exited");
  exit.incarnation = 7;
  CHECK(append(ledger, {event(1, "spawned"), exit}).recorded == 2);
  exit.number = 3;
  exit.text = "told again by the next supervisor";
  auto again = append(ledger, {exit});
  CHECK(again.recorded == 0);
  CHECK(again.repeated_exits == 1);
  CHECK(must(ledger.position(kTable)) == 3);
  CHECK(append(ledger, {event(4)}).lost == 0);

  Event elsewhere = exit;  // the table was replaced; the process went on
  elsewhere.table_id = 7;
  elsewhere.number = 1;
  CHECK(append(ledger, {elsewhere}).repeated_exits == 1);

  struct Different {
    const char* why;
    void (*change)(Event&);
  };
  const Different table[] = {
      {"another boot", [](Event& e) { e.when.boot_id = "another"; }},
      {"another incarnation", [](Event& e) { e.incarnation = 8; }},
      {"another replica", [](Event& e) { e.target = "language-id-2"; }},
      {"another process of the same number", [](Event& e) { e.pid = 4712; }},
      {"not known which: never taken for another", [](Event& e) { e.incarnation = 0; }},
      {"not known which, again", [](Event& e) { e.incarnation = 0; }},
  };
  for (const Different& row : table) {
    CAPTURE(row.why);
    Event other = exit;
    other.number = must(ledger.position(kTable)) + 1;
    row.change(other);
    CHECK(append(ledger, {other}).recorded == 1);
  }

  // A service that begins anew on the same boot counts from 1 again, in a container with the same pids.
  Event spawned = event(2, "spawned"), ended = event(3, "exited");
  spawned.table_id = ended.table_id = 7;
  spawned.incarnation = ended.incarnation = 7;
  CHECK(append(ledger, {spawned, ended}).recorded == 2);
  ended.number = 4;
  CHECK(append(ledger, {ended}).repeated_exits == 1);
  CHECK(broken(must(ledger.verify())) == "whole");
}

TEST_CASE("ledger: long texts are cut between characters") {
  const Folder folder;
  Ledger ledger = must(Ledger::open(folder / "ledger.db"));
  Event long_one = event(1);
  long_one.text = "x";
  while (long_one.text.size() < 10'000) long_one.text += "ä";
  long_one.kind = std::string(1000, 'k');
  long_one.target = std::string(1000, 't');
  append(ledger, {long_one});
  const auto rows = all_rows(folder / "ledger.db");
  CHECK(rows[0].event.text.size() == kTextMax - 1);
  CHECK(rows[0].event.text.ends_with("ä"));
  CHECK(rows[0].event.kind.size() == kKindMax);
  CHECK(rows[0].event.target.size() == kTargetMax);
  CHECK(broken(must(ledger.verify())) == "whole");
}

TEST_CASE("reader: every question, while the keeper writes") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  CHECK(code_of(Reader::open(path)) == Code::kNotFound);
  CHECK_FALSE(std::filesystem::exists(path));
  Ledger ledger = must(Ledger::open(path));
  const Reader reader = must(Reader::open(path));
  CHECK(must(reader.rows({})).empty());
  CHECK(must(reader.counts_by_kind()).empty());
  CHECK_FALSE(must(reader.size()).oldest);

  append(ledger, {event(1, "spawned"), event(2, "ready"), event(3, "spawned", "language-id-2"),
                  event(4, "ready", "language-id-2"), event(5, "unready", "language-id-2"),
                  event(6, "ready", "language-id-2")});
  const auto seqs = [&](const Query& query) {
    std::string text;
    for (const Row& row : must(reader.rows(query))) text += std::to_string(row.seq) + " ";
    return text;
  };
  CHECK(seqs({}) == "1 2 3 4 5 6 ");
  CHECK(seqs({.limit = 2}) == "1 2 ");
  CHECK(seqs({.limit = 2, .newest = true}) == "5 6 ");
  CHECK(seqs({.after_seq = 4}) == "5 6 ");
  CHECK(seqs({.after_seq = 6}) == "");
  CHECK(seqs({.limit = 0}) == "");
  CHECK(seqs({.target = "language-id-2"}) == "3 4 5 6 ");
  CHECK(seqs({.kind = "ready"}) == "2 4 6 ");
  CHECK(seqs({.target = "language-id-2", .kind = "ready", .limit = 1, .newest = true}) == "6 ");
  CHECK(seqs({.target = "'; DROP TABLE events; --"}) == "");
  CHECK(must(reader.counts_by_kind()) == std::vector<KindCount>{{"ready", 3}, {"spawned", 2}, {"unready", 1}});
  const Size size = must(reader.size());
  CHECK(size.rows == 6);
  CHECK(size.bytes > 4096);
  CHECK(*size.oldest == moment(1).wall);
  append(ledger, {event(7)});
  CHECK(seqs({.after_seq = 6}) == "7 ");
  CHECK(broken(must(reader.verify())) == "whole");
}

TEST_CASE("reader: sees whole transactions only, and never stops the writer") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  Ledger ledger = must(Ledger::open(path));
  std::atomic<bool> stop = false;
  std::uint64_t partial = 0, looks = 0;
  std::string failed;
  std::thread other([&] {
    auto reader = Reader::open(path);
    while (!stop && reader) {
      const auto rows = reader->rows({.limit = 10'000});
      const auto verified = reader->verify();
      if (!rows || !verified) failed = rows ? verified.error().text() : rows.error().text();
      if (!rows || !verified) return;
      partial += rows->size() % 5 != 0 || verified->rows % 5 != 0 || verified->broken;
      ++looks;
    }
  });
  for (std::uint64_t first = 1; first < 1000; first += 5) CHECK(append(ledger, events(first, first + 4)).recorded == 5);
  stop = true;
  other.join();
  CHECK(failed == "");
  CHECK(partial == 0);
  CHECK(looks > 0);
}

TEST_CASE("ledger: the oldest rows go, the rest verifies from the anchor") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  Ledger ledger = must(Ledger::open(path));
  append(ledger, events(1, 1000));
  const Moment now = moment(1000);
  CHECK(must(ledger.prune({}, now)).rows == 0);
  CHECK(must(ledger.prune({.max_age = 100s, .min_rows = 1000}, now)).rows == 0);  // too few to bother

  auto pruned = must(ledger.prune({.max_age = 600s, .min_rows = 10}, now));
  CHECK(pruned.rows == 399);  // what is exactly 600 s old stays
  CHECK_FALSE(pruned.more);
  CHECK(must(ledger.size()).rows == 602);
  CHECK(*must(ledger.size()).oldest == moment(400).wall);
  CHECK(broken(must(ledger.verify())) == "whole");
  auto rows = all_rows(path);
  CHECK(rows.front().seq == 400);
  CHECK(rows.back().event.kind == "ledger_pruned");
  CHECK(rows.back().event.a == 399);
  CHECK(rows.back().event.b == 399);

  // A clock that is years ahead takes all but min_rows.
  Moment wrong = now;
  wrong.wall += std::chrono::days(4000);
  CHECK(must(ledger.prune({.min_rows = 50}, wrong)).rows == 552);
  CHECK(must(ledger.size()).rows == 51);
  CHECK(must(ledger.prune({.max_rows = 20, .min_rows = 50}, now)).rows == 32);
  CHECK(must(ledger.size()).rows == 20);
  CHECK(must(ledger.prune({.max_rows = 20, .min_rows = 50}, now)).rows == 0);
  CHECK(must(ledger.prune({.max_rows = 0}, now)).rows == 20);
  CHECK(must(ledger.size()).rows == 1);
  CHECK(broken(must(ledger.verify())) == "whole");

  append(ledger, events(1001, 1003));
  CHECK(must(ledger.position(kTable)) == 1003);
  ledger = must(Ledger::open(folder / "other.db"));  // closes the first
  CHECK(broken(must(must(Ledger::open(path)).verify())) == "whole");

  run_sql(path,
          "UPDATE chain SET anchor_seq = anchor_seq + 1, anchor_hash = (SELECT hash FROM events ORDER BY seq LIMIT 1);"
          "DELETE FROM events WHERE seq = (SELECT min(seq) FROM events)");
  CHECK(broken(must(must(Reader::open(path)).verify())).find("not by nines") != std::string::npos);
}

TEST_CASE("ledger: a row too old behind one that is young stays, as the wall clock may have jumped") {
  const Folder folder;
  Ledger ledger = must(Ledger::open(folder / "ledger.db"));
  auto some = events(1, 100);
  some[10].when.wall += std::chrono::days(1000);
  append(ledger, some);
  Moment later = moment(100);
  later.wall += std::chrono::days(500);
  CHECK(must(ledger.prune({.min_rows = 1}, later)).rows == 10);
}

TEST_CASE("ledger: pruning goes in steps") {
  const Folder folder;
  Ledger ledger = must(Ledger::open(folder / "ledger.db"));
  append(ledger, events(1, 25'000));
  std::string steps;
  for (bool more = true; more;) {
    const auto pruned = must(ledger.prune({.max_rows = 100, .min_rows = 1}, moment(1)));
    steps += std::to_string(pruned.rows) + " ";
    more = pruned.more;
  }
  CHECK(steps == "10000 10000 4904 ");
  CHECK(must(ledger.size()).rows == 99);
  CHECK(broken(must(ledger.verify())) == "whole");
}

TEST_CASE("ledger: what is not ours, or newer, is refused and not touched") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  SUBCASE("another program's database") { run_sql(path, "CREATE TABLE notes (text)"); }
  SUBCASE("another program's database with an id") {
    run_sql(path, "PRAGMA application_id = 7; CREATE TABLE notes (text)");
  }
  SUBCASE("a newer nines") {
    REQUIRE(make_ledger(path));
    run_sql(path, "UPDATE about SET form = 99; PRAGMA user_version = 99");
  }
  SUBCASE("a folder") { std::filesystem::create_directory(path); }
  const std::string before = std::filesystem::is_directory(path) ? "" : content_of(path);
  CHECK(code_of(Ledger::open(path)) == Code::kRefused);
  CHECK(code_of(Ledger::open_or_set_aside(path, moment(1))) == Code::kRefused);
  if (!std::filesystem::is_directory(path)) CHECK((content_of(path) == before));
}

TEST_CASE("ledger: an older one is brought up to date, or stays as it was") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  {
    append(*std::make_unique<Ledger>(must(Ledger::open(path))), events(1, 10));
  }
  std::vector<const char*> steps(schema_steps().begin(), schema_steps().end());
  const std::size_t ours = steps.size();
  auto db = must(Database::open(path, Database::Access::kWrite));

  steps.push_back("ALTER TABLE positions ADD COLUMN vantage TEXT");
  steps.push_back("CREATE NONSENSE");
  CHECK_FALSE(migrate(db, steps));
  // The step that worked is done; the other left nothing.
  CHECK(must(db.integer("PRAGMA user_version")) == static_cast<std::int64_t>(ours) + 1);

  steps.back() = "CREATE TABLE later (start INTEGER PRIMARY KEY) STRICT";
  CHECK(migrate(db, steps));
  CHECK(migrate(db, steps));
  CHECK(check_identity(db, steps));
  CHECK(must(db.integer("SELECT form FROM about")) == static_cast<std::int64_t>(ours) + 2);
  CHECK(must(db.integer("SELECT count(*) FROM later")) == 0);
  CHECK(must(db.integer("SELECT count(*) FROM events")) == 10);
  CHECK(code_of(Ledger::open(path)) == Code::kRefused);
  CHECK(code_of(Reader::open(path)) == Code::kRefused);
}

TEST_CASE("ledger: a step that was released never changes") {
  // A new step is a new row here. Another hash in a row that stands means: files out there are not what this one makes.
  const std::string hashes[] = {"693eb7e77ee10a61c98350af6d04baccf7e8323d600feb009b79e40dc01d8d22",
                                "c22a773586619aaa883190f1508d79aa1cf9b7ab7c42bc9eda2eb096e09f0130"};
  REQUIRE(schema_steps().size() == std::size(hashes));
  Hasher hasher;
  for (std::size_t i = 0; i < std::size(hashes); ++i) CHECK(hex(hasher(schema_steps()[i])) == hashes[i]);
}

TEST_CASE("ledger: one of the first form gets what it lacks, and keeps its rows") {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  REQUIRE(make_ledger(path, schema_steps().first(1)));
  {  // as that version wrote them: rows of form 1, whatever the form of the file
    auto db = must(Database::open(path, Database::Access::kWrite));
    auto statements = must(WriterStatements::prepare(db));
    Hasher hasher;
    auto writing = must(Writing::begin(db, statements, hasher));
    Appended appended;
    for (const Event& event : events(1, 7)) REQUIRE(writing.take(event, appended));
    REQUIRE(writing.commit());
  }
  CHECK(code_of(Reader::open(path)) == Code::kUnavailable);  // nobody has brought it up to date yet
  auto ledger = must(Ledger::open(path));
  CHECK(broken(must(ledger.verify())) == "whole");
  CHECK(must(ledger.position(kTable)) == 7);
  CHECK(append(ledger, events(1, 10)).recorded == 3);
  const Slice slice{.start = 1'800'000'000, .good = 1, .up = 10};
  CHECK(ledger.add(std::span(&slice, 1), {.table_id = 1, .counters = "x", .until = 1'800'000'010, .boot_id = "b"}));
  CHECK(must(must(Reader::open(path)).total(1'800'000'000, 1'800'000'010)).sum.good == 1);
  CHECK(broken(must(ledger.verify())) == "whole");
  auto db = must(Database::open(path, Database::Access::kRead));
  CHECK(must(db.integer("SELECT max(form) FROM events")) == 1);
  CHECK(must(db.integer("SELECT form FROM about")) == static_cast<std::int64_t>(schema_steps().size()));
}

// Not a test. Prints what docs/internals/ledger.md says:
//   ledger_test -ns -tc='ledger: how long it takes'
TEST_CASE("ledger: how long it takes" * doctest::skip()) {
  const Folder folder;
  const std::string path = folder / "ledger.db";
  const auto timed = [](const std::string& what, int times, auto body) {
    std::vector<double> took;
    for (int i = 0; i < times; ++i) {
      const auto begun = std::chrono::steady_clock::now();
      body();
      took.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begun).count());
    }
    std::ranges::sort(took);
    std::printf("%-32s median %8.2f ms, 99th of 100 %8.2f ms, worst %8.2f ms, n %d\n", what.c_str(),
                took[took.size() / 2], took[took.size() * 99 / 100], took.back(), times);
  };
  std::uint64_t number = 0;
  auto ledger = std::make_unique<Ledger>(must(Ledger::open(path)));
  const auto add = [&](std::uint64_t count) {
    append(*ledger, events(number + 1, number + count));
    number += count;
  };
  timed("append 1 event", 500, [&] { add(1); });
  timed("append 100 events", 200, [&] { add(100); });
  timed("append 1,024 events", 50, [&] { add(1024); });
  while (number < 100'000) add(std::min<std::uint64_t>(1000, 100'000 - number));
  timed("verify 100,000 rows", 5, [&] { CHECK(broken(must(ledger->verify())) == "whole"); });
  ledger.reset();
  const double bytes = static_cast<double>(std::filesystem::file_size(path));
  timed("open 100,000 rows", 5, [&] { must(Ledger::open(path)); });
  const Reader reader = must(Reader::open(path));
  timed("last 100 rows", 100, [&] { must(reader.rows({.newest = true})); });
  timed("last 100 rows of one kind", 100, [&] { must(reader.rows({.kind = "ready", .newest = true})); });
  timed("counts by kind", 20, [&] { must(reader.counts_by_kind()); });
  std::printf("bytes a row: %.0f\n", bytes / 100'000);
  ledger = std::make_unique<Ledger>(must(Ledger::open(path)));
  timed("prune 10,000 rows", 5, [&] { CHECK(must(ledger->prune({.max_rows = 1}, moment(1))).rows == 10'000); });
}

}  // namespace
}  // namespace nines::ledger
