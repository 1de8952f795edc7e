#include "availability/redundancy.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/check.h"

namespace nines::availability {
namespace {

Availability missing(double unavailability) {
  // Sums of probabilities may be a rounding above 1.
  return Availability::of_unavailability(std::min(unavailability, 1.0));
}

bool sensible(const Group& group) {
  return group.enough >= 1 && group.enough <= group.size && group.size <= kGroupMax && group.crews >= 1 &&
         group.common_cause <= Ratio{1, 1};
}

// The chain: from `down` components to one more, to all, and to one less. In units of one component's repair rate.
struct Rates {
  Rates(const Group& group, double load_of_one)
      : size(group.size), crews(group.crews), beta(group.common_cause.value()), load(load_of_one) {}

  double one_more(int down) const { return (size - down) * (1 - beta) * load; }
  double all(int down) const { return down < size ? beta * load : 0; }
  double one_less(int down) const { return std::min(down, crews); }

  int size, crews;
  double beta;
  double load;  // MTTR ÷ MTTF
};

// How likely each number of components is down. What flows up over a cut between i and i + 1 flows down over it, so
// each follows from those before: sums and products of positive numbers only.
std::vector<double> steady_state(const Rates& rates) {
  std::vector<double> weight = {1};
  double below = 1;  // sum of the weights so far
  for (int down = 0; down < rates.size; ++down) {
    weight.push_back((weight.back() * rates.one_more(down) + below * rates.all(down)) / rates.one_less(down + 1));
    below += weight.back();
    // A group that is hardly ever up outgrows a double otherwise.
    if (below > 0x1.0p500) {
      for (double& w : weight) w *= 0x1.0p-500;
      below *= 0x1.0p-500;
    }
  }
  for (double& w : weight) w /= below;
  return weight;
}

double sum_from(const std::vector<double>& values, int first) {
  double sum = 0;
  // The smallest first.
  for (std::size_t i = values.size(); i > static_cast<std::size_t>(first); --i) sum += values[i - 1];
  return sum;
}

// From all up until `limit` or more are down, in mean repair times: hᵢ = aᵢ + bᵢ hᵢ₊₁ by elimination from below, with
// dᵢ = 1 − bᵢ carried along because b may be next to 1.
double first_passage(const Rates& rates, int limit) {
  std::vector<double> a, b;
  double d_before = 0;
  for (int down = 0; down < limit; ++down) {
    const double up = rates.one_more(down), jump = rates.all(down), mend = down == 0 ? 0 : rates.one_less(down);
    const double leak = jump + mend * d_before;
    const double all = up + leak;
    a.push_back((1 + (down == 0 ? 0 : mend * a.back())) / all);
    b.push_back(up / all);
    d_before = leak / all;
  }
  double time = 0;
  for (std::size_t i = a.size(); i > 0; --i) time = a[i - 1] + b[i - 1] * time;
  return time;
}

}  // namespace

Availability in_series(std::span<const Availability> components) {
  double log_all = 0;
  for (const Availability& component : components) log_all += std::log1p(-component.unavailability());
  return missing(-std::expm1(log_all));
}

Availability in_parallel(std::span<const Availability> components) {
  double none = 1;
  for (const Availability& component : components) none *= component.unavailability();
  return missing(none);
}

Availability at_least(std::size_t enough, std::span<const Availability> components) {
  INVARIANT(enough >= 1 && enough <= components.size());
  // likely[i]: so many of those looked at so far are down; the last entry holds all from there on.
  const std::size_t limit = components.size() - enough + 1;
  std::vector<double> likely(limit + 1);
  likely[0] = 1;
  for (const Availability& component : components) {
    const double u = component.unavailability(), a = component.fraction();
    likely[limit] += likely[limit - 1] * u;
    for (std::size_t i = limit - 1; i > 0; --i) likely[i] = likely[i] * a + likely[i - 1] * u;
    likely[0] *= a;
  }
  return missing(likely[limit]);
}

Availability group_availability(const Group& group, Availability each) {
  INVARIANT(sensible(group) && each.unavailability() < 1);
  const Rates rates(group, each.unavailability() / each.fraction());
  return missing(sum_from(steady_state(rates), group.size - group.enough + 1));
}

GroupFigures group_figures(const Group& group, Duration mttf, Duration mttr) {
  INVARIANT(sensible(group) && mttf > 0ns && mttr > 0ns);
  const Seconds repair(mttr);
  const int limit = group.size - group.enough + 1;
  const Rates rates(group, repair / Seconds(mttf));
  const std::vector<double> states = steady_state(rates);
  const double unavailability = sum_from(states, limit);
  // How often it goes down: out of any state in which it is up, by one more or by all.
  double failures = 0;
  for (int down = 0; down < limit; ++down)
    failures +=
        states[static_cast<std::size_t>(down)] * (rates.all(down) + (down + 1 == limit ? rates.one_more(down) : 0));
  const Seconds never(std::numeric_limits<double>::infinity());
  // Smaller than a double can be.
  if (failures == 0)
    return {.availability = missing(unavailability), .mttf = never, .mtbf = never, .mean_down = Seconds(0)};
  return {.availability = missing(unavailability),
          .mttf = first_passage(rates, limit) * repair,
          .mtbf = repair / failures,
          .mean_down = unavailability / failures * repair};
}

}  // namespace nines::availability
