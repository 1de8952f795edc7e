// From the configuration to what the data path is told.
#pragma once

#include <string>

#include "app/gateway_lanes.h"
#include "base/error.h"
#include "config/config.h"
#include "gateway/settings.h"

namespace nines::app {

// Pure; `threads` > 0 are its workers.
gateway::Settings settings_of(const config::Config& config, std::size_t threads);

// The golden request, as the gateway asks it. Pure.
gateway::CanarySettings canary_of(const config::Canary& canary);

// What browsers are shown while nobody is ready. Errors say which file, and why: none, empty (kNotFound), more than
// 1 MiB (kLimit).
Result<std::string> read_unavailable_page(const std::string& path);

struct GatewayPlaces {
  std::string folder;      // what the configuration's paths are relative to
  std::string access_log;  // empty: there is none
};
// With what this machine and its files add: cores, descriptors, the page for browsers. Says on standard error what
// cannot be had, and does without: a gateway that runs is worth more than a page.
GatewayLanes::Options lanes_of(const config::Config& config, const GatewayPlaces& places);

}  // namespace nines::app
