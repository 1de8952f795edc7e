// Whether a new release does worse than the one it is to replace, by what the gateway counted of both. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "plane/histogram.h"

namespace nines::supervise {

// What the gateway has seen of some replicas: counts that only grow, or the difference of two such.
struct Evidence {
  std::uint64_t requests = 0;
  std::uint64_t errors = 0;  // of these
  plane::LatencyCounts latency{};

  Evidence& operator+=(const Evidence& other);
  friend Evidence operator-(Evidence later, const Evidence& earlier);
};

struct Tolerance {
  double errors = 0.01;  // share of errors above the old one's
  double latency = 2;    // times the old one's median and 95th percentile
};

// Both over the same time; what is found, for a person, or nothing.
//
// Three errors at least, so that no single bad luck ends a deploy.
std::optional<std::string> more_errors(const Evidence& old, const Evidence& fresh, const Tolerance& tolerance);
// 20 requests for a median and 100 for a 95th percentile, of both, since fewer say nothing; and a difference that a
// person would call one (2 ms, 20 ms). A process that has just started is slow for a moment: the owner asks twice.
bool enough_to_compare(const Evidence& fresh);  // for a median
std::optional<std::string> slower(const Evidence& old, const Evidence& fresh, const Tolerance& tolerance);

}  // namespace nines::supervise
