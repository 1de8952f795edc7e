// The answers of `nines calc`, as text and as JSON. Pure.
#pragma once

#include <string>

#include "cli/calc_options.h"

namespace nines::cli {

struct CalcAnswer {
  std::string text;  // lines, the last with its newline
  // One object: availability and unavailability (fractions), nines (null where nothing is missing), formula, downtime
  // (seconds in a day, a week, 30 days, a month of 365 days ÷ 12, and 365 days), and what the question adds, times in
  // seconds as *_s.
  std::string json;
};

CalcAnswer calculate(const CalcOptions& options);

// A length of time with four digits in the unit that suits it: "86.4 s", "43.2 min", "8.76 h", "14,760 h", "2,051
// years".
std::string figure(availability::Seconds time);

}  // namespace nines::cli
