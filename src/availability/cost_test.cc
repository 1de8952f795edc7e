#include "availability/cost.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "availability/objective.h"
#include "availability/test_support.h"

namespace nines::availability {
namespace {

using testing::close_to;

TEST_CASE("cost: a thousand requests an hour at a cent each") {
  const CostModel model{.requests = {1000}, .per_request = {0.01}};
  CHECK(cost_of(1h, model).total().amount == close_to(10));
  const Cost year = cost_of(allowed_downtime(parse_objective("99.9%").value(), kYear), model);
  CHECK(year.total().amount == close_to(87.6));  // $88 a year
  CHECK(year.direct.amount == year.total().amount);
  CHECK(cost_of(0h, model).total() == Dollars{0});
}

TEST_CASE("cost: each part is counted once, and only where it was given") {
  const CostModel model{.requests = {100},
                        .per_request = {0.5},
                        .per_hour = {7},
                        .customers_lost = {2},
                        .per_customer = {300},
                        .tickets = {10},
                        .per_ticket = {4}};
  const Cost cost = cost_of(30min, model);
  CHECK(cost.direct.amount == close_to(25));
  CHECK(cost.hourly.amount == close_to(3.5));
  CHECK(cost.churn.amount == close_to(300));
  CHECK(cost.support.amount == close_to(20));
  CHECK(cost.total().amount == close_to(348.5));
  CHECK(cost_of(1000h, {}).total() == Dollars{0});
}

const PublishedCost& published(std::string_view who) {
  const auto found =
      std::ranges::find_if(published_costs(), [&](const PublishedCost& cost) { return cost.who.contains(who); });
  REQUIRE(found != published_costs().end());
  return *found;
}

TEST_CASE("cost: figures to compare with say where they are from") {
  for (const PublishedCost& cost : published_costs()) {
    CAPTURE(cost.who);
    CHECK(!cost.source.empty());
    if (cost.to) CHECK(cost.from <= *cost.to);
    if (cost.year) CHECK(*cost.year >= 2000);
  }
  CHECK(published("90 %").from == Dollars{300'000});
  CHECK(published("90 %").year == 2024);
  CHECK(published("41 %").from == Dollars{1'000'000});
  CHECK(published("41 %").to == Dollars{5'000'000});
  CHECK(published("finance").from == Dollars{5'000'000});
  CHECK(!published("finance").to);
  CHECK(published("manufacturing").from == Dollars{260'000});
  CHECK(published("small retail").from == Dollars{50'000});
  CHECK(published("small retail").to == Dollars{100'000});
  CHECK(published("automotive").from.amount / 3600 == close_to(639, 0.001));  // a second
}

}  // namespace
}  // namespace nines::availability
