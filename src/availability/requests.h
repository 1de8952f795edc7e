// Requests, by what they say about the service; and what one second of them says about its state.
//
// Only counts are kept and added up. Ratios are never averaged: 23 slices of 1,000 good requests and one of 10 bad
// ones are 0.043 % errors, not 4.17 %.
#pragma once

#include <cstdint>
#include <optional>

#include "availability/partition.h"
#include "availability/ratio.h"

namespace nines::availability {

struct RequestCounts {
  std::uint64_t good = 0;
  std::uint64_t bad = 0;
  std::uint64_t excluded = 0;  // they say nothing about the service: the caller's fault, probes, what a rule leaves out
  std::uint64_t aborted = 0;   // the client went away before anybody could tell

  std::uint64_t valid() const { return good + bad; }
  std::uint64_t total() const { return valid() + excluded + aborted; }
  RequestCounts& operator+=(const RequestCounts& other);
  friend RequestCounts operator+(RequestCounts a, const RequestCounts& b) { return a += b; }
  bool operator==(const RequestCounts&) const = default;
};

// Bad of valid; nullopt when none was valid.
std::optional<Ratio> bad_share(const RequestCounts& counts);

// How a request ended.
struct Ending {
  int status = 0;          // that the client got; 0: none
  bool by_replica = true;  // whose answer it was; else the gateway's own
  bool whole = true;       // the answer reached its end: a stream that breaks half-way is bad, whatever it began with
  bool client_left = false;
  bool probe = false;        // a health check or a canary
  bool user_caused = false;  // by a rule the user declared
};

enum class Outcome : std::uint8_t { kGood, kBad, kExcluded, kAborted };

// 429 is about the caller, whoever says it: neither good nor bad. An overloaded gateway says 503.
Outcome classify(const Ending& ending);
void count(RequestCounts& counts, Outcome outcome);

// One second.
struct Second {
  RequestCounts requests;
  std::optional<bool> canary;  // how the last one ended; nullopt: none did lately, or nobody watched
};

// DOWN: there were valid requests and all were bad, or there was none and the last canary failed. DEGRADED: at least
// `degraded` of them were bad. UNKNOWN: nothing says anything.
State state_of(const Second& second, Ratio degraded = {5, 100});

}  // namespace nines::availability
