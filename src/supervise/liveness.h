// When a replica that does not answer is started again, though its process lives. Pure.
//
// A busy server is not dead, so the gateway's verdict alone restarts nobody: the replica must have been unready for
// `after`, and in all that time no byte may have come from it. And what all of them fail at is probably something they
// share, a database or a disk, which no restart mends: then one is tried, and the next only once that one is ready.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "base/time.h"
#include "supervise/replica.h"

namespace nines::supervise {

struct Patient {
  State state = State::kStopped;
  bool wanted = true;  // no person keeps it stopped
  Instant since{};     // in this state
  Instant progress{};  // when the last byte came from it
};

// Which one is given up now: the longest silent of those that may be. `enough`: how many others must be ready before
// more than one may be down for it at a time (Fleet::enough_ready()).
std::optional<std::size_t> whom_to_restart(std::span<const Patient> all, Duration after, int enough, Instant now);

}  // namespace nines::supervise
