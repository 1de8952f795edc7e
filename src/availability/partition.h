// A window of time, cut into what was known of each moment.
//
// What was observed: DOWN beats DEGRADED beats UP, whoever else saw what; UNKNOWN is only what nobody saw. Declared
// maintenance lies over that and is the state that counts, but what was observed below it is kept: `raw` figures count
// maintenance in which the service really was down, `contractual` ones leave declared maintenance out.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "availability/intervals.h"
#include "availability/nines.h"
#include "availability/ratio.h"

namespace nines::availability {

enum class State : std::uint8_t { kUp, kDegraded, kDown, kMaintenance, kUnknown };
std::string_view name_of(State state);  // "UP"

// What was seen. Sets may overlap each other and reach beyond the window.
struct Observations {
  Intervals up, degraded, down;
  Intervals maintenance;  // declared
};

// How long each was seen. Time and seconds in stored slices are the same: they add up.
struct ObservedTime {
  Duration up{0}, degraded{0}, down{0}, unknown{0};

  Duration known() const { return up + degraded + down; }
  Duration total() const { return known() + unknown; }
  ObservedTime& operator+=(const ObservedTime& other);
  friend ObservedTime operator+(ObservedTime a, const ObservedTime& b) { return a += b; }
  bool operator==(const ObservedTime&) const = default;
};

// Where the time went. Accounts of slices add up to that of the whole, in any order.
struct Account {
  ObservedTime outside;      // of declared maintenance
  ObservedTime maintenance;  // what was observed during it

  Duration total() const { return outside.total() + maintenance.total(); }
  Duration in(State state) const;
  Account& operator+=(const Account& other);
  friend Account operator+(Account a, const Account& b) { return a += b; }
  bool operator==(const Account&) const = default;
};

inline ObservedTime contractual(const Account& account) { return account.outside; }
inline ObservedTime raw(const Account& account) { return account.outside + account.maintenance; }

struct Slice {
  Interval at;
  State observed = State::kUnknown;  // never kMaintenance
  bool maintenance = false;

  State state() const { return maintenance ? State::kMaintenance : observed; }
  bool operator==(const Slice&) const = default;
};

struct Partition {
  Interval window;
  std::vector<Slice> slices;  // one after the other from the window's begin to its end; neighbours differ

  Account account() const;
};

// O(n log n) in the number of stretches.
Partition partition(const Interval& window, const Observations& observations);

// What is not known makes a bracket of every figure.
struct TimeAvailability {
  std::optional<Availability> observed;  // of what is known; nullopt: nothing is
  Availability low;                      // if all that is unknown was down
  Availability high;                     // ... was up
  double coverage = 0;                   // how much is known, from 0 to 1
};

// nullopt when there was no time at all, or all of it was maintenance.
std::optional<TimeAvailability> availability_of(const ObservedTime& time);

// 1 − low as a ratio of nanoseconds, to hold against a contract.
std::optional<Ratio> unavailability_at_worst(const ObservedTime& time);

}  // namespace nines::availability
