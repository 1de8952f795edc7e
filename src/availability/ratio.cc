#include "availability/ratio.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>

#include "base/check.h"
#include "base/text.h"

namespace nines::availability {
namespace {

using Wide = unsigned __int128;

constexpr std::size_t kDecimalsMax = 18;  // 10^18 fits 64 bits

Wide floor_product(std::uint64_t count, Ratio r) { return static_cast<Wide>(count) * r.part / r.whole; }

Error not_a_share(std::string_view text, const std::string& why) {
  return {Code::kInvalid,
          "\"" + std::string(text) + "\" " + why + "; write a percentage or a fraction, such as 99.9% or 0.999"};
}

}  // namespace

Ratio ratio(Duration part, Duration whole) {
  INVARIANT(part >= 0ns && whole > 0ns);
  return {static_cast<std::uint64_t>(part.count()), static_cast<std::uint64_t>(whole.count())};
}

Ratio complement(Ratio r) {
  INVARIANT(r.whole > 0 && r.part <= r.whole);
  return {r.whole - r.part, r.whole};
}

std::optional<Ratio> multiply(Ratio a, Ratio b) {
  INVARIANT(a.whole > 0 && b.whole > 0);
  const auto reduce = [](std::uint64_t& x, std::uint64_t& y) {
    const std::uint64_t common = std::gcd(x, y);  // not 0: one of them is a whole
    x /= common;
    y /= common;
  };
  reduce(a.part, a.whole);
  reduce(b.part, b.whole);
  reduce(a.part, b.whole);
  reduce(b.part, a.whole);
  Ratio product;
  if (__builtin_mul_overflow(a.part, b.part, &product.part)) return std::nullopt;
  if (__builtin_mul_overflow(a.whole, b.whole, &product.whole)) return std::nullopt;
  return product;
}

Duration scale(Duration d, Ratio r) {
  INVARIANT(d >= 0ns && r.whole > 0);
  const Wide product = floor_product(static_cast<std::uint64_t>(d.count()), r);
  return Duration(static_cast<Duration::rep>(std::min<Wide>(product, static_cast<Wide>(Duration::max().count()))));
}

std::uint64_t scale(std::uint64_t count, Ratio r) {
  INVARIANT(r.whole > 0);
  return static_cast<std::uint64_t>(std::min<Wide>(floor_product(count, r), std::numeric_limits<std::uint64_t>::max()));
}

Result<Ratio> parse_share(std::string_view text) {
  std::string_view number = trim(text);
  const bool percent = number.ends_with('%');
  if (percent) number = trim(number.substr(0, number.size() - 1));
  const auto point = number.find('.');
  const std::string_view before = number.substr(0, point);
  std::string_view after = point == std::string_view::npos ? "" : number.substr(point + 1);
  const auto whole = parse_unsigned(before);
  if (!whole || (point != std::string_view::npos && after.empty())) return failure(not_a_share(text, "is no share"));
  if (!after.empty() && after.find_first_not_of("0123456789") != std::string_view::npos)
    return failure(not_a_share(text, "is no share"));
  after = after.substr(0, after.find_last_not_of('0') + 1);
  if (after.size() + (percent ? 2 : 0) > kDecimalsMax) return failure(not_a_share(text, "has too many decimals"));
  if (!percent && *whole > 1) return failure(not_a_share(text, "has no % sign"));
  if (!percent && *whole == 1 && point == std::string_view::npos)
    return failure(not_a_share(text, "may be 1% or 100%"));
  const std::uint64_t most = percent ? 100 : 1;
  const std::uint64_t digits = after.empty() ? 0 : parse_unsigned(after).value();
  if (*whole > most || (*whole == most && digits > 0)) return failure(not_a_share(text, "is more than all"));
  std::uint64_t ones = 1;
  for (std::size_t i = 0; i < after.size(); ++i) ones *= 10;
  return Ratio{*whole * ones + digits, ones * most};
}

}  // namespace nines::availability
