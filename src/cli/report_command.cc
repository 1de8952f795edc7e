#include <cstdio>

#include "cli/commands.h"
#include "cli/record.h"
#include "cli/report.h"
#include "config/values.h"

namespace nines::cli {

int perform(const GlobalOptions& global, const ReportOptions& options) {
  const auto record = open_record(global, options.period);
  if (!record) return say(record.error());
  const auto report = ledger::report_of(record->reader, record->period.interval, record->now);
  if (!report) return say(refuse(kNo, report.error().text()).error());
  ReportFacts facts{.zone = record->zone,
                    .service = service_of(record->paths, record->config),
                    .period = record->period.text,
                    .is_month = record->period.is_month,
                    .objective = {},
                    .objective_text = "",
                    .sla = record->config ? record->config->sla : std::nullopt,
                    .costs = record->config ? record->config->costs : std::nullopt};
  if (record->config && record->config->objective) {
    facts.objective_text = config::write_objective(*record->config->objective);
    if (const auto objective = availability::parse_objective(facts.objective_text)) facts.objective = *objective;
  }
  std::fputs(render(*report, facts, options.json ? ReportFormat::kJson : options.format).c_str(), stdout);
  const bool missed = facts.objective && verdict_of(*report, *facts.objective) == ledger::Verdict::kMissed;
  return missed ? kNo : kDone;
}

}  // namespace nines::cli
