// A moment as a person types it: `--since 10m`, `--since 22:30`.
#pragma once

#include <chrono>
#include <string_view>
#include <variant>

#include "availability/zone.h"
#include "base/time.h"
#include "config/problem.h"

namespace nines::cli {

struct Moment {
  struct Ago {
    Duration before_now{};
  };
  // When the clock last showed it: of yesterday, if it is still to come today.
  struct Clock {
    std::chrono::seconds since_midnight{};
  };
  // What the clocks of some zone show.
  struct Local {
    availability::LocalTime at;
  };
  std::variant<WallTime, Ago, Clock, Local> value;

  // In the zone of this machine, as its logs are. A time that a change of clocks leaves out becomes one beside it.
  WallTime resolve(WallTime now) const;
  // In that zone. Wrong when its clocks never show it; of two it is the first.
  config::Checked<WallTime> resolve(WallTime now, const availability::Zone& zone) const;
};

// "10m" (so long ago), "2026-11-23T22:30:00Z", with an offset such as +01:00 in place of the Z, or without either and
// then of the zone that whoever resolves it names; so are "2026-11-23 22:30", "2026-11-23" (its beginning), "22:30" and
// "22:30:15".
config::Checked<Moment> parse_moment(std::string_view text);

}  // namespace nines::cli
