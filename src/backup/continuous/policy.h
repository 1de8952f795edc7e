// What a look at the database asks for. Pure: the looking and the doing are in capture.h.
//
// Nothing is locked ("observe"), so between two looks the log may have been reset, and commits gone into the database
// file that were never seen in the log. Then, and only then, all pages are compared inside one read transaction.
#pragma once

#include <cstdint>
#include <optional>

#include "backup/continuous/segment.h"
#include "base/time.h"

namespace nines::backup::continuous {

struct Sight {
  bool wal_mode = false;
  std::optional<WalHeader> log;  // nothing: no -wal, or an empty one
  bool last_there = false;       // where the last frame was that was captured, it still is
  bool more_behind = false;      // and behind it is something that may be another frame of the same generation
  bool file_changed = false;     // the database file, since it was compared
  std::uint32_t change_counter = 0;
};

enum class Order : std::uint8_t {
  kNothing,
  kWait,           // pages are to be compared, but they were just now
  kReadOn,         // the log, from where we are
  kReadNext,       // the log, from its beginning: it was reset, and nothing is missing in between
  kCompare,        // all pages
  kCompareForked,  // all pages; and what was captured last is gone
};

struct Pace {
  // Comparing takes at most this share of the time: a database of 320 MB takes 0.7 s, and in rollback mode its writers
  // wait meanwhile.
  static constexpr int kShare = 20;
  Instant not_before{};  // the next comparison
  void compared(Instant now, Duration took) { not_before = now + took * kShare; }
};

Order decide(const Sight& sight, const Position& position, const Pace& pace, Instant now);

}  // namespace nines::backup::continuous
