// An availability, as a number and as text that never flatters.
#pragma once

#include <compare>
#include <optional>
#include <string>

#include "availability/ratio.h"
#include "base/time.h"

namespace nines::availability {

// Kept as what is missing from 1, because that is what counts: of 1 − 10⁻¹² a double next to 1 keeps four digits, a
// double next to 10⁻¹² keeps sixteen.
class Availability {
 public:
  Availability() = default;  // perfect
  // REQUIRES 0 <= unavailability <= 1.
  static Availability of_unavailability(double unavailability);
  static Availability of_unavailability(Ratio unavailability) { return of_unavailability(unavailability.value()); }

  double fraction() const { return 1 - unavailability_; }
  double unavailability() const { return unavailability_; }

  // Better is greater.
  friend std::partial_ordering operator<=>(Availability a, Availability b) {
    return b.unavailability_ <=> a.unavailability_;
  }
  friend bool operator==(Availability, Availability) = default;

 private:
  double unavailability_ = 0;
};

// How long the service is down in a period, to the nearest nanosecond.
Duration downtime(Availability a, Duration period);

// −log10(1 − A): 3 for 99.9 %. Infinite for a perfect one.
double nines(Availability a);

// The same with three decimals, rounded down: "2.079"; nullopt for a perfect one, which has no such number.
std::optional<std::string> format_nines(Availability a);

// A percentage without its sign, rounded down at four digits of what is missing: "99.1666", "99.9", "99.9999999999".
// Only a perfect one is "100". The 14th digit of what is missing is rounded first: what a sum of doubles leaves there
// is noise, and 99.9 should not read 99.8999.
std::string format_percent(Availability a);

}  // namespace nines::availability
