// What was seen of the service in a stretch of time: counts only, so that slices of every length add up, in any order,
// and nothing is ever averaged.
//
// The ledger keeps them in four grains. Each slice of ten seconds is added to the minute, the hour and the day that it
// lies in, in one transaction, so a coarser one always is the sum of its parts, also when those are gone.
//
// Plain values: no clock, no file, any thread.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"

namespace nines::ledger {

// How many requests took how long: by the number of the caller's bucket.
using Histogram = std::map<std::uint16_t, std::uint64_t>;
inline constexpr std::uint16_t kBucketsMax = 512;

// Of every count: what SQLite can hold. A sum stops here, and so does not depend on the order of its parts.
inline constexpr std::uint64_t kCountMax = INT64_MAX;
// Starts lie between -kSecondMax and this, so that they are a WallTime too: the years 1677 to 2262.
inline constexpr std::int64_t kSecondMax = 9'223'372'000;

struct Slice {
  std::int64_t start = 0;                                      // Unix seconds
  std::uint64_t good = 0, bad = 0, excluded = 0, aborted = 0;  // requests
  std::uint64_t probes_good = 0, probes_bad = 0;               // at the public address
  // Seconds in each state; what is missing to the slice's length is unknown. Those in declared maintenance apart.
  std::uint64_t up = 0, degraded = 0, down = 0;
  std::uint64_t maintenance_up = 0, maintenance_degraded = 0, maintenance_down = 0;
  Histogram latency;

  std::uint64_t known() const;  // seconds
  bool operator==(const Slice&) const = default;
};
// Of `to` only the start stays. Associative and commutative. REQUIRES counts up to kCountMax.
void add(Slice& to, const Slice& more);

using SliceCount = std::uint64_t Slice::*;
// In the order of their columns.
inline constexpr std::array<SliceCount, 12> kCounts = {&Slice::good,
                                                       &Slice::bad,
                                                       &Slice::excluded,
                                                       &Slice::aborted,
                                                       &Slice::probes_good,
                                                       &Slice::probes_bad,
                                                       &Slice::up,
                                                       &Slice::degraded,
                                                       &Slice::down,
                                                       &Slice::maintenance_up,
                                                       &Slice::maintenance_degraded,
                                                       &Slice::maintenance_down};
// Those that count seconds.
inline constexpr std::span<const SliceCount> kSeconds = std::span(kCounts).subspan(6);

enum class Grain : std::uint8_t { kTenSeconds, kMinute, kHour, kDay };
inline constexpr std::array kGrains = {Grain::kTenSeconds, Grain::kMinute, Grain::kHour, Grain::kDay};
std::string_view name_of(Grain grain);  // "minute"
std::int64_t seconds_of(Grain grain);
// How long its slices are kept; nullopt: for ever.
std::optional<Duration> kept_for(Grain grain);
// Where the slice begins that a second lies in; days are those of UTC.
std::int64_t start_of(Grain grain, std::int64_t second);

// Seconds that were all alike, and that nobody watched one by one.
struct Stretch {
  std::int64_t from = 0, to = 0;    // Unix seconds
  SliceCount state = &Slice::down;  // one of kSeconds
};

// As it is stored: nothing for an empty one, else a byte 1, and pairs of LEB128 numbers: ascending buckets, each with
// its count. REQUIRES buckets below kBucketsMax.
std::string encoded(const Histogram& histogram);
// kInvalid: encoded() never writes that.
Result<Histogram> decoded_histogram(std::span<const std::uint8_t> bytes);

}  // namespace nines::ledger
