// What downtime costs. Estimates, so plain doubles; everything is the user's to say, nothing is assumed: churn and
// support cost nothing until somebody gives a figure.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "base/time.h"

namespace nines::availability {

struct Dollars {
  double amount = 0;

  friend Dollars operator+(Dollars a, Dollars b) { return {a.amount + b.amount}; }
  friend Dollars operator*(double times, Dollars d) { return {times * d.amount}; }
  friend auto operator<=>(Dollars, Dollars) = default;
};

// A rate: how many in an hour.
struct PerHour {
  double count = 0;
};

struct CostModel {
  PerHour requests;        // that are lost
  Dollars per_request;     // direct: what each would have earned
  Dollars per_hour;        // whatever else an hour of downtime costs: idle people, penalties
  PerHour customers_lost;  // churn
  Dollars per_customer;    // what one would have brought
  PerHour tickets;         // support
  Dollars per_ticket;
};

struct Cost {
  Dollars direct, hourly, churn, support;

  Dollars total() const { return direct + hourly + churn + support; }
};

Cost cost_of(Duration downtime, const CostModel& model);

// Figures to compare with, as they were published. None is a default of anything.
struct PublishedCost {
  std::string_view who;
  Dollars from;  // an hour; at least, where there is no `to`
  std::optional<Dollars> to;
  std::string_view source;
  std::optional<int> year;  // nullopt: quoted everywhere, and no survey behind it is known
};

std::span<const PublishedCost> published_costs();

}  // namespace nines::availability
