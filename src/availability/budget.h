// Error budgets and how fast they are spent [Beyer et al., "The Site Reliability Workbook", O'Reilly 2018, chapter 5].
//
//   burn rate = error rate ÷ (1 − SLO): at 1 the budget lasts exactly as long as the period
//   an alert's burn rate = share of the budget × period ÷ long window
//
// An alert fires when both of its windows burn faster than that: the long one says that it matters, the short one that
// it goes on. Ratios are exact, so a threshold is neither missed nor passed by a rounding.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "availability/objective.h"
#include "availability/ratio.h"
#include "availability/requests.h"

namespace nines::availability {

// 1: all of it is spent. Of time, and of requests; `expected`: the valid ones of the whole period.
double budget_spent(const Objective& objective, Duration down, Duration period);
double budget_spent(const Objective& objective, std::uint64_t bad, std::uint64_t expected);

double burn_rate(const Objective& objective, Ratio bad);

enum class Severity : std::uint8_t { kPage, kTicket };

struct BurnRule {
  Severity severity = Severity::kPage;
  Duration long_window{0}, short_window{0};
  Ratio budget;  // fires once so much of the period's budget has been spent in the long window
};

// The Workbook's for a period of about a month: page at 2 % in 1 h (5 min) and 5 % in 6 h (30 min), ticket at 10 % in
// 1 d (2 h) and in 3 d (6 h).
std::span<const BurnRule> workbook_rules();

struct BurnAlert {
  Severity severity = Severity::kPage;
  Duration long_window{0}, short_window{0};
  Ratio burn;       // rate that both windows must exceed: 72/5
  Ratio threshold;  // the same as a share of requests: burn × (1 − SLO)
};

// kInvalid when it can never fire: even if everything fails the burn rate is only 1 ÷ (1 − SLO). kInvalid, too, when
// the windows make no sense; kLimit when the numbers do not fit.
Result<BurnAlert> make_alert(const BurnRule& rule, const Objective& objective, Duration period);

// What a window saw. Time counts where there are too few requests to say.
struct Evidence {
  RequestCounts requests;
  ObservedTime time;
};

// Below so many valid requests in a window one error would decide; then the seconds of that window are judged
// instead. Ours: at 99.9 % and 14.4, 100 requests tell 1.4 errors from none.
inline constexpr std::uint64_t kEnoughRequests = 100;

bool fires(const BurnAlert& alert, const Evidence& long_window, const Evidence& short_window,
           std::uint64_t enough_requests = kEnoughRequests);

// (1 − SLO) ÷ error rate × long window × burn rate: how long an outage that begins now, after none, goes on before the
// alert fires; nullopt when so few errors never make it fire.
std::optional<Duration> time_to_detect(const BurnAlert& alert, Ratio bad);

}  // namespace nines::availability
