#include "availability/budget.h"

#include <array>
#include <string>

#include "availability/nines.h"
#include "base/check.h"

namespace nines::availability {
namespace {

constexpr std::array kWorkbook = {
    BurnRule{Severity::kPage, 1h, 5min, {2, 100}},
    BurnRule{Severity::kPage, 6h, 30min, {5, 100}},
    BurnRule{Severity::kTicket, kDay, 2h, {10, 100}},
    BurnRule{Severity::kTicket, 3 * kDay, 6h, {10, 100}},
};

// What of the window was bad; nullopt when nothing is known of it.
std::optional<Ratio> bad_of(const Evidence& evidence, std::uint64_t enough_requests) {
  if (evidence.requests.valid() > 0 && evidence.requests.valid() >= enough_requests)
    return bad_share(evidence.requests);
  if (evidence.time.known() == 0ns) return std::nullopt;
  return ratio(evidence.time.down, evidence.time.known());
}

}  // namespace

double budget_spent(const Objective& objective, Duration down, Duration period) {
  return burn_rate(objective, ratio(down, period));
}

double budget_spent(const Objective& objective, std::uint64_t bad, std::uint64_t expected) {
  INVARIANT(expected > 0);
  return burn_rate(objective, {bad, expected});
}

double burn_rate(const Objective& objective, Ratio bad) { return bad.value() / objective.budget.value(); }

std::span<const BurnRule> workbook_rules() { return kWorkbook; }

Result<BurnAlert> make_alert(const BurnRule& rule, const Objective& objective, Duration period) {
  if (rule.short_window <= 0ns || rule.short_window > rule.long_window || rule.long_window > period ||
      rule.budget.part == 0 || rule.budget > Ratio{1, 1}) {
    return failure(Code::kInvalid,
                   "an alert needs a short window within its long one, that within the period, and a share of the "
                   "budget above 0 and at most all of it");
  }
  const auto burn = multiply(rule.budget, ratio(period, rule.long_window));
  const auto threshold = burn ? multiply(*burn, objective.budget) : std::nullopt;
  if (!threshold)
    return failure(Code::kLimit, "the share of the budget and the objective have too many digits together");
  if (*threshold >= Ratio{1, 1}) {
    const auto with_digits = [](double value) {
      std::array<char, 32> text{};
      std::snprintf(text.data(), text.size(), "%.4g", value);
      return std::string(text.data());
    };
    return failure(Code::kInvalid, "a burn rate above " + with_digits(burn->value()) + " can never be seen at " +
                                       format_percent(objective.availability()) + "%: when everything fails it is " +
                                       with_digits(1 / objective.budget.value()) +
                                       "; use a longer window, a smaller share of the budget or a higher objective");
  }
  return BurnAlert{.severity = rule.severity,
                   .long_window = rule.long_window,
                   .short_window = rule.short_window,
                   .burn = *burn,
                   .threshold = *threshold};
}

bool fires(const BurnAlert& alert, const Evidence& long_window, const Evidence& short_window,
           std::uint64_t enough_requests) {
  const auto lately = bad_of(short_window, enough_requests), overall = bad_of(long_window, enough_requests);
  return lately && overall && *lately > alert.threshold && *overall > alert.threshold;
}

std::optional<Duration> time_to_detect(const BurnAlert& alert, Ratio bad) {
  if (bad <= alert.threshold) return std::nullopt;
  if (const auto share = multiply(alert.threshold, {bad.whole, bad.part})) return scale(alert.long_window, *share);
  const double share = alert.threshold.value() / bad.value();
  return Duration(static_cast<Duration::rep>(static_cast<double>(alert.long_window.count()) * share));
}

}  // namespace nines::availability
