#include "availability/sla.h"

#include <array>

namespace nines::availability {
namespace {

constexpr std::string_view kCompute = "Amazon Compute Service Level Agreement, aws.amazon.com/compute/sla";
constexpr int kComputeYear = 2022;

constexpr std::array kRegionTiers = {
    CreditTier{{.budget = {1, 10'000}}, {10, 100}},  // below 99.99 %
    CreditTier{{.budget = {1, 100}}, {30, 100}},     // 99.0 %
    CreditTier{{.budget = {5, 100}}, {100, 100}},    // 95.0 %
};
constexpr std::array kInstanceTiers = {
    CreditTier{{.budget = {5, 1000}}, {10, 100}},  // below 99.5 %
    CreditTier{{.budget = {1, 100}}, {30, 100}},
    CreditTier{{.budget = {5, 100}}, {100, 100}},
};

constexpr Agreement kRegion{"EC2, two zones or more (Region-Level)", kCompute, kComputeYear, kRegionTiers};
constexpr Agreement kInstance{"EC2, a single instance (Instance-Level)", kCompute, kComputeYear, kInstanceTiers};

}  // namespace

const Agreement& ec2_region() { return kRegion; }
const Agreement& ec2_instance() { return kInstance; }

std::optional<Settlement> settle(const Agreement& agreement, const Account& month) {
  const auto missing = unavailability_at_worst(contractual(month));
  if (!missing) return std::nullopt;
  Settlement settlement{.availability = Availability::of_unavailability(*missing)};
  for (const CreditTier& tier : agreement.tiers) {
    if (tier.below.met_by(*missing)) break;
    settlement.credit = tier.credit;
    settlement.missed = tier.below;
  }
  return settlement;
}

}  // namespace nines::availability
