// The ledger's file: how it comes to be, how an older one is brought up to date, and whether one is ours and whole.
#pragma once

#include <span>
#include <string>

#include "base/error.h"
#include "ledger/sqlite.h"

namespace nines::ledger {

inline constexpr std::int64_t kApplicationId = 0x6e396c67;  // "n9lg": what `file` and SQLite tell it by

// Step N makes form N + 1 out of form N; the number of steps is the form this version writes (PRAGMA user_version).
// A step that was released never changes.
std::span<const char* const> schema_steps();

// Makes the ledger at `path`, whole or not at all: written beside it, then renamed.
// kExists: somebody was faster. REQUIRES: nothing is there.
Result<> make_ledger(const std::string& path, std::span<const char* const> steps = schema_steps());

// Takes the steps that are missing, each in a transaction of its own.
Result<> migrate(const Database& db, std::span<const char* const> steps = schema_steps());

// Ours, and of a form we know: kRefused if not; kInvalid if it contradicts itself.
Result<> check_identity(const Database& db, std::span<const char* const> steps = schema_steps());

// Its pages, and the chain of its last rows: kInvalid if damaged.
Result<> check_health(const Database& db);

}  // namespace nines::ledger
