#include "cli/agreement.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "base/check.h"
#include "cli/terminal.h"
#include "config/values.h"

namespace nines::cli {
namespace {

namespace json = boost::json;
using availability::Availability, availability::Dollars;

// The decimals that a person wrote.
availability::Objective exactly(double fraction) {
  const auto objective = availability::parse_objective(config::write_objective(fraction));
  INVARIANT(objective.has_value());
  return *objective;
}

double hours(Duration d) { return std::chrono::duration<double, std::ratio<3600>>(d).count(); }

std::string percent(Availability a) { return availability::format_percent(a) + " %"; }

// Two digits that mean something: an estimate has no more.
std::string about(double number) {
  if (number < 10) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.2g", number);
    return text.data();
  }
  const double scale = std::pow(10, std::floor(std::log10(number)) - 1);
  return with_commas(static_cast<std::uint64_t>(std::llround(number / scale) * std::llround(scale)));
}

std::optional<Settled> settled_of(const Promise& promise, const ledger::Report& report, bool is_month) {
  return is_month ? settle(promise, report.account) : std::nullopt;
}

// What it would be, were only that counted which is known.
std::string by_what_was_seen(const Promise& promise, const ledger::Report& report) {
  availability::Account known = report.account;
  known.outside.unknown = known.maintenance.unknown = Duration{0};
  const auto settled = settle(promise, known);
  if (!settled) return "; nothing was seen of it";
  return "; by what was seen it is " + percent(settled->settlement.availability) + " and the credit " +
         (settled->settlement.credit.part == 0 ? "none" : share_text(settled->settlement.credit));
}

}  // namespace

std::string share_text(availability::Ratio share) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%g %%", 100 * share.value());
  return text.data();
}

Promise::Promise(const config::Sla& s) : sla(s), target(exactly(s.target)) {
  for (const config::Sla::Credit& credit : sla.credits)
    tiers.push_back({.below = exactly(credit.below), .credit = {static_cast<std::uint64_t>(credit.percent), 100}});
  if (tiers.empty()) tiers.push_back({.below = target, .credit = {0, 1}});
}

std::optional<Settled> settle(const Promise& promise, const availability::Account& account) {
  availability::Account counted = account;
  if (!promise.sla.exclude_maintenance) counted = {.outside = availability::raw(account), .maintenance = {}};
  const auto settlement = availability::settle({.name = "", .source = "", .year = 0, .tiers = promise.tiers}, counted);
  const auto missing = availability::unavailability_at_worst(availability::contractual(counted));
  if (!settlement || !missing) return std::nullopt;
  Settled settled{.settlement = *settlement,
                  .whole = counted.outside.unknown == 0s,
                  .met = promise.target.met_by(*missing),
                  .credit = {}};
  if (promise.sla.monthly_fee) settled.credit = settlement->credit.value() * Dollars{*promise.sla.monthly_fee};
  return settled;
}

Downtime downtime_of(const ledger::Report& report) {
  const availability::ObservedTime time = availability::raw(report.account);
  Downtime downtime{.down = time.down, .failed = report.requests.bad, .per_hour = {}};
  if (const Duration served = time.up + time.degraded; served > 0s) {
    downtime.per_hour = static_cast<double>(report.requests.good) / hours(served);
    const double expected = *downtime.per_hour * hours(downtime.down);
    downtime.not_made = std::max(0.0, expected - static_cast<double>(downtime.failed));
  }
  return downtime;
}

DowntimeCost cost_of(const Downtime& downtime, const config::Costs& costs) {
  const Dollars price{costs.per_request.value_or(0)};
  availability::CostModel model{.requests = {downtime.down > 0s ? downtime.not_made / hours(downtime.down) : 0},
                                .per_request = price,
                                .per_hour = {costs.per_hour.value_or(0)},
                                .customers_lost = {},
                                .per_customer = {},
                                .tickets = {},
                                .per_ticket = {}};
  if (costs.churn) model.customers_lost = {costs.churn->per_hour}, model.per_customer = {costs.churn->each};
  if (costs.support) model.tickets = {costs.support->per_hour}, model.per_ticket = {costs.support->each};
  return {.failed = static_cast<double>(downtime.failed) * price,
          .estimated = availability::cost_of(downtime.down, model)};
}

Part settlement_part(const Promise& promise, const ledger::Report& report, bool is_month) {
  Part part{.title = "Agreement", .figures = {}};
  const auto line = [&part](std::string label, std::string value, std::string note) {
    part.figures.push_back({std::move(label), std::move(value), std::move(note)});
  };
  line("promised", percent(promise.target.availability()),
       std::string("of each month, ") + (promise.sla.exclude_maintenance ? "without" : "with") +
           " declared maintenance");
  if (!is_month) {
    line("settled", "no", "an agreement is settled by the month: nines report --month");
    return part;
  }
  const auto settled = settled_of(promise, report, is_month);
  if (!settled) {
    line("settled", "no", "no time of this month counts");
    return part;
  }
  const bool over = report.window.end >= report.asked.end;
  const auto& settlement = settled->settlement;
  line("settled on", percent(settlement.availability),
       settled->whole
           ? "all of the time is known"
           : "the lowest that is possible: what is unknown counts as down" + by_what_was_seen(promise, report));
  line("kept", settled->met ? "yes" : "no", over ? "" : "so far: the month is not over");
  std::string why = settlement.missed ? "below " + percent(settlement.missed->availability()) : "";
  if (promise.sla.credits.empty()) why = "no credits were agreed";
  if (settlement.credit.part > 0)
    why += settled->credit
               ? ": " + dollars_text(settled->credit->amount) + " of " + dollars_text(*promise.sla.monthly_fee)
               : "; of the month's fee, which is not said (`sla: {monthly_fee: $…}`)";
  if (!report.corrections.empty()) {
    const auto corrected = settle(promise, ledger::corrected_account(report.account, report.corrections));
    if (corrected)
      line("as corrected", percent(corrected->settlement.availability),
           "it would be kept: " + std::string(corrected->met ? "yes" : "no") + ", credit " +
               (corrected->settlement.credit.part == 0 ? "none" : share_text(corrected->settlement.credit)) +
               "; the parties decide whether corrections hold");
  }
  line("credit", settlement.credit.part == 0 ? "none" : share_text(settlement.credit), why);
  return part;
}

Part cost_part(const config::Costs& costs, const ledger::Report& report) {
  Part part{.title = "What the downtime cost", .figures = {}};
  const auto line = [&part](std::string label, Dollars value, std::string note) {
    part.figures.push_back({std::move(label), dollars_text(value.amount), std::move(note)});
  };
  const Downtime downtime = downtime_of(report);
  const DowntimeCost cost = cost_of(downtime, costs);
  const std::string length = format_duration(downtime.down) + " down";
  if (costs.per_request) {
    const std::string price = dollars_text(*costs.per_request) + " each";
    line("requests that failed", cost.failed, with_commas(downtime.failed) + ", " + price);
    line("requests not made", cost.estimated.direct,
         downtime.per_hour ? "estimate: about " + about(downtime.not_made) + ", " + price + "; " +
                                 about(*downtime.per_hour) + " an hour came while it was up, less those that failed"
                           : "nothing is known of how many come");
  }
  if (costs.per_hour)
    line("by the hour", cost.estimated.hourly,
         length + ", " + dollars_text(*costs.per_hour) + " an hour as configured");
  const auto factor = [](const config::Costs::Factor& f, const std::string& what) {
    std::array<char, 32> count{};
    std::snprintf(count.data(), count.size(), "%g ", f.per_hour);
    return count.data() + what + " an hour, " + dollars_text(f.each) + " each, as configured";
  };
  if (costs.churn) line("customers lost", cost.estimated.churn, factor(*costs.churn, "customers"));
  if (costs.support) line("support", cost.estimated.support, factor(*costs.support, "tickets"));
  line("in all", cost.total(), costs.per_request ? "of which the requests that failed were counted" : "");
  return part;
}

Part published_part() {
  Part part{.title = "Published elsewhere, an hour; to compare with, and nothing of this service", .figures = {}};
  for (const auto& cost : availability::published_costs()) {
    std::string value = dollars_text(cost.from.amount);
    if (!cost.to) value = "over " + value;
    if (cost.to && *cost.to != cost.from) value += " to " + dollars_text(cost.to->amount);
    part.figures.push_back(
        {std::string(cost.who), value,
         std::string(cost.source) + (cost.year ? ", " + std::to_string(*cost.year) : ", no year known")});
  }
  return part;
}

json::value settlement_json(const Promise& promise, const ledger::Report& report, bool is_month) {
  json::object all{{"target", promise.target.availability().fraction()},
                   {"maintenance_excluded", promise.sla.exclude_maintenance},
                   {"monthly_fee", promise.sla.monthly_fee ? json::value(*promise.sla.monthly_fee) : json::value()}};
  const auto settled = settled_of(promise, report, is_month);
  all["settled"] = settled.has_value();
  if (!settled) return all;
  const auto& settlement = settled->settlement;
  all["over"] = report.window.end >= report.asked.end;
  all["availability"] = settlement.availability.fraction();
  all["all_known"] = settled->whole;
  all["kept"] = settled->met;
  all["credit"] = settlement.credit.value();
  all["below"] = settlement.missed ? json::value(settlement.missed->availability().fraction()) : json::value();
  all["credit_dollars"] = settled->credit ? json::value(settled->credit->amount) : json::value();
  return all;
}

json::value cost_json(const config::Costs& costs, const ledger::Report& report) {
  const Downtime downtime = downtime_of(report);
  const DowntimeCost cost = cost_of(downtime, costs);
  const auto if_said = [](bool said, Dollars amount) { return said ? json::value(amount.amount) : json::value(); };
  json::array published;
  for (const auto& one : availability::published_costs())
    published.push_back(json::object{{"who", one.who},
                                     {"from", one.from.amount},
                                     {"to", one.to ? json::value(one.to->amount) : json::value()},
                                     {"source", one.source},
                                     {"year", one.year ? json::value(*one.year) : json::value()}});
  return json::object{{"down_s", static_cast<double>(downtime.down.count()) / 1e9},
                      {"failed_requests", downtime.failed},
                      {"requests_not_made_estimate", downtime.not_made},
                      {"dollars",
                       {{"failed_requests", if_said(costs.per_request.has_value(), cost.failed)},
                        {"requests_not_made_estimate", if_said(costs.per_request.has_value(), cost.estimated.direct)},
                        {"per_hour", if_said(costs.per_hour.has_value(), cost.estimated.hourly)},
                        {"churn", if_said(costs.churn.has_value(), cost.estimated.churn)},
                        {"support", if_said(costs.support.has_value(), cost.estimated.support)},
                        {"total", cost.total().amount}}},
                      {"published_per_hour", std::move(published)}};
}

}  // namespace nines::cli
