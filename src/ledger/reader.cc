#include "ledger/reader.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <functional>
#include <utility>

#include "base/check.h"
#include "ledger/chain.h"
#include "ledger/course.h"
#include "ledger/incident_rows.h"
#include "ledger/schema.h"
#include "ledger/slices.h"
#include "ledger/sqlite.h"

namespace nines::ledger {
namespace {

std::unexpected<Error> about(const std::string& path, Error error) {
  return failure(std::move(error).in("the ledger " + path));
}

Result<Database> open_checked(const std::string& path, Database::Access access) {
  auto db = Database::open(path, access);
  if (!db) return db;
  if (auto ours = check_identity(*db); !ours) return failure(std::move(ours.error()));
  auto form = db->integer("PRAGMA user_version");
  if (!form) return failure(std::move(form.error()));
  if (static_cast<std::size_t>(*form) < schema_steps().size())
    return failure(Code::kUnavailable, "an older nines wrote it; start this version's `nines up` once");
  return db;
}

std::string sql_of(const Query& query) {
  std::string sql = std::string("SELECT ") + kRowColumns + " FROM events WHERE seq > ?1";
  // Parameters that are not in the text would be an error to bind; these two always are.
  sql += query.target ? " AND target = ?2" : " AND ?2 IS NOT NULL";
  sql += query.kind ? " AND kind = ?3" : " AND ?3 IS NOT NULL";
  sql += query.newest ? " ORDER BY seq DESC LIMIT ?4" : " ORDER BY seq LIMIT ?4";
  return sql;
}

// All rows of these kinds, in their order.
Result<> for_each_of(const Database& db, std::span<const std::string_view> kinds,
                     const std::function<void(const Row&)>& take) {
  std::string list;
  for (const std::string_view kind : kinds) list += (list.empty() ? "'" : ", '") + std::string(kind) + "'";
  auto statement =
      db.prepare(std::string("SELECT ") + kRowColumns + " FROM events WHERE kind IN (" + list + ") ORDER BY seq");
  if (!statement) return failure(std::move(statement.error()));
  while (true) {
    auto row = statement->step();
    if (!row) return failure(std::move(row.error()));
    if (!*row) return {};
    take(row_of(*statement));
  }
}

}  // namespace

struct Reader::Open {
  Database db;
  bool held = false;

  Result<std::vector<Row>> rows(const Query& query) const {
    auto statement = db.prepare(sql_of(query));
    if (!statement) return failure(std::move(statement.error()));
    const std::string target = query.target.value_or(""), kind = query.kind.value_or("");
    statement->bind(query.after_seq, std::string_view(target), std::string_view(kind), std::min(query.limit, kRowsMax));
    std::vector<Row> found;
    while (true) {
      auto row = statement->step();
      if (!row) return failure(std::move(row.error()));
      if (!*row) break;
      found.push_back(row_of(*statement));
    }
    if (query.newest) std::ranges::reverse(found);
    return found;
  }

  Result<std::vector<KindCount>> counts_by_kind() const {
    auto statement = db.prepare("SELECT kind, count(*) FROM events GROUP BY kind ORDER BY kind");
    if (!statement) return failure(std::move(statement.error()));
    std::vector<KindCount> counts;
    while (true) {
      auto row = statement->step();
      if (!row) return failure(std::move(row.error()));
      if (!*row) return counts;
      counts.push_back({std::string(statement->text(0)), statement->number(1)});
    }
  }

  // In one state of the file, however many statements it takes.
  template <class Ask>
  auto at_once(const Ask& ask) const -> decltype(ask(db)) {
    if (held) {
      auto answer = ask(db);
      return answer ? std::move(answer) : about(db.path(), std::move(answer.error()));
    }
    auto transaction = Transaction::begin(db, Transaction::Kind::kRead);
    auto answer = transaction ? ask(db) : failure(std::move(transaction.error()));
    if (!answer) return about(db.path(), std::move(answer.error()));
    return answer;
  }
};

Reader::Reader(std::unique_ptr<Open> open) : open_(std::move(open)) {}
Reader::Reader(Reader&&) noexcept = default;
Reader& Reader::operator=(Reader&&) noexcept = default;
Reader::~Reader() = default;

Result<Reader> Reader::open(const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT)
    return failure(Code::kNotFound, "there is no ledger " + path + " yet; `nines up` makes it");
  auto db = open_checked(path, Database::Access::kRead);
  // In a folder that may not be written SQLite cannot make its shared memory. Without a write-ahead log nobody writes,
  // and the file can be read as it is.
  if (!db && db.error().code() == Code::kIo && ::access((path + "-wal").c_str(), F_OK) != 0)
    db = open_checked(path, Database::Access::kReadUnchanging);
  if (!db) return about(path, std::move(db.error()));
  return Reader(std::make_unique<Open>(std::move(*db)));
}

Result<Reader::Held> Reader::hold() const {
  INVARIANT(!open_->held);
  auto transaction = Transaction::begin(open_->db, Transaction::Kind::kRead);
  if (!transaction) return about(open_->db.path(), std::move(transaction.error()));
  open_->held = true;
  const auto release = [open = open_.get()](const Transaction* held) {
    delete held;
    open->held = false;
  };
  return Held(std::shared_ptr<const Transaction>(new Transaction(std::move(*transaction)), release));
}

bool Reader::is_held() const { return open_->held; }

Result<std::vector<Row>> Reader::rows(const Query& query) const {
  auto rows = open_->rows(query);
  if (!rows) return about(open_->db.path(), std::move(rows.error()));
  return rows;
}

Result<std::vector<KindCount>> Reader::counts_by_kind() const {
  auto counts = open_->counts_by_kind();
  if (!counts) return about(open_->db.path(), std::move(counts.error()));
  return counts;
}

Result<std::vector<Slice>> Reader::slices(Grain grain, std::int64_t from, std::int64_t to) const {
  return open_->at_once([&](const Database& db) { return slices_of(db, grain, from, to); });
}

Result<Total> Reader::total(std::int64_t from, std::int64_t to) const {
  return open_->at_once([&](const Database& db) { return total_of(db, from, to); });
}

Result<Course> Reader::course(std::int64_t from, std::int64_t to) const {
  return open_->at_once([&](const Database& db) { return course_of(db, from, to); });
}

Result<std::optional<Sampled>> Reader::latest_sampled() const {
  return open_->at_once([](const Database& db) { return ledger::latest_sampled(db); });
}

Result<std::optional<std::int64_t>> Reader::measured_since() const {
  return open_->at_once([](const Database& db) { return ledger::measured_since(db); });
}

Result<Maintenance> Reader::maintenance() const {
  return open_->at_once([](const Database& db) -> Result<Maintenance> {
    Maintenance maintenance;
    const std::array kinds = {Maintenance::kPlanned, Maintenance::kEnded};
    auto read = for_each_of(db, kinds, [&](const Row& row) { maintenance.add(row.event); });
    return read ? Result<Maintenance>(std::move(maintenance)) : failure(std::move(read.error()));
  });
}

Result<Corrections> Reader::corrections() const {
  return open_->at_once([](const Database& db) -> Result<Corrections> {
    Corrections corrections;
    auto read = for_each_of(db, std::array{Corrections::kKind}, [&](const Row& row) { corrections.add(row); });
    return read ? Result<Corrections>(std::move(corrections)) : failure(std::move(read.error()));
  });
}

Result<std::vector<Incident>> Reader::incidents(const availability::Interval& window) const {
  return open_->at_once([&](const Database& db) { return incidents_in(db, window); });
}

Result<std::optional<SliceBreak>> Reader::check_slices() const {
  return open_->at_once([](const Database& db) { return ledger::check_slices(db); });
}

Result<Size> Reader::size() const {
  return open_->at_once([](const Database& db) { return size_of(db); });
}

Result<Verification> Reader::verify() const {
  return open_->at_once([](const Database& db) { return walk(db, 0); });
}

}  // namespace nines::ledger
