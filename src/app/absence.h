// What is to be said of the time in which nothing of the service ran: between the last sign of life and the first
// keeper of a new shared table. It was down then, since nines is in the data path. Of what lies before that sign, and
// was not recorded, nothing is known, and neither is of the last moments before an end that nobody ordered. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/beacon.h"
#include "ledger/ledger.h"
#include "ledger/maintenance.h"

namespace nines::app {

struct Absence {
  enum class Why : std::uint8_t {
    kStopped,  // a person ended it, in order
    kKilled,   // on this boot, and nobody said that it would end
    kHost,     // the machine was restarted
  };
  Why why{};
  std::int64_t from = 0, to = 0;  // Unix seconds: down
  std::string text;
  bool operator==(const Absence&) const = default;
};

// What is left of the table before this one.
struct Remains {
  std::optional<ledger::Sampled> last;  // how far slices were recorded
  std::optional<SignOfLife> sign;
  struct Stop {
    std::string by;
    std::uint64_t table_id = 0;
  };
  std::optional<Stop> stop;  // by the record, if it has no start after that
};

// nullopt: there was no time between, or nothing says when it began.
std::optional<Absence> absence_of(const Remains& remains, const std::string& boot_id, WallTime now);

// The time between, in order: in declared maintenance, or not.
std::vector<ledger::Stretch> stretches_of(std::int64_t from, std::int64_t to, const ledger::Maintenance& maintenance);

}  // namespace nines::app
