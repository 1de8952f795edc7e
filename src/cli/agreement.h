// What a configuration promises and what downtime costs by it, worked out for a report by availability/{sla,cost}.h.
// Pure.
#pragma once

#include <boost/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "availability/cost.h"
#include "availability/sla.h"
#include "cli/document.h"
#include "config/config.h"
#include "ledger/report.h"

namespace nines::cli {

// `sla:` in the exact numbers that decide.
struct Promise {
  config::Sla sla;
  availability::Objective target;
  std::vector<availability::CreditTier> tiers;  // never empty: without credits one of nothing, at the target

  explicit Promise(const config::Sla& sla);
};

struct Settled {
  availability::Settlement settlement;  // at the lowest that is possible
  bool whole = false;                   // nothing is unknown: the lowest is what was
  bool met = false;                     // the target
  std::optional<availability::Dollars> credit;
};
// nullopt: no time counts. `account` is of the month; maintenance is left out or not, as was agreed.
std::optional<Settled> settle(const Promise& promise, const availability::Account& account);

struct Downtime {
  Duration down{0};                // that counts for nothing else: also within maintenance
  std::uint64_t failed = 0;        // requests
  std::optional<double> per_hour;  // good ones, while it was up; nullopt: nothing is known of that
  double not_made = 0;             // estimated: what would have come while it was down, less those that failed
};
Downtime downtime_of(const ledger::Report& report);

struct DowntimeCost {
  availability::Dollars failed;  // requests that failed, at their price
  availability::Cost estimated;  // direct: requests not made, at their price
  availability::Dollars total() const { return failed + estimated.total(); }
};
DowntimeCost cost_of(const Downtime& downtime, const config::Costs& costs);

// Parts of a report. An agreement is settled by the month: of other stretches it says so.
Part settlement_part(const Promise& promise, const ledger::Report& report, bool is_month);
Part cost_part(const config::Costs& costs, const ledger::Report& report);
Part published_part();

boost::json::value settlement_json(const Promise& promise, const ledger::Report& report, bool is_month);
boost::json::value cost_json(const config::Costs& costs, const ledger::Report& report);

// "10 %"
std::string share_text(availability::Ratio share);

}  // namespace nines::cli
