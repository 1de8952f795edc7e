// Panic: when so few replicas are healthy that those left could not carry what the others had, ejections are ignored.
// A replica that fails one request in two is worth more than an overload that takes the healthy ones down as well
// (Envoy's panic threshold). Pure.
#pragma once

#include <cstddef>

namespace nines::gateway {

struct PanicLimits {
  std::size_t healthy_percent_min = 50;  // of the replicas that requests are wanted for
};

// `healthy`: up and not ejected; `of`: all that requests are wanted for, also those that are starting.
constexpr bool panics(const PanicLimits& limits, std::size_t healthy, std::size_t of) {
  return healthy * 100 < limits.healthy_percent_min * of;
}

}  // namespace nines::gateway
