#include "availability/budget.h"

#include <doctest/doctest.h>

#include <limits>
#include <string>

#include "availability/test_support.h"

namespace nines::availability {
namespace {

using testing::close_to;

Objective objective(const char* text) { return parse_objective(text).value(); }

// `percent` of 10,000 requests were bad.
Evidence requests(std::uint64_t bad, std::uint64_t valid = 10'000) {
  return {.requests = {.good = valid - bad, .bad = bad}, .time = {}};
}

TEST_CASE("budget: the Workbook's table, exactly") {
  struct Row {
    Severity severity;
    Duration long_window, short_window;
    Ratio thirty_days, four_weeks;  // burn rates
  };
  using enum Severity;
  const Row rows[] = {
      {kPage, 1h, 5min, {144, 10}, {1344, 100}},
      {kPage, 6h, 30min, {6, 1}, {56, 10}},
      {kTicket, 24h, 2h, {3, 1}, {28, 10}},
      {kTicket, 72h, 6h, {1, 1}, {14, 15}},  // 0.9333
  };
  REQUIRE(workbook_rules().size() == std::size(rows));
  for (std::size_t i = 0; i < std::size(rows); ++i) {
    CAPTURE(i);
    const auto month = make_alert(workbook_rules()[i], objective("99.9%"), kThirtyDays);
    REQUIRE(month);
    CHECK(month->severity == rows[i].severity);
    CHECK(month->long_window == rows[i].long_window);
    CHECK(month->short_window == rows[i].short_window);
    CHECK(month->burn == rows[i].thirty_days);
    CHECK(month->threshold == multiply(rows[i].thirty_days, {1, 1000}));
    CHECK(make_alert(workbook_rules()[i], objective("99.9%"), 4 * kWeek)->burn == rows[i].four_weeks);
  }
}

TEST_CASE("budget: how long an outage goes on before it is noticed") {
  const auto page = make_alert(workbook_rules()[0], objective("99.9%"), kThirtyDays).value();
  CHECK(time_to_detect(page, {1, 1}) == 51'840ms);
  CHECK(time_to_detect(page, {1, 2}) == 103'680ms);
  CHECK(time_to_detect(page, {144, 10'000}) == std::nullopt);  // on the threshold
  CHECK(*time_to_detect(page, {145, 10'000}) < 1h);
  CHECK(*time_to_detect(page, {145, 10'000}) > 59min);
  CHECK(!time_to_detect(page, {0, 1}));
  // Too many digits for an exact figure.
  const std::uint64_t large = 10'000'000'000'000'000'019ULL;
  CHECK(*time_to_detect(page, {large - 1, large}) - 51'840ms < 1us);
  CHECK(*time_to_detect(page, {large - 1, large}) - 51'840ms > -1us);
}

TEST_CASE("budget: what can never fire is refused") {
  const BurnRule page = workbook_rules()[0];  // 14.4
  CHECK(make_alert(page, objective("93.06%"), kThirtyDays));
  CHECK(!make_alert(page, objective("93.05%"), kThirtyDays));
  const auto refused = make_alert(page, objective("90%"), kThirtyDays);
  REQUIRE(!refused);
  CHECK(refused.error().code() == Code::kInvalid);
  CHECK(
      refused.error().text() ==
      "a burn rate above 14.4 can never be seen at 90%: when everything fails it is 10; use a longer window, a smaller "
      "share of the budget or a higher objective");
  // On the bound it cannot be exceeded either: 5 % in 6 h is 6 times, and 1 ÷ (1 − 5/6) is 6.
  CHECK(!make_alert({Severity::kPage, 6h, 30min, {5, 100}}, {.budget = {1, 6}}, kThirtyDays));
  CHECK(make_alert({Severity::kPage, 6h, 30min, {5, 100}}, {.budget = {999'999, 6'000'000}}, kThirtyDays));
}

TEST_CASE("budget: rules that make no sense are refused") {
  const Objective target = objective("99.9%");
  using enum Severity;
  for (const BurnRule& rule :
       {BurnRule{kPage, 1h, 0h, {2, 100}}, BurnRule{kPage, 1h, 2h, {2, 100}}, BurnRule{kPage, 721h, 1h, {2, 100}},
        BurnRule{kPage, 1h, 5min, {0, 100}}, BurnRule{kPage, 1h, 5min, {101, 100}}}) {
    const auto made = make_alert(rule, target, kThirtyDays);
    REQUIRE(!made);
    CHECK(made.error().text().starts_with("an alert needs a short window"));
  }
  CHECK(make_alert({kPage, 720h, 720h, {1, 1}}, target, kThirtyDays)->burn == Ratio{1, 1});
  const std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  CHECK(make_alert({kPage, 1h, 5min, {most - 58, most}}, {.budget = {1, most - 1}}, kThirtyDays).error().code() ==
        Code::kLimit);
}

TEST_CASE("budget: both windows must burn") {
  const auto page = make_alert(workbook_rules()[0], objective("99.9%"), kThirtyDays).value();  // above 1.44 %
  CHECK(fires(page, requests(145), requests(145)));
  CHECK(!fires(page, requests(144), requests(145)));
  CHECK(!fires(page, requests(145), requests(144)));
  CHECK(!fires(page, requests(145), requests(0)));  // it is over
  CHECK(!fires(page, {}, {}));
}

TEST_CASE("budget: where there are few requests time decides") {
  const auto page = make_alert(workbook_rules()[0], objective("99.9%"), kThirtyDays).value();
  Evidence long_window = requests(1, 60), short_window = requests(1, 5);
  CHECK(!fires(page, long_window, short_window));  // one error of 60 would be 16 times too many
  CHECK(fires(page, long_window, short_window, 5));
  long_window.time = {.up = 59min, .down = 1min};
  short_window.time = {.up = 4min, .down = 1min};
  CHECK(fires(page, long_window, short_window));
  short_window.time = {.up = 5min};
  CHECK(!fires(page, long_window, short_window));
  // The long window has enough, the short one has not.
  short_window.time = {.up = 4min, .down = 1min};
  CHECK(fires(page, requests(200), short_window));
  CHECK(!fires(page, requests(100), short_window));
  // What is unknown says nothing.
  short_window.time = {.unknown = 5min};
  CHECK(!fires(page, requests(200), short_window));
  CHECK(fires(page, requests(2, 100), requests(2, 100)));
  CHECK(!fires(page, requests(2, 99), requests(2, 99)));
  CHECK(!fires(page, {}, {}, 0));
}

TEST_CASE("budget: spent") {
  const Objective target = objective("99.9%");
  CHECK(budget_spent(target, 2592s, kThirtyDays) == close_to(1));
  CHECK(budget_spent(target, 1296s, kThirtyDays) == close_to(0.5));
  CHECK(budget_spent(target, 500, 1'000'000) == close_to(0.5));
  CHECK(budget_spent(target, 3000, 1'000'000) == close_to(3));
  CHECK(burn_rate(target, {1, 1}) == close_to(1000));
  CHECK(burn_rate(target, {144, 10'000}) == close_to(14.4));
}

}  // namespace
}  // namespace nines::availability
