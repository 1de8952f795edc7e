// What the demo says of nines, judged by what was found. Pure.
#pragma once

#include <string>
#include <vector>

#include "disaster.h"
#include "experiment.h"

namespace nines::demo {

struct Claim {
  std::string text;
  bool holds = false;
};
// REQUIRES: at least one kill of a replica and of a part.
std::vector<Claim> claims_of(const Findings& findings);
std::vector<Claim> claims_of(const Aftermath& aftermath);

// Those that do not hold, a line each; empty when all do.
std::string broken(const std::vector<Claim>& claims);

// "1 kill", "2,000 kills"
std::string count_of(std::uint64_t n, const std::string& what);

// "12 ms"; "under 1 ms", since the events' clock tells no more.
std::string milliseconds(Duration d);

}  // namespace nines::demo
