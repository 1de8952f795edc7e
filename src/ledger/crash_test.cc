// Whatever kills the keeper, and whenever: the record goes on where it stopped, with every event it had acknowledged,
// once, and without a gap.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <map>

#include "base/fd.h"
#include "base/random.h"
#include "ledger/append.h"
#include "ledger/schema.h"
#include "ledger/test_support.h"

namespace nines::ledger {
namespace {

using namespace testing;
using nines::testing::Folder;

// A keeper's life: asks for its position, appends batches that overlap what is there already, and tells each success.
[[noreturn]] void keep(const std::string& path, int acknowledge, std::uint64_t seed) {
  Random random(seed);
  auto ledger = Ledger::open(path);
  if (!ledger) ::_exit(2);
  auto position = ledger->position(kTable);
  if (!position) ::_exit(3);
  for (std::uint64_t last = *position; last < 100'000;) {
    const std::uint64_t first = last - std::min<std::uint64_t>(last, random.below(3)) + 1;
    last += 1 + random.below(200);
    if (!ledger->append(events(first, last))) ::_exit(4);
    if (::write(acknowledge, &last, sizeof last) != sizeof last) ::_exit(5);
  }
  ::_exit(6);
}

struct Life {
  std::uint64_t acknowledged = 0;
  int status = 0;
};

// Kills it some time after its `patience`-th success; what it said before it died still counts.
Life live(const std::string& path, Random& random) {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  Fd out(ends[0]), in(ends[1]);
  const std::uint64_t seed = random.next();
  const pid_t child = ::fork();
  if (child == 0) keep(path, in.get(), seed);
  in.reset();
  Life life;
  const auto hear = [&] {
    return ::read(out.get(), &life.acknowledged, sizeof(std::uint64_t)) == sizeof(std::uint64_t);
  };
  for (auto patience = random.below(6); patience > 0 && hear(); --patience) {
  }
  // Somewhere within the next append, or the opening.
  for (auto spins = random.below(2'000'000); spins > 0; --spins) (void)random.next();
  ::kill(child, SIGKILL);
  ::waitpid(child, &life.status, 0);
  while (hear()) {
  }
  return life;
}

TEST_CASE("crash: a keeper killed at any moment neither loses nor doubles an event") {
  const std::uint64_t seed = 20261123;
  CAPTURE(seed);
  Random random(seed);
  const Folder folder;
  const std::string path = folder / "ledger.db";
  std::uint64_t acknowledged = 0;
  for (int round = 0; round < 30; ++round) {
    CAPTURE(round);
    const Life life = live(path, random);
    REQUIRE(WIFSIGNALED(life.status));
    acknowledged = std::max(acknowledged, life.acknowledged);
    Ledger ledger = must(Ledger::open(path));
    const auto position = must(ledger.position(kTable));
    CHECK(position >= acknowledged);
    const auto verified = must(ledger.verify());
    CHECK(broken(verified) == "whole");
    CHECK(verified.rows == position);
    std::uint64_t next = 1;
    for (const Row& row : all_rows(path)) {
      REQUIRE(row.seq == next);
      REQUIRE(row.event == event(next++));
    }
    CHECK(next == position + 1);
  }
  CHECK(acknowledged > 0);
}

// What the record should hold, kept by a few lines that share nothing with it.
struct Model {
  std::map<std::uint64_t, std::uint64_t> positions;
  std::map<std::string, int> rows;  // "table/number/kind" -> how often

  void append(const Event& e) {
    if (e.number != 0) {
      std::uint64_t& last = positions[e.table_id];
      if (e.number <= last) return;
      if (last != 0 && e.number > last + 1) row(e.table_id, e.number - 1, "events_lost");
      last = e.number;
    }
    row(e.table_id, e.number, e.kind);
  }
  void row(std::uint64_t table, std::uint64_t number, const std::string& kind) {
    ++rows[std::to_string(table) + "/" + std::to_string(number) + "/" + kind];
  }
};

class World {
 public:
  World(const std::string& path, std::uint64_t seed) : path_(path), random_(seed) { open(); }

  void step() {
    switch (random_.below(6)) {
      case 0: return open();
      case 1: return abandon();
      case 2: return lose();
      default: return append();
    }
  }

  void judge() {
    const auto verified = must(ledger_->verify());
    CHECK(broken(verified) == "whole");
    Model seen;
    for (const Row& row : all_rows(path_)) seen.row(row.event.table_id, row.event.number, row.event.kind);
    CHECK(seen.rows == model_.rows);
    for (const auto& [table, number] : model_.positions) CHECK(must(ledger_->position(table)) == number);
  }

 private:
  std::vector<Event> some() {
    std::vector<Event> batch;
    const std::uint64_t table = 1 + random_.below(3);
    std::uint64_t number = model_.positions[table];
    number -= std::min<std::uint64_t>(number, random_.below(4));
    for (auto count = random_.below(6); count > 0; --count) {
      number += random_.below(8) == 0 ? 2 + random_.below(5) : 1;
      batch.push_back(event(number, random_.below(2) == 0 ? "ready" : "spawned"));
      batch.back().table_id = table;
      if (random_.below(10) == 0) batch.back().number = 0;
    }
    return batch;
  }
  void open() {
    ledger_.reset();
    ledger_.emplace(must(Ledger::open(path_)));
  }
  void append() {
    const auto batch = some();
    must(ledger_->append(batch));
    for (const Event& e : batch) model_.append(e);
  }
  void lose() {
    const std::uint64_t table = 1 + random_.below(3);
    std::uint64_t& last = model_.positions[table];
    const std::uint64_t first = last + 1 - std::min<std::uint64_t>(last, random_.below(3)),
                        count = 1 + random_.below(5);
    const bool is_new = first + count - 1 > last;
    CHECK(must(ledger_->lost({.table_id = table, .first_number = first, .count = count, .until = moment(1)})) ==
          is_new);
    if (!is_new) return;
    last = first + count - 1;
    model_.row(table, last, "events_lost");
  }
  // Another writer's transaction that never came to its end.
  void abandon() {
    auto db = must(Database::open(path_, Database::Access::kWrite));
    auto statements = must(WriterStatements::prepare(db));
    Hasher hasher;
    auto writing = must(Writing::begin(db, statements, hasher));
    Appended appended;
    for (const Event& e : some()) CHECK(writing.take(e, appended));
  }

  std::string path_;
  Random random_;
  std::optional<Ledger> ledger_;
  Model model_;
};

TEST_CASE("record: whatever comes in whatever order, it holds what a model holds") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    const Folder folder;
    World world(folder / "ledger.db", seed);
    for (int i = 0; i < 60; ++i) world.step();
    world.judge();
  }
}

}  // namespace
}  // namespace nines::ledger
