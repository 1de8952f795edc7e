#include "availability/redundancy.h"

#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <vector>

#include "availability/test_support.h"
#include "base/random.h"

namespace nines::availability {
namespace {

using testing::close_to;

Availability missing(double unavailability) { return Availability::of_unavailability(unavailability); }
std::vector<Availability> alike(std::size_t n, double unavailability) {
  return std::vector(n, missing(unavailability));
}

// What every figure below is of: MTTF 240 h, MTTR 2 h.
GroupFigures worked(const Group& group) { return group_figures(group, 240h, 2h); }
double hours(Seconds s) { return s.count() / 3600; }

TEST_CASE("redundancy: independent components") {
  CHECK(in_series(alike(3, 0.01)).fraction() == close_to(0.970299));
  CHECK(in_series({}).unavailability() == 0);
  CHECK(in_series(std::vector{missing(0.5), missing(1)}).unavailability() == 1);
  CHECK(in_parallel(alike(2, 0.01)).unavailability() == close_to(1e-4));  // 99.99 %
  CHECK(in_parallel({}).unavailability() == 1);
  CHECK(in_parallel(std::vector{missing(0.5), missing(0)}).unavailability() == 0);
  CHECK(100 * at_least(2, alike(3, 0.01)).fraction() == close_to(99.9702, 1e-9));
}

TEST_CASE("redundancy: what is next to perfect keeps its digits") {
  CHECK(in_series(alike(2, 1e-12)).unavailability() == close_to(2e-12, 1e-11));
  CHECK(in_series(alike(1000, 1e-15)).unavailability() == close_to(1e-12, 1e-11));
  CHECK(in_parallel(alike(2, 1e-12)).unavailability() == close_to(1e-24, 1e-11));
  CHECK(at_least(2, alike(3, 1e-12)).unavailability() == close_to(3e-24, 1e-11));
  CHECK(group_availability({.enough = 2, .size = 3, .crews = 3}, missing(1e-12)).unavailability() ==
        close_to(3e-24, 1e-11));
}

TEST_CASE("redundancy: k of n as all combinations say") {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    std::vector<Availability> components;
    for (auto n = 1 + random.below(7); n > 0; --n) components.push_back(missing(std::pow(random.unit(), 3)));
    for (std::size_t enough = 1; enough <= components.size(); ++enough) {
      double down = 0;
      for (unsigned up = 0; up < 1U << components.size(); ++up) {
        if (static_cast<std::size_t>(std::popcount(up)) >= enough) continue;
        double likely = 1;
        for (std::size_t i = 0; i < components.size(); ++i)
          likely *= (up >> i & 1U) != 0 ? components[i].fraction() : components[i].unavailability();
        down += likely;
      }
      CHECK(at_least(enough, components).unavailability() == close_to(down, 1e-12));
    }
    CHECK(at_least(components.size(), components).unavailability() ==
          close_to(in_series(components).unavailability(), 1e-12));
    CHECK(at_least(1, components).unavailability() == close_to(in_parallel(components).unavailability(), 1e-12));
  }
}

TEST_CASE("redundancy: with repair, by crews") {
  struct Row {
    Group group;
    double unavailability;
  };
  const Row rows[] = {
      {{.enough = 1, .size = 2, .crews = 2}, 6.830e-5},
      {{.enough = 1, .size = 2, .crews = 1}, 1.366e-4},
      {{.enough = 2, .size = 3, .crews = 3}, 2.038e-4},
      {{.enough = 2, .size = 3, .crews = 1}, 4.097e-4},
  };
  for (const Row& row : rows) {
    CAPTURE(row.unavailability);
    CHECK(worked(row.group).availability.unavailability() == close_to(row.unavailability, 2e-4));
    CHECK(group_availability(row.group, missing(2.0 / 242)).unavailability() == close_to(row.unavailability, 2e-4));
  }
  // More crews than components help nobody.
  CHECK(worked({.enough = 1, .size = 2, .crews = 9}).availability ==
        worked({.enough = 1, .size = 2, .crews = 2}).availability);
}

TEST_CASE("redundancy: how long a pair lasts") {
  const GroupFigures pair = worked({.enough = 1, .size = 2, .crews = 2});
  CHECK(hours(pair.mttf) == close_to(14'760, 1e-9));  // (3λ + μ) ÷ 2λ²
  CHECK(hours(pair.mean_down) == close_to(1, 1e-9));  // two crews
  CHECK(hours(worked({.enough = 1, .size = 2, .crews = 1}).mean_down) == close_to(2, 1e-9));
  // The first failure does not depend on the second crew.
  CHECK(worked({.enough = 1, .size = 2, .crews = 1}).mttf == pair.mttf);
}

TEST_CASE("redundancy: common cause dominates") {
  struct Row {
    Ratio beta;
    double unavailability;
  };
  for (const Row& row : {Row{{1, 100}, 1.09e-4}, Row{{5, 100}, 2.72e-4}, Row{{10, 100}, 4.75e-4}}) {
    CAPTURE(row.unavailability);
    CHECK(worked({.enough = 1, .size = 2, .crews = 2, .common_cause = row.beta}).availability.unavailability() ==
          close_to(row.unavailability, 2e-3));
  }
  // If all failures are common, a second one helps only by being mended first.
  const GroupFigures together = worked({.enough = 1, .size = 2, .crews = 2, .common_cause = {1, 1}});
  CHECK(together.availability.unavailability() > 0.4 * 2 / 242);
  CHECK(hours(together.mttf) == close_to(240));
}

TEST_CASE("redundancy: one component by itself, and all of several") {
  const GroupFigures one = worked({.enough = 1, .size = 1, .crews = 1});
  CHECK(one.availability.unavailability() == close_to(2.0 / 242, 1e-12));
  CHECK(hours(one.mttf) == close_to(240));
  CHECK(hours(one.mtbf) == close_to(242));
  CHECK(hours(one.mean_down) == close_to(2));
  CHECK(hours(worked({.enough = 4, .size = 4, .crews = 4}).mttf) == close_to(60));
}

// Solves Q x = r by elimination with pivots: nothing in common with the recurrences.
std::vector<double> solve(std::vector<std::vector<double>> q, std::vector<double> r) {
  const std::size_t n = r.size();
  for (std::size_t i = 0; i < n; ++i) {
    std::size_t pivot = i;
    for (std::size_t j = i; j < n; ++j) {
      if (std::abs(q[j][i]) > std::abs(q[pivot][i])) pivot = j;
    }
    std::swap(q[i], q[pivot]);
    std::swap(r[i], r[pivot]);
    for (std::size_t j = 0; j < n; ++j) {
      if (j == i) continue;
      const double factor = q[j][i] / q[i][i];
      for (std::size_t k = 0; k < n; ++k) q[j][k] -= factor * q[i][k];
      r[j] -= factor * r[i];
    }
  }
  for (std::size_t i = 0; i < n; ++i) r[i] /= q[i][i];
  return r;
}

TEST_CASE("redundancy: the chain as its equations say") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    Group group;
    group.size = 1 + static_cast<int>(random.below(6));
    group.enough = 1 + static_cast<int>(random.below(static_cast<std::uint32_t>(group.size)));
    group.crews = 1 + static_cast<int>(random.below(static_cast<std::uint32_t>(group.size)));
    group.common_cause = {random.below(3) == 0 ? 0 : random.below(101), 100};
    const Duration mttf = std::chrono::hours(1 + random.below(500)),
                   mttr = std::chrono::minutes(1 + random.below(6'000));
    const double lambda = 1 / Seconds(mttf).count(), mu = 1 / Seconds(mttr).count(), beta = group.common_cause.value();
    const auto n = static_cast<std::size_t>(group.size);
    const std::size_t limit = n + 1 - static_cast<std::size_t>(group.enough);

    // rate[i][j]: from i down to j down.
    std::vector rate(n + 1, std::vector<double>(n + 1));
    for (std::size_t i = 0; i < n; ++i) {
      rate[i][i + 1] += static_cast<double>(n - i) * (1 - beta) * lambda;
      rate[i][n] += beta * lambda;
      rate[i + 1][i] += std::min(static_cast<double>(i + 1), static_cast<double>(group.crews)) * mu;
    }
    // Steady state: what flows into a state flows out of it; one of the equations is that all add up to 1.
    std::vector balance(n + 1, std::vector<double>(n + 1));
    std::vector<double> right(n + 1);
    for (std::size_t i = 0; i <= n; ++i) {
      for (std::size_t j = 0; j <= n; ++j) {
        balance[j][i] += rate[i][j] / mu;
        balance[i][i] -= rate[i][j] / mu;
      }
    }
    balance[n].assign(n + 1, 1);
    right[n] = 1;
    const std::vector<double> states = solve(balance, right);
    double down = 0, failures = 0;
    for (std::size_t i = 0; i <= n; ++i) {
      if (i >= limit) down += states[i];
      for (std::size_t j = limit; i < limit && j <= n; ++j) failures += states[i] * rate[i][j];
    }
    // First passage: (out of i) hᵢ − Σ rate hⱼ = 1 over the states that are up.
    std::vector passage(limit, std::vector<double>(limit));
    for (std::size_t i = 0; i < limit; ++i) {
      for (std::size_t j = 0; j <= n; ++j) {
        passage[i][i] += rate[i][j] / mu;
        if (j < limit) passage[i][j] -= rate[i][j] / mu;
      }
    }
    const double first = solve(passage, std::vector<double>(limit, 1))[0] / mu;

    const GroupFigures figures = group_figures(group, mttf, mttr);
    CHECK(figures.availability.unavailability() == close_to(down, 1e-6));
    CHECK(figures.mttf.count() == close_to(first, 1e-6));
    CHECK(figures.mtbf.count() == close_to(1 / failures, 1e-6));
    CHECK(figures.mean_down / figures.mtbf == close_to(figures.availability.unavailability(), 1e-12));
    // Only the quotient of the two times matters to the availability.
    CHECK(group_availability(group, missing(lambda / (lambda + mu))).unavailability() ==
          close_to(figures.availability.unavailability(), 1e-9));
    // With a crew for each and no common cause they are independent.
    if (group.crews == group.size && group.common_cause.part == 0) {
      CHECK(at_least(static_cast<std::size_t>(group.enough), alike(n, lambda / (lambda + mu))).unavailability() ==
            close_to(figures.availability.unavailability(), 1e-9));
    }
  }
}

TEST_CASE("redundancy: at the edges of what a double holds") {
  const GroupFigures many = group_figures({.enough = 1, .size = kGroupMax, .crews = 1}, 8760h, 1s);
  CHECK(many.availability.unavailability() == 0);
  CHECK(std::isinf(many.mtbf.count()));
  const GroupFigures hopeless = group_figures({.enough = kGroupMax, .size = kGroupMax, .crews = 1}, 1ns, 8760h);
  CHECK(hopeless.availability.unavailability() == 1);
  CHECK(hopeless.mttf.count() > 0);
  CHECK(!std::isnan(hopeless.mean_down.count()));
  // Many good ones with few needed: never more available by a repair crew less.
  for (int crews = 1; crews < 10; ++crews) {
    const Group few{.enough = 5, .size = 10, .crews = crews}, more{.enough = 5, .size = 10, .crews = crews + 1};
    CHECK(worked(few).availability <= worked(more).availability);
  }
}

}  // namespace
}  // namespace nines::availability
