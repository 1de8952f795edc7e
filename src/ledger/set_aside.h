// Moving a damaged ledger out of the way without losing a byte of it.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "base/time.h"

namespace nines::ledger {

// Moves `path` with its write-ahead log to PATH.damaged-YYYYmmdd-HHMMSS (UTC; with a number behind it if that is taken)
// and returns the new path. kLimit: kSetAsideMax are there already.
Result<std::string> set_aside(const std::string& path, WallTime now);

// The one that was set aside last.
std::optional<std::string> last_set_aside(const std::string& path);

}  // namespace nines::ledger
