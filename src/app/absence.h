// What is to be said of the time in which nothing of the service ran: between the last slice of the record and the
// first keeper of a new shared table. It was down then, since nines is in the data path; only of the last moments
// before the end, which nobody recorded, nothing is known. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ledger/event.h"
#include "ledger/ledger.h"

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

// `last`: how far slices were recorded. `stopping`: the last row of the record that says that the service is going
// down, unless one that it was started comes after it. nullopt: there was no time between.
std::optional<Absence> absence_of(const ledger::Sampled& last, const std::optional<ledger::Row>& stopping,
                                  const std::string& boot_id, WallTime now);

}  // namespace nines::app
