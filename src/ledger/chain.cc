#include "ledger/chain.h"

#include <sys/stat.h>

#include <algorithm>
#include <optional>
#include <utility>

#include <openssl/evp.h>

#include "base/check.h"

namespace nines::ledger {
namespace {

void put(std::string& bytes, std::uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 0xff);
}
void put(std::string& bytes, std::int64_t value) { put(bytes, static_cast<std::uint64_t>(value)); }
void put(std::string& bytes, std::string_view value) {
  put(bytes, std::uint64_t{value.size()});
  bytes += value;
}

Hash hash_of(Blob blob) {
  Hash hash{};
  if (blob.size() == hash.size()) std::ranges::copy(blob, hash.begin());
  return hash;
}

// One walk along the rows: what must come next, and the first thing that is not so.
class Walk {
 public:
  Walk(const Ends& ends, std::uint64_t after, const Hash& hash) : ends_(ends), previous_(hash), next_(after + 1) {}

  void take(const Row& row, std::int64_t form) {
    if (row.seq != next_) {
      const auto seq = static_cast<std::int64_t>(row.seq);
      return stop(next_, seq > static_cast<std::int64_t>(next_)
                             ? "it is missing"
                             : "row " + std::to_string(seq) + " stands in its place");
    }
    if (form != kForm) return stop(next_, "it has form " + std::to_string(form) + ", which this version does not know");
    if (hasher_(chained_bytes(previous_, row.seq, row.event)) != row.hash)
      return stop(next_, "its hash does not fit it and the row before: one of the two was changed");
    if (found_.rows++ == 0) found_.first_seq = row.seq;
    found_.last_seq = row.seq;
    found_.last_hash = row.hash;
    previous_ = row.hash;
    ++next_;
    if (row.event.kind == kind::kPruned) pruned_ = row.event;
  }

  void stop(std::uint64_t seq, std::string why) { found_.broken = Break{seq, std::move(why)}; }
  bool stopped() const { return found_.broken.has_value(); }
  std::uint64_t next() const { return next_; }

  Verification end(bool from_anchor) {
    if (stopped()) return std::move(found_);
    if (next_ != ends_.head_seq + 1) {
      stop(next_, "it is missing, and all after it: the record ended with row " + std::to_string(ends_.head_seq));
    } else if (previous_ != ends_.head) {
      stop(ends_.head_seq, "it is not the row that was written last");
    } else if (from_anchor && ends_.anchor_seq > 0 && !anchor_is_told()) {
      stop(ends_.anchor_seq, "the rows up to it were removed, but not by nines: no row says so");
    }
    return std::move(found_);
  }

 private:
  bool anchor_is_told() const {
    return pruned_ && static_cast<std::uint64_t>(pruned_->b) == ends_.anchor_seq && pruned_->text == hex(ends_.anchor);
  }

  const Ends& ends_;
  Hash previous_;
  std::uint64_t next_;
  Hasher hasher_;
  std::optional<Event> pruned_;
  Verification found_;
};

}  // namespace

Row row_of(const Statement& s) {
  Row row;
  row.seq = s.number(0);
  row.event = {.table_id = s.number(1),
               .number = s.number(2),
               .when = {.boot_id = std::string(s.text(3)),
                        .at = Instant{Duration(s.integer(4))},
                        .wall = WallTime(Duration(s.integer(5)))},
               .kind = std::string(s.text(6)),
               .target = std::string(s.text(7)),
               .pid = static_cast<std::uint32_t>(s.integer(8)),
               .incarnation = s.number(9),
               .a = s.integer(10),
               .b = s.integer(11),
               .text = std::string(s.text(12))};
  row.hash = hash_of(s.blob(13));
  return row;
}

std::string chained_bytes(const Hash& previous, std::uint64_t seq, const Event& event) {
  std::string bytes(previous.begin(), previous.end());
  bytes.reserve(256 + event.text.size());
  put(bytes, kForm);
  put(bytes, seq);
  put(bytes, event.table_id);
  put(bytes, event.number);
  put(bytes, event.when.boot_id);
  put(bytes, std::int64_t{event.when.at.since_boot.count()});
  put(bytes, std::int64_t{event.when.wall.time_since_epoch().count()});
  put(bytes, event.kind);
  put(bytes, event.target);
  put(bytes, std::uint64_t{event.pid});
  put(bytes, event.incarnation);
  put(bytes, event.a);
  put(bytes, event.b);
  put(bytes, event.text);
  return bytes;
}

struct Hasher::Context {
  EVP_MD* method;
  EVP_MD_CTX* state;
};

Hasher::Hasher() : context_(new Context{EVP_MD_fetch(nullptr, "SHA256", nullptr), EVP_MD_CTX_new()}) {
  INVARIANT(context_->method != nullptr && context_->state != nullptr);
}

void Hasher::Free::operator()(Context* context) const {
  EVP_MD_CTX_free(context->state);
  EVP_MD_free(context->method);
  delete context;
}

Hash Hasher::operator()(std::string_view bytes) {
  Hash hash{};
  unsigned length = 0;
  const bool done = EVP_DigestInit_ex2(context_->state, context_->method, nullptr) == 1 &&
                    EVP_DigestUpdate(context_->state, bytes.data(), bytes.size()) == 1 &&
                    EVP_DigestFinal_ex(context_->state, hash.data(), &length) == 1;
  INVARIANT(done && length == hash.size());
  return hash;
}

std::string hex(const Hash& hash) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : hash) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

Result<Ends> ends_of(const Database& db) {
  auto statement = db.prepare("SELECT anchor_seq, anchor_hash, head_seq, head_hash FROM chain");
  if (!statement) return failure(std::move(statement.error()));
  auto row = statement->step();
  if (!row) return failure(std::move(row.error()));
  if (!*row) return failure(Code::kInvalid, "the file is damaged: it does not say where its chain ends");
  return Ends{statement->number(0), hash_of(statement->blob(1)), statement->number(2), hash_of(statement->blob(3))};
}

Result<Hash> hash_at(const Database& db, std::uint64_t seq) {
  auto statement = db.prepare("SELECT hash FROM events WHERE seq = ?1");
  if (!statement) return failure(std::move(statement.error()));
  auto row = statement->bind(seq).step();
  if (!row) return failure(std::move(row.error()));
  if (!*row) return failure(Code::kInvalid, "the file is damaged: row " + std::to_string(seq) + " is missing");
  return hash_of(statement->blob(0));
}

Result<Size> size_of(const Database& db) {
  auto ends = ends_of(db);
  if (!ends) return failure(std::move(ends.error()));
  Size size{.rows = ends->head_seq - ends->anchor_seq};
  for (const char* part : {"", "-wal"}) {
    struct stat status{};
    if (::stat((db.path() + part).c_str(), &status) == 0) size.bytes += static_cast<std::uint64_t>(status.st_size);
  }
  auto oldest = db.prepare("SELECT wall_ns FROM events ORDER BY seq LIMIT 1");
  if (!oldest) return failure(std::move(oldest.error()));
  auto row = oldest->step();
  if (!row) return failure(std::move(row.error()));
  if (*row) size.oldest = WallTime(Duration(oldest->integer(0)));
  return size;
}

Result<Verification> walk(const Database& db, std::uint64_t after) {
  auto ends = ends_of(db);
  if (!ends) return failure(std::move(ends.error()));
  const bool from_anchor = after <= ends->anchor_seq;
  Hash hash = ends->anchor;
  if (!from_anchor) {
    auto at = hash_at(db, after);
    if (!at) return failure(std::move(at.error()));
    hash = *at;
  }
  // From the anchor on, rows that should not be there any more are looked at too.
  const std::uint64_t start = from_anchor ? ends->anchor_seq : after;
  auto rows = db.prepare(std::string("SELECT ") + kRowColumns + " FROM events WHERE seq > ?1 ORDER BY seq");
  if (!rows) return failure(std::move(rows.error()));
  rows->bind(from_anchor ? std::int64_t{INT64_MIN} : static_cast<std::int64_t>(after));
  Walk walk(*ends, start, hash);
  while (!walk.stopped()) {
    auto row = rows->step();
    if (!row && row.error().code() == Code::kInvalid) {
      walk.stop(walk.next(), row.error().text());
    } else if (!row) {
      return failure(std::move(row.error()));
    } else if (!*row) {
      break;
    } else {
      walk.take(row_of(*rows), rows->integer(kFormColumn));
    }
  }
  Verification found = walk.end(from_anchor);
  if (found.broken || !from_anchor) return found;
  // The rows are whole; what leads to them may not be.
  auto indexes = db.text("PRAGMA integrity_check(1)");
  if (!indexes && indexes.error().code() != Code::kInvalid) return failure(std::move(indexes.error()));
  const std::string said = indexes ? *indexes : indexes.error().text();
  if (said != "ok")
    found.broken = Break{0, "every row is whole, but the file around them is damaged (SQLite: " + said + ")"};
  return found;
}

}  // namespace nines::ledger
