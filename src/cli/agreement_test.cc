#include "cli/agreement.h"

#include <doctest/doctest.h>

#include "cli/report.h"

namespace nines::cli {
namespace {

constexpr WallTime kFirst = std::chrono::sys_days(std::chrono::year(2026) / 11 / 1);
constexpr std::int64_t kSeconds = 30 * 86'400;  // of November

struct Seen {
  std::uint64_t down = 0, unknown = 0, maintenance_down = 0, good = 0, bad = 0;
};

// Of November, which is over.
ledger::Report november(const Seen& seen) {
  const std::int64_t from = kFirst.time_since_epoch() / 1s;
  ledger::Total total{.sum = {}, .from = from, .to = from + kSeconds};
  total.sum.start = from;
  total.sum.good = seen.good, total.sum.bad = seen.bad;
  total.sum.down = seen.down, total.sum.maintenance_down = seen.maintenance_down;
  total.sum.up = static_cast<std::uint64_t>(kSeconds) - seen.down - seen.unknown - seen.maintenance_down;
  const availability::Interval month{kFirst, kFirst + std::chrono::seconds(kSeconds)};
  return ledger::report_of({.asked = month, .window = month, .since = kFirst, .total = total});
}

const config::Sla kSla{.target = 0.999,
                       .credits = {{0.999, 10}, {0.99, 30}, {0.95, 100}},
                       .monthly_fee = 1200,
                       .exclude_maintenance = true,
                       .claims = {}};

TEST_CASE("agreement: the credit of a month, to the second") {
  struct Row {
    const char* name;
    Seen seen;
    double credit, dollars;
    bool kept;
  };
  const Row rows[] = {
      {"nothing happened", {}, 0, 0, true},
      {"exactly at the bound earns nothing", {.down = 2592}, 0, 0, true},
      {"a second more earns the first", {.down = 2593}, 0.1, 120, false},
      {"exactly at the next one it is still the first", {.down = 25'920}, 0.1, 120, false},
      {"below it the next", {.down = 25'921}, 0.3, 360, false},
      {"below all of them everything", {.down = 129'601}, 1, 1200, false},
      {"what is unknown counts as down", {.down = 2000, .unknown = 593}, 0.1, 120, false},
      {"maintenance counts neither way", {.maintenance_down = 100'000}, 0, 0, true},
  };
  const Promise promise(kSla);
  for (const Row& row : rows) {
    CAPTURE(row.name);
    const auto settled = settle(promise, november(row.seen).account);
    REQUIRE(settled);
    CHECK(settled->settlement.credit.value() == doctest::Approx(row.credit));
    CHECK(settled->credit->amount == doctest::Approx(row.dollars));
    CHECK(settled->met == row.kept);
    CHECK(settled->whole == (row.seen.unknown == 0));
  }
  config::Sla strict = kSla;
  strict.exclude_maintenance = false;
  CHECK(settle(Promise(strict), november({.maintenance_down = 2593}).account)->settlement.credit.value() == 0.1);
  config::Sla bare = kSla;
  bare.credits.clear();
  bare.monthly_fee.reset();
  const auto settled = settle(Promise(bare), november({.down = 2593}).account);
  CHECK_FALSE(settled->met);
  CHECK(settled->settlement.credit.part == 0);
  CHECK_FALSE(settled->credit);
}

TEST_CASE("agreement: what the downtime cost is counted, estimated, and never invented") {
  // An hour down in which 20 failed; 719 hours in which 1,000 an hour came.
  const ledger::Report report = november({.down = 3600, .good = 719'000, .bad = 20});
  const Downtime downtime = downtime_of(report);
  CHECK(*downtime.per_hour == doctest::Approx(1000));
  CHECK(downtime.not_made == doctest::Approx(980));
  const DowntimeCost direct = cost_of(downtime, {.per_request = 0.01});
  CHECK(direct.failed.amount == doctest::Approx(0.2));
  CHECK(direct.total().amount == doctest::Approx(10));
  const DowntimeCost all = cost_of(downtime, {.per_request = 0.01,
                                              .per_hour = 200,
                                              .churn = config::Costs::Factor{0.5, 900},
                                              .support = config::Costs::Factor{4, 15}});
  CHECK(all.total().amount == doctest::Approx(10 + 200 + 450 + 60));
  CHECK(cost_of(downtime, {}).total().amount == 0);
  // More failed than would have come: retries. Nothing is owed for that.
  CHECK(downtime_of(november({.down = 3600, .good = 719'000, .bad = 5000})).not_made == 0);
  CHECK_FALSE(downtime_of(november({.down = static_cast<std::uint64_t>(kSeconds)})).per_hour);
  // What is not configured has no line.
  CHECK(cost_part({.per_hour = 5}, report).figures.size() == 2);
}

TEST_CASE("agreement: in a report, of a month only") {
  const ledger::Report report = november({.down = 2593, .unknown = 100'000, .good = 719'000, .bad = 20});
  ReportFacts facts{.service = "api",
                    .period = "2026-11",
                    .is_month = true,
                    .objective = {},
                    .objective_text = "",
                    .sla = kSla,
                    .costs = config::Costs{.per_request = 0.01}};
  const std::string text = render(report, facts, ReportFormat::kText);
  CHECK(text.contains("  settled on"));
  CHECK(text.contains("by what was seen it is 99.8959 % and the credit 10 %"));
  CHECK(text.contains("below 99 %: $360 of $1,200"));
  CHECK(text.contains("ITIC, Hourly Cost of Downtime Report, 2024"));
  CHECK(text.contains("estimate: about "));
  for (const ReportFormat format : {ReportFormat::kMarkdown, ReportFormat::kCsv, ReportFormat::kHtml})
    CHECK(render(report, facts, format).contains("by what was seen it is 99.8959 %"));
  const auto json = boost::json::parse(render(report, facts, ReportFormat::kJson)).as_object();
  CHECK(json.at("sla").as_object().at("credit_dollars").to_number<double>() == doctest::Approx(360));
  CHECK(json.at("cost").as_object().at("failed_requests").to_number<int>() == 20);
  CHECK(json.at("cost").as_object().at("dollars").as_object().at("churn").is_null());
  facts.is_month = false;
  CHECK(render(report, facts, ReportFormat::kText).contains("an agreement is settled by the month"));
  facts.sla.reset(), facts.costs.reset();
  CHECK_FALSE(render(report, facts, ReportFormat::kText).contains("$"));
}

TEST_CASE("document: what others wrote stays in its line, and commands no terminal") {
  const Document document{.title = "t",
                          .subtitle = "s",
                          .parts = {{.title = "", .figures = {{"a", "b", "two\nlines \x1b[31m| <b>"}}}},
                          .verdict = ""};
  CHECK(render(document, ReportFormat::kText).ends_with("two lines  [31m| <b>\n"));
  CHECK(render(document, ReportFormat::kMarkdown).ends_with("| two lines  [31m\\| <b> |\n"));
  CHECK(render(document, ReportFormat::kCsv).ends_with("a,b,two lines  [31m| <b>\r\n"));
  CHECK(render(document, ReportFormat::kHtml).contains("two lines  [31m| &lt;b&gt;"));
}

TEST_CASE("document: money") {
  for (const auto& [amount, text] : {std::pair{0.0, "$0"},
                                     {0.0042, "$0.0042"},
                                     {0.5, "$0.50"},
                                     {1.0, "$1"},
                                     {12.5, "$12.50"},
                                     {1234567.0, "$1,234,567"}})
    CHECK(dollars_text(amount) == text);
}

}  // namespace
}  // namespace nines::cli
