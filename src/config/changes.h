// What is different between two configurations, for people and for whoever decides what a reload may do.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace nines::config {

struct Change {
  std::string key;            // from the top: "gateway.timeouts.connect"; a list is one key
  std::string before, after;  // as text; empty: not there
  bool operator==(const Change&) const = default;
};

// By key, in the order of the file. Pure. Values of `replicas.env` are left out: some are secrets.
std::vector<Change> changes(const Config& before, const Config& after);

// "gateway.queue_time: 10s -> 5s"
std::string text_of(const Change& change);

}  // namespace nines::config
