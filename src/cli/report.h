// A report for people and programs: the figures of ledger/report.h in words, and the same words in every format. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "availability/objective.h"
#include "availability/zone.h"
#include "cli/report_format.h"
#include "config/config.h"
#include "ledger/report.h"

namespace nines::cli {

struct ReportFacts {
  availability::Zone zone;  // of times
  std::string service;
  std::string period;  // as it was asked for: "2026-11"
  bool is_month = false;
  std::optional<availability::Objective> objective;
  std::string objective_text;  // "99.9%"
  std::optional<config::Sla> sla;
  std::optional<config::Costs> costs;
};

// One incident, as JSON without a newline, and in a line.
std::string json_of(const ledger::Incident& incident);
std::string describe(const ledger::Incident& incident);
// "corrected, row 12: 2 min as up: why; who"
std::string describe(const ledger::Corrected& corrected);

// Ends with a newline.
std::string render(const ledger::Report& report, const ReportFacts& facts, ReportFormat format);

}  // namespace nines::cli
