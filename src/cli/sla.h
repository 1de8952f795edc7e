// The agreement of a service as a document for whoever signs it: what is promised, how it is measured here, what is
// owed when it is not kept, and whether this set-up can keep it, as far as that is known. No legal advice. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/agreement.h"
#include "cli/document.h"
#include "config/config.h"
#include "ledger/report.h"

namespace nines::cli {

struct SlaFacts {
  std::string service;
  std::string timezone;
  config::Config config;
  Promise promise;
  std::optional<ledger::Report> observed;  // all that was measured, at most a year; nullopt: nothing was
};

struct Finding {
  enum class Is : std::uint8_t {
    kGood,
    kOpen,    // not known, or a weakness that may be enough
    kCannot,  // what was promised is more than this bears
  };
  std::string about;
  Is is = Is::kOpen;
  std::string why;
};
std::vector<Finding> findings_of(const SlaFacts& facts);
bool can_keep(const std::vector<Finding>& findings);

Document sla_document(const SlaFacts& facts);
std::string sla_json(const SlaFacts& facts);

}  // namespace nines::cli
