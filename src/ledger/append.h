// One transaction of the record's writer: rows chained to the last, positions behind them. For ledger.cc only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/error.h"
#include "ledger/chain.h"
#include "ledger/event.h"
#include "ledger/ledger.h"
#include "ledger/sqlite.h"

namespace nines::ledger {

// The statements a writer needs, made once.
struct WriterStatements {
  static Result<WriterStatements> prepare(const Database& db);

  Statement insert, exit_known, position, latest_position, set_position, forget_positions, set_chain, row;
};

// Begin, any number of the verbs, commit. Without commit nothing of it happened.
class Writing {
 public:
  static Result<Writing> begin(const Database& db, WriterStatements& statements, Hasher& hasher);

  // As Ledger::append says of one event; counts in `appended`.
  Result<> take(const Event& event, Appended& appended);
  // As Ledger::lost.
  Result<bool> lose(const Loss& loss);
  // A row of the ledger's own; true unless it is an exit that is known already.
  Result<bool> insert(Event event);

  const Ends& ends() const { return ends_; }
  void move_anchor(std::uint64_t seq, const Hash& hash);
  // Writes where the chain and the logs are now. Nothing new: nothing is written, and no fsync waited for.
  Result<> commit();

 private:
  Writing(const Database& db, WriterStatements& statements, Hasher& hasher, Transaction transaction, const Ends& ends)
      : db_(db), statements_(statements), hasher_(hasher), transaction_(std::move(transaction)), ends_(ends) {}
  Result<std::uint64_t> position(std::uint64_t table_id);
  Result<> missing(const Event& before, std::uint64_t first);
  Result<bool> exit_known(const Event& event);
  Result<Instant> last_seen(std::uint64_t table_id, const std::string& boot_id);

  const Database& db_;
  WriterStatements& statements_;
  Hasher& hasher_;
  Transaction transaction_;
  Ends ends_;
  bool changed_ = false;
  // Of the logs that were asked about: their position, and whether it moved.
  struct Place {
    std::uint64_t number = 0;
    bool moved = false;
  };
  std::map<std::uint64_t, Place> places_;
};

}  // namespace nines::ledger
