#include "availability/nines.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "base/check.h"

namespace nines::availability {
namespace {

constexpr int kDigits = 14;       // of a double that are figures, not noise
constexpr int kShown = 4;         // digits of what is missing
constexpr int kDecimalsMax = 17;  // 10^17 fits 64 bits

// digits · 10^(exponent − 13)
struct Decimal {
  std::uint64_t digits = 0;
  int exponent = 0;
};

Decimal decimal(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.13e", value);
  Decimal result;
  for (const char* c = text.data(); *c != 'e'; ++c) {
    if (*c != '.') result.digits = result.digits * 10 + static_cast<std::uint64_t>(*c - '0');
  }
  result.exponent = std::atoi(std::find(text.begin(), text.end(), 'e') + 1);
  return result;
}

std::uint64_t power_of_ten(int n) {
  std::uint64_t power = 1;
  for (int i = 0; i < n; ++i) power *= 10;
  return power;
}

// unavailability · 10^decimals, rounded up.
std::uint64_t missing_parts(const Decimal& unavailability, int decimals) {
  const int shift = unavailability.exponent - (kDigits - 1) + decimals;
  if (shift >= 0) return unavailability.digits * power_of_ten(shift);
  if (-shift > kDigits) return 1;
  const std::uint64_t divisor = power_of_ten(-shift);
  return (unavailability.digits + divisor - 1) / divisor;
}

}  // namespace

Availability Availability::of_unavailability(double unavailability) {
  INVARIANT(unavailability >= 0 && unavailability <= 1);
  Availability a;
  a.unavailability_ = unavailability;
  return a;
}

Duration downtime(Availability a, Duration period) {
  INVARIANT(period >= 0ns);
  const long double exact = static_cast<long double>(period.count()) * static_cast<long double>(a.unavailability());
  return Duration(std::llround(exact));
}

double nines(Availability a) {
  // 0 rather than −0 when nothing works.
  return a.unavailability() == 1 ? 0 : -std::log10(a.unavailability());
}

std::optional<std::string> format_nines(Availability a) {
  if (a.unavailability() == 0) return std::nullopt;
  // log10 may be a hair below a bound that is met: the bound itself decides.
  double thousandths = std::round(nines(a) * 1000);
  constexpr double kNoise = 1e-14;
  if (a.unavailability() > std::pow(10, -thousandths / 1000) * (1 + kNoise)) --thousandths;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.3f", std::max(thousandths, 0.0) / 1000);
  return text.data();
}

std::string format_percent(Availability a) {
  if (a.unavailability() == 0) return "100";
  const Decimal unavailability = decimal(a.unavailability());
  const int decimals = std::clamp(kShown - 1 - unavailability.exponent, 2, kDecimalsMax);
  const auto places = static_cast<std::size_t>(decimals - 2);  // of the percentage
  const std::uint64_t hundredth = power_of_ten(decimals - 2), all = 100 * hundredth;
  const std::uint64_t missing = missing_parts(unavailability, decimals);
  const std::uint64_t left = missing < all ? all - missing : 0;
  std::string text = std::to_string(left / hundredth);
  std::string fraction = std::to_string(left % hundredth);
  fraction.insert(0, places - std::min(fraction.size(), places), '0');
  fraction.erase(fraction.find_last_not_of('0') + 1);
  return fraction.empty() ? text : text + "." + fraction;
}

}  // namespace nines::availability
