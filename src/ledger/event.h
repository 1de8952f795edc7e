// What the record holds, as plain values: an event as it arrives, a row as it is kept, and what became unknown.
// Nothing here asks for the time: boot time and wall time come from whoever saw the event.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/time.h"

namespace nines::ledger {

// SHA-256.
using Hash = std::array<std::uint8_t, 32>;

// When something happened, as one machine saw it.
struct Moment {
  std::string boot_id;  // /proc/sys/kernel/random/boot_id: instants of different boots do not compare
  Instant at;           // CLOCK_BOOTTIME
  WallTime wall{};      // may jump: for people, never for durations

  friend bool operator==(const Moment&, const Moment&) = default;
};

// Kinds the ledger itself knows; all others are the caller's words and are kept as they are.
namespace kind {
inline constexpr char kExited[] = "exited";              // recorded once for each process, however often it is told
inline constexpr char kSpawned[] = "spawned";            // tells a process from an earlier one with the same numbers
inline constexpr char kEventsLost[] = "events_lost";     // a: how many, b: after this boot time (ns), 0: not known
inline constexpr char kSetAside[] = "ledger_set_aside";  // text: why, and where the damaged ledger is
inline constexpr char kPruned[] = "ledger_pruned";       // a: rows removed, b: seq of the last, text: its hash
}  // namespace kind

struct Event {
  // The log it comes from, and its number there (1, 2, 3 …). Number 0: it is in no log; the keeper itself tells it.
  std::uint64_t table_id = 0;
  std::uint64_t number = 0;
  Moment when;
  std::string kind;    // what happened; cut at kKindMax bytes
  std::string target;  // to whom: a replica's name or a part; cut at kTargetMax bytes
  std::uint32_t pid = 0;
  std::uint64_t incarnation = 0;
  std::int64_t a = 0, b = 0;  // their meaning depends on the kind
  std::string text;           // UTF-8; cut at kTextMax bytes

  friend bool operator==(const Event&, const Event&) = default;
};
inline constexpr std::size_t kKindMax = 64;
inline constexpr std::size_t kTargetMax = 256;
inline constexpr std::size_t kTextMax = 4096;

// Events of a log that nobody could read any more: numbers first_number to first_number + count - 1.
struct Loss {
  std::uint64_t table_id = 0;
  std::uint64_t first_number = 1;
  std::uint64_t count = 0;
  Instant from;  // they happened after this
  Moment until;  // and not after this
};

// An event as the record keeps it.
struct Row {
  std::uint64_t seq = 0;  // 1, 2, 3 … of this ledger, without gaps
  Event event;
  Hash hash{};  // over the row before and this one: ledger/chain.h
};

}  // namespace nines::ledger
