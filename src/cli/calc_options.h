// What `nines calc` is asked, as values. Pure: each combination of options that makes no sense is a row in a test.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "availability/cost.h"
#include "availability/objective.h"
#include "availability/redundancy.h"
#include "base/time.h"

namespace nines::cli {

struct CalcOptions {
  // From one failure's start to the next one's.
  struct Mtbf {
    Duration mtbf{0}, mttr{0};
  };
  struct Mttf {
    Duration mttf{0}, mttr{0};
  };
  struct Failures {
    std::uint64_t failures = 0;
    Duration period{0}, downtime{0};
    double confidence = 0.9;  // two-sided
  };
  struct Target {
    availability::Objective objective;
  };
  struct Known {
    availability::Availability availability;
  };
  struct Series {
    std::vector<availability::Availability> components;
  };
  struct Parallel {
    std::vector<availability::Availability> components;
  };
  struct KOfN {
    availability::Group group;
    std::variant<availability::Availability, Mttf> each;
  };

  std::variant<Mtbf, Mttf, Failures, Target, Known, Series, Parallel, KOfN> of;
  std::optional<std::chrono::year_month> month;  // that the downtime is wanted for, too
  std::optional<availability::CostModel> cost;
  bool json = false;
};

// The words behind each option, as they were typed; nullopt: not given.
struct CalcWords {
  std::optional<std::string> mtbf, mttf, mttr;
  std::optional<std::string> failures, period, downtime, confidence;
  std::optional<std::string> target, availability;
  std::vector<std::string> series, parallel;
  std::optional<std::string> k_of_n, each, crews, common_cause;
  std::optional<std::string> month, price, per_hour, cost_per_hour;
  bool json = false;
};

// The error is what to tell the user, without "nines: ".
std::expected<CalcOptions, std::string> calc_options(const CalcWords& words);

}  // namespace nines::cli
