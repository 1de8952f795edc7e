#include "availability/cost.h"

#include <array>

namespace nines::availability {
namespace {

constexpr std::string_view kItic = "ITIC, Hourly Cost of Downtime Report";
constexpr int kIticYear = 2024;

constexpr std::array kPublished = {
    PublishedCost{"90 % of medium and large enterprises", {300'000}, std::nullopt, kItic, kIticYear},
    PublishedCost{"41 % of large enterprises", {1'000'000}, Dollars{5'000'000}, kItic, kIticYear},
    PublishedCost{"finance and banking", {5'000'000}, std::nullopt, kItic, kIticYear},
    PublishedCost{"automotive, an idle line of a large plant",
                  {2'300'000},
                  Dollars{2'300'000},
                  "Siemens, The True Cost of Downtime",
                  2024},
    PublishedCost{"manufacturing", {260'000}, Dollars{260'000}, "attributed to Aberdeen Research", std::nullopt},
    PublishedCost{"small retail or service business", {50'000}, Dollars{100'000}, "widely quoted", std::nullopt},
};

}  // namespace

Cost cost_of(Duration downtime, const CostModel& model) {
  const double hours = std::chrono::duration<double, std::ratio<3600>>(downtime).count();
  return {.direct = hours * model.requests.count * model.per_request,
          .hourly = hours * model.per_hour,
          .churn = hours * model.customers_lost.count * model.per_customer,
          .support = hours * model.tickets.count * model.per_ticket};
}

std::span<const PublishedCost> published_costs() { return kPublished; }

}  // namespace nines::availability
