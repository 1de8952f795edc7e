#include "ledger/incident_rows.h"

#include <algorithm>
#include <string>

#include "ledger/slices.h"

namespace nines::ledger {
namespace {

// One that began so long before is still heard of.
constexpr Duration kLongestIncident = 31 * 24h;
// Looked at besides, at each end: rows of the moment between a step of the clock and the row that tells of it.
constexpr std::uint64_t kBeside = 64;
// More steps than that, and nothing is searched for: all is read.
constexpr std::size_t kPartsMax = 1000;

std::int64_t ns(WallTime t) { return t.time_since_epoch().count(); }

// The first row from [first, end) that is not before `wall`; `end`: none. Rows ascend there.
Result<std::uint64_t> first_from(Statement& wall_of, Seqs within, std::int64_t wall) {
  auto [first, end] = within;
  while (first < end) {
    const std::uint64_t middle = first + (end - first) / 2;
    auto row = wall_of.bind(middle).step();
    if (!row) return failure(std::move(row.error()));
    if (*row && wall_of.integer(0) < wall) {
      first = middle + 1;
    } else {
      end = middle;
    }
  }
  return first;
}

// Where wall time may go back: each of these rows begins a part.
Result<std::vector<Seqs>> parts_of(const Database& db, Seqs all) {
  auto steps = db.prepare(
      "SELECT seq FROM events WHERE kind IN ('clock_stepped', 'host_down', 'service_started') ORDER BY seq LIMIT ?1");
  if (!steps) return failure(std::move(steps.error()));
  steps->bind(static_cast<std::int64_t>(kPartsMax + 1));
  std::vector<Seqs> parts{all};
  while (true) {
    auto row = steps->step();
    if (!row) return failure(std::move(row.error()));
    if (!*row) return parts;
    const std::uint64_t seq = steps->number(0);
    if (seq == parts.back().first) continue;
    parts.back().end = seq;
    parts.push_back({seq, all.end});
  }
}

Result<Seqs> seqs_of_all(const Database& db) {
  // Two selects: SQLite finds an end at once, and both together by reading everything between.
  auto ends =
      db.prepare("SELECT coalesce((SELECT min(seq) FROM events), 0), coalesce((SELECT max(seq) FROM events), -1) + 1");
  if (!ends) return failure(std::move(ends.error()));
  auto row = ends->step();
  if (!row) return failure(std::move(row.error()));
  return *row ? Seqs{ends->number(0), ends->number(1)} : Seqs{};
}

std::string list_of(std::span<const std::string_view> kinds) {
  std::string list;
  for (const std::string_view kind : kinds) list += (list.empty() ? "'" : ", '") + std::string(kind) + "'";
  return list;
}

constexpr const char* kHappened = "SELECT seq, table_id, wall_ns, kind, target, a, b, text FROM events WHERE ";

// Looked at here rather than by SQLite, which takes four times as long to compare a word with twenty. As bytes: it need
// not be copied for a NUL at its end.
bool is_told(const Statement& row) {
  const Blob bytes = row.blob(3);
  const std::string_view kind(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return std::ranges::find(Incidents::kinds(), kind) != Incidents::kinds().end();
}

// What happened, without what only the chain needs.
Row happened(const Statement& row) {
  return {.seq = row.number(0),
          .event = {.table_id = row.number(1),
                    .when = {.boot_id = {}, .at = {}, .wall = WallTime(Duration(row.integer(2)))},
                    .kind = std::string(row.text(3)),
                    .target = std::string(row.text(4)),
                    .a = row.integer(5),
                    .b = row.integer(6),
                    .text = std::string(row.text(7))}};
}

// A shared table that ended in the middle took the count of its part along. The slices have all of it, and some of the
// requests that failed within ten seconds of the incident's ends.
Result<> count_failed(const Database& db, Incident& incident) {
  if (!incident.counted_in_part || !incident.ended) return {};
  const auto second = [](WallTime t) { return std::chrono::floor<std::chrono::seconds>(t).time_since_epoch().count(); };
  constexpr std::int64_t kFinest = 10, kMinute = 60;
  const std::int64_t from = start_of(Grain::kTenSeconds, second(incident.first_bad)),
                     to = start_of(Grain::kTenSeconds, second(*incident.ended) + kFinest - 1);
  auto total = total_of(db, from, std::max(from, to));
  if (!total) return failure(std::move(total.error()));
  // From coarser slices it would be a guess.
  if (total->from + kMinute <= from || total->to >= to + kMinute) return {};
  if (total->sum.bad < incident.failed_requests) return {};
  incident.failed_requests = total->sum.bad;
  incident.counted_in_part = false;
  return {};
}

}  // namespace

Result<std::vector<Seqs>> seqs_in(const Database& db, const availability::Interval& window) {
  const auto all = seqs_of_all(db);
  if (!all) return failure(all.error());
  if (all->first == all->end) return {};
  auto parts = parts_of(db, *all);
  if (!parts) return failure(std::move(parts.error()));
  if (parts->size() > kPartsMax) return std::vector{*all};
  auto wall_of = db.prepare("SELECT wall_ns FROM events WHERE seq = ?1");
  if (!wall_of) return failure(std::move(wall_of.error()));
  std::vector<Seqs> found;
  for (const Seqs& part : *parts) {
    const auto first = first_from(*wall_of, part, ns(window.begin));
    if (!first) return failure(first.error());
    const auto end = first_from(*wall_of, {*first, part.end}, ns(window.end));
    if (!end) return failure(end.error());
    const Seqs seqs{*first > all->first + kBeside ? *first - kBeside : all->first, std::min(*end + kBeside, all->end)};
    if (!found.empty() && seqs.first <= found.back().end) {
      found.back().end = std::max(found.back().end, seqs.end);
    } else {
      found.push_back(seqs);
    }
  }
  return found;
}

Result<std::vector<Incident>> incidents_in(const Database& db, const availability::Interval& window) {
  const availability::Interval concerned{window.begin - kLongestIncident, window.end + Incidents::kBefore};
  const auto parts = seqs_in(db, concerned);
  if (!parts) return failure(parts.error());
  auto statement = db.prepare(kHappened + std::string("seq >= ?1 AND seq < ?2 ORDER BY seq"));
  if (!statement) return failure(std::move(statement.error()));
  Incidents incidents;
  for (const Seqs& part : *parts) {
    statement->bind(part.first, part.end);
    while (true) {
      auto row = statement->step();
      if (!row) return failure(std::move(row.error()));
      if (!*row) break;
      if (is_told(*statement) && concerned.contains(WallTime(Duration(statement->integer(2)))))
        incidents.add(happened(*statement));
    }
  }
  auto remarks = db.prepare(kHappened + ("kind IN (" + list_of(Incidents::remark_kinds()) + ") ORDER BY seq"));
  if (!remarks) return failure(std::move(remarks.error()));
  while (true) {
    auto row = remarks->step();
    if (!row) return failure(std::move(row.error()));
    if (!*row) break;
    incidents.add(happened(*remarks));
  }
  auto all = incidents.all();
  for (Incident& incident : all)
    if (auto counted = count_failed(db, incident); !counted) return failure(std::move(counted.error()));
  return all;
}

}  // namespace nines::ledger
