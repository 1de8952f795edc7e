// The hash chain of the record: each row's hash covers the row and the hash of the row before it, so a row that was
// changed, removed, added or moved is found by whoever walks the chain. It guards against accidents and quiet edits,
// not against somebody who may write the file and computes all hashes anew: for that, keep a copy of the last hash
// elsewhere.
//
// What is hashed (form 1), all of it one after the other:
//
//   the hash of the row before             32 bytes; zeros before row 1
//   form, seq, table_id, number            8 bytes each
//   boot_id                                8 bytes length, then its bytes
//   monotonic_ns, wall_ns                  8 bytes each
//   kind, target                           as boot_id
//   pid, incarnation, a, b                 8 bytes each
//   text                                   as boot_id
//
// Integers and lengths are 64 bits, big-endian, two's complement. A later form may add columns: each row says its own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"
#include "ledger/event.h"
#include "ledger/ledger.h"
#include "ledger/sqlite.h"

namespace nines::ledger {

inline constexpr std::int64_t kForm = 1;

// The columns that make a Row, in the order row_of() reads them.
inline constexpr char kRowColumns[] =
    "seq, table_id, number, boot_id, monotonic_ns, wall_ns, kind, target, pid, incarnation, a, b, text, hash, form";
Row row_of(const Statement& statement);
inline constexpr int kFormColumn = 14;

std::string chained_bytes(const Hash& previous, std::uint64_t seq, const Event& event);

// SHA-256, its context made once.
class Hasher {
 public:
  Hasher();
  Hash operator()(std::string_view bytes);

 private:
  struct Context;
  struct Free {
    void operator()(Context* context) const;
  };
  std::unique_ptr<Context, Free> context_;
};

std::string hex(const Hash& hash);

// Both ends of what is there.
struct Ends {
  std::uint64_t anchor_seq = 0;  // the last row that was removed, 0: none was
  Hash anchor{};                 // its hash
  std::uint64_t head_seq = 0;    // the last row
  Hash head{};
};
Result<Ends> ends_of(const Database& db);

// kInvalid: there is no such row.
Result<Hash> hash_at(const Database& db, std::uint64_t seq);

Result<Size> size_of(const Database& db);

// Walks the rows behind `after` (and the anchor) to the last. REQUIRES: within a transaction, if others may write.
Result<Verification> walk(const Database& db, std::uint64_t after);

}  // namespace nines::ledger
