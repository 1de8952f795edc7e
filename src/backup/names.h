// Archives are named after the moment they were begun, in UTC: backup-20261124-020000.tar.zst. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/time.h"

namespace nines::backup {

// "20261124-020000"
std::string stamp_of(WallTime t);
std::string archive_name(WallTime t);
// nullopt: not the name of an archive. To the second.
std::optional<WallTime> time_of(std::string_view archive_name);
// The name for this moment, or of the first second after it that no archive has.
std::string free_name(WallTime t, std::span<const std::string> taken);

// "2026-11-24T02:00:00.123Z", as format_rfc3339() writes it.
std::optional<WallTime> parse_time(std::string_view rfc3339);

}  // namespace nines::backup
