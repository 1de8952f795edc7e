// Service level agreements: what a provider owes back for a month. Pure arithmetic, no legal advice.
//
// Held against them is what is contractual (declared maintenance left out) at its lowest: what nobody saw counts as
// down, because a claim must stand when it is disputed. Bounds belong to the better side: exactly 99.99 % earns no
// credit where credit begins below 99.99 %.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "availability/objective.h"
#include "availability/partition.h"

namespace nines::availability {

struct CreditTier {
  Objective below;  // availability under this earns
  Ratio credit;     // so much of the month's bill
};

struct Agreement {
  std::string_view name;
  std::string_view source;
  int year = 0;                       // of the wording this follows
  std::span<const CreditTier> tiers;  // REQUIRES at least one, from the highest bound and smallest credit on

  // What is promised: the highest bound.
  const Objective& promise() const { return tiers.front().below; }
};

// Amazon EC2. A single instance is promised 99.5 %, and only what runs in two zones or more 99.99 %: several copies on
// one machine stand on the first.
const Agreement& ec2_region();
const Agreement& ec2_instance();

struct Settlement {
  Availability availability;        // the lowest that is possible
  Ratio credit{0, 1};               // of the month's bill
  std::optional<Objective> missed;  // the lowest bound that was missed; nullopt: none
};

// nullopt when no time counts.
std::optional<Settlement> settle(const Agreement& agreement, const Account& month);

}  // namespace nines::availability
