// A time zone: how far its clocks are ahead of UTC, when. Reads what the files of the IANA database hold (TZif, RFC
// 9636) from memory; who opens the file is the caller. The environment's zone (TZ, localtime_r) plays no part.
//
// Values: any thread, and no clock is asked.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"

namespace nines::availability {

// What the clocks on the wall show.
using LocalTime = std::chrono::local_time<Duration>;

class Zone {
 public:
  // UTC.
  Zone() = default;
  // kInvalid: these bytes are no such file, or not all of one; never read behind their end. Files that count leap
  // seconds ("right/…") are refused, since nothing else here does.
  static Result<Zone> parse(std::string name, std::string_view tzif);

  const std::string& name() const { return name_; }
  std::chrono::seconds offset_at(WallTime t) const;
  LocalTime local(WallTime t) const { return LocalTime(t.time_since_epoch() + offset_at(t)); }

  // When its clocks show this: once, or never (they are set forward over it), or twice (they are set back).
  struct Shown {
    std::optional<WallTime> first, second;  // ascending
  };
  Shown when(LocalTime local) const;
  // The first moment at which they show this or more: also where they skip it.
  WallTime at_or_after(LocalTime local) const;

 private:
  struct Change {
    std::int64_t at = 0;  // Unix seconds
    std::int32_t offset = 0;
    bool operator==(const Change&) const = default;
  };
  // When summer time begins or ends, each year: of a day's midnight, in local time before it.
  struct Rule {
    enum class Of : std::uint8_t { kJulian, kDay, kWeekday } of = Of::kDay;
    int month = 0, week = 0, day = 0;
    std::int64_t time = 0;  // seconds since midnight; may be negative or more than a day
    bool operator==(const Rule&) const = default;
  };
  // What holds after the last change: the POSIX text at a file's end.
  struct Yearly {
    std::int32_t standard = 0;
    struct Summer {
      std::int32_t offset = 0;
      Rule begins, ends;
      bool operator==(const Summer&) const = default;
    };
    std::optional<Summer> summer;
    bool operator==(const Yearly&) const = default;
  };
  friend class ZoneFile;
  friend class ZoneText;
  static std::int64_t moment_of(const Rule& rule, int year);
  static std::int32_t offset_by(const Yearly& yearly, std::int64_t second);

  std::string name_ = "UTC";
  std::int32_t before_ = 0;      // the first change
  std::vector<Change> changes_;  // ascending
  std::optional<Yearly> after_;  // nullopt: the last change holds for ever
};

}  // namespace nines::availability
