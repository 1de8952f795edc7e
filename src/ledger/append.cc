#include "ledger/append.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace nines::ledger {
namespace {

// Logs whose position is remembered, the latest ones. A table lives for months; a forgotten one never comes back.
constexpr const char* kForgetPositions =
    "DELETE FROM positions WHERE table_id NOT IN (SELECT table_id FROM positions ORDER BY seq DESC LIMIT 64)";

constexpr const char* kInsert =
    "INSERT INTO events (seq, form, table_id, number, boot_id, monotonic_ns, wall_ns, kind, target, pid, incarnation, "
    "a, b, text, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) "
    "ON CONFLICT (boot_id, incarnation, target, pid, table_id) WHERE kind = 'exited' AND incarnation <> 0 DO NOTHING";

// Told through another table: the same process, if it was not started under this one. A service that begins anew on
// the same boot counts incarnations from 1 again, and in a container pids too.
constexpr const char* kExitKnown =
    "SELECT 1 FROM events WHERE kind = 'exited' AND incarnation <> 0 AND boot_id = ?1 AND incarnation = ?2 "
    "AND target = ?3 AND pid = ?4 AND NOT EXISTS (SELECT 1 FROM events WHERE kind = 'spawned' "
    "AND boot_id = ?1 AND incarnation = ?2 AND target = ?3 AND pid = ?4 AND table_id = ?5) LIMIT 1";

// At most `max` bytes, and no character cut in half.
void cut(std::string& text, std::size_t max) {
  if (text.size() <= max) return;
  std::size_t end = max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  text.resize(end);
}

std::string lost_words(std::uint64_t first, std::uint64_t last, std::string_view how) {
  return "numbers " + std::to_string(first) + " to " + std::to_string(last) + " of the log " + std::string(how) +
         ": what they said is unknown";
}

std::int64_t saturated(std::uint64_t count) {
  return static_cast<std::int64_t>(
      std::min(count, static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())));
}

}  // namespace

Result<WriterStatements> WriterStatements::prepare(const Database& db) {
  WriterStatements all;
  const std::pair<Statement*, const char*> list[] = {
      {&all.insert, kInsert},
      {&all.exit_known, kExitKnown},
      {&all.position, "SELECT number FROM positions WHERE table_id = ?1"},
      {&all.latest_position, "SELECT table_id, number FROM positions ORDER BY seq DESC LIMIT 1"},
      {&all.set_position, "INSERT OR REPLACE INTO positions VALUES (?1, ?2, ?3)"},
      {&all.forget_positions, kForgetPositions},
      {&all.set_chain, "UPDATE chain SET anchor_seq = ?1, anchor_hash = ?2, head_seq = ?3, head_hash = ?4"},
      {&all.row,
       "SELECT e.boot_id, e.monotonic_ns FROM positions p JOIN events e ON e.seq = p.seq WHERE p.table_id = ?1"},
  };
  for (const auto& [statement, sql] : list) {
    auto prepared = db.prepare(sql);
    if (!prepared) return failure(std::move(prepared.error()));
    *statement = std::move(*prepared);
  }
  return all;
}

Result<Writing> Writing::begin(const Database& db, WriterStatements& statements, Hasher& hasher) {
  auto transaction = Transaction::begin(db, Transaction::Kind::kWrite);
  if (!transaction) return failure(std::move(transaction.error()));
  // Read anew each time: a keeper that overlaps with its successor must not fork the chain.
  auto ends = ends_of(db);
  if (!ends) return failure(std::move(ends.error()));
  return Writing(db, statements, hasher, std::move(*transaction), *ends);
}

Result<std::uint64_t> Writing::position(std::uint64_t table_id) {
  if (const auto known = places_.find(table_id); known != places_.end()) return known->second.number;
  auto row = statements_.position.bind(table_id).step();
  if (!row) return failure(std::move(row.error()));
  const std::uint64_t number = *row ? statements_.position.number(0) : 0;
  statements_.position.reset();
  places_[table_id].number = number;
  return number;
}

Result<> Writing::take(const Event& event, Appended& appended) {
  if (event.number != 0) {
    auto last = position(event.table_id);
    if (!last) return failure(std::move(last.error()));
    if (event.number <= *last) {
      ++appended.known;
      return {};
    }
    if (*last != 0 && event.number > *last + 1) {
      if (auto noted = missing(event, *last + 1); !noted) return noted;
      appended.lost += event.number - *last - 1;
    }
    places_[event.table_id] = {event.number, true};
    changed_ = true;
  }
  auto inserted = insert(event);
  if (!inserted) return failure(std::move(inserted.error()));
  ++(*inserted ? appended.recorded : appended.repeated_exits);
  return {};
}

Result<> Writing::missing(const Event& before, std::uint64_t first) {
  auto seen = last_seen(before.table_id, before.when.boot_id);
  if (!seen) return failure(std::move(seen.error()));
  auto inserted = insert({.table_id = before.table_id,
                          .number = before.number - 1,
                          .when = before.when,
                          .kind = kind::kEventsLost,
                          .a = saturated(before.number - first),
                          .b = seen->since_boot.count(),
                          .text = lost_words(first, before.number - 1, "never reached the record")});
  if (!inserted) return failure(std::move(inserted.error()));
  return {};
}

Result<Instant> Writing::last_seen(std::uint64_t table_id, const std::string& boot_id) {
  auto row = statements_.row.bind(table_id).step();
  if (!row) return failure(std::move(row.error()));
  Instant at;
  if (*row && statements_.row.text(0) == boot_id) at = Instant{Duration(statements_.row.integer(1))};
  statements_.row.reset();
  return at;
}

Result<bool> Writing::lose(const Loss& loss) {
  if (loss.count == 0) return false;
  const std::uint64_t last =
      loss.first_number + std::min(loss.count - 1, std::numeric_limits<std::uint64_t>::max() - loss.first_number);
  auto position_now = position(loss.table_id);
  if (!position_now) return failure(std::move(position_now.error()));
  if (last <= *position_now) return false;
  const std::uint64_t first = *position_now != 0 ? *position_now + 1 : loss.first_number;
  auto inserted = insert({.table_id = loss.table_id,
                          .number = last,
                          .when = loss.until,
                          .kind = kind::kEventsLost,
                          .a = saturated(last - first + 1),
                          .b = loss.from.since_boot.count(),
                          .text = lost_words(first, last, "were overwritten before the record had them")});
  if (!inserted) return failure(std::move(inserted.error()));
  places_[loss.table_id] = {last, true};
  return true;
}

Result<bool> Writing::exit_known(const Event& event) {
  if (event.kind != kind::kExited || event.incarnation == 0) return false;
  auto row = statements_.exit_known
                 .bind(std::string_view(event.when.boot_id), event.incarnation, std::string_view(event.target),
                       event.pid, event.table_id)
                 .step();
  if (!row) return failure(std::move(row.error()));
  statements_.exit_known.reset();
  return *row;
}

Result<bool> Writing::insert(Event event) {
  cut(event.kind, kKindMax);
  cut(event.target, kTargetMax);
  cut(event.text, kTextMax);
  auto known = exit_known(event);
  if (!known) return failure(std::move(known.error()));
  if (*known) return false;
  const std::uint64_t seq = ends_.head_seq + 1;
  const Hash hash = hasher_(chained_bytes(ends_.head, seq, event));
  auto done = statements_.insert
                  .bind(seq, kForm, event.table_id, event.number, std::string_view(event.when.boot_id),
                        std::int64_t{event.when.at.since_boot.count()},
                        std::int64_t{event.when.wall.time_since_epoch().count()}, std::string_view(event.kind),
                        std::string_view(event.target), event.pid, event.incarnation, event.a, event.b,
                        std::string_view(event.text), Blob(hash))
                  .run();
  if (!done) return failure(std::move(done.error()));
  if (db_.changes() == 0) return false;
  ends_.head_seq = seq;
  ends_.head = hash;
  changed_ = true;
  return true;
}

void Writing::move_anchor(std::uint64_t seq, const Hash& hash) {
  ends_.anchor_seq = seq;
  ends_.anchor = hash;
  changed_ = true;
}

Result<> Writing::commit() {
  if (!changed_) return {};
  auto written =
      statements_.set_chain.bind(ends_.anchor_seq, Blob(ends_.anchor), ends_.head_seq, Blob(ends_.head)).run();
  if (!written) return written;
  bool any_moved = false;
  for (const auto& [table_id, place] : places_) {
    if (!place.moved) continue;
    any_moved = true;
    if (auto set = statements_.set_position.bind(table_id, place.number, ends_.head_seq).run(); !set) return set;
  }
  if (any_moved) {
    if (auto forgotten = statements_.forget_positions.run(); !forgotten) return forgotten;
  }
  return transaction_.commit();
}

}  // namespace nines::ledger
