// The time zone of a report, by its name: from the database that is installed on this machine.
#pragma once

#include <string>

#include "availability/zone.h"
#include "config/problem.h"

namespace nines::cli {

inline constexpr const char* kZoneFolder = "/usr/share/zoneinfo";

// "Europe/Stockholm". "UTC" needs no database. Blocks while it reads a file; the names of all of them where there is no
// such one, to say which is the nearest.
config::Checked<availability::Zone> find_zone(const std::string& name, const std::string& folder = kZoneFolder);

// "2026-11-27 13:02:10+01:00", of UTC "2026-11-27 12:02:10Z"
std::string local_text(WallTime t, const availability::Zone& zone);

}  // namespace nines::cli
