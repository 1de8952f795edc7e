#include <cstdio>

#include "cli/commands.h"
#include "cli/period.h"
#include "cli/report.h"
#include "cli/target.h"
#include "config/config.h"
#include "net/epoll_loop.h"

namespace nines::cli {
namespace {

std::string percent_text(double objective) {
  char text[32];
  std::snprintf(text, sizeof text, "%.10g%%", objective * 100);
  return text;
}

}  // namespace

int perform(const GlobalOptions& global, const ReportOptions& options) {
  const auto paths = find_service(global, /*dead_too=*/true);
  if (!paths) return say(paths.error());
  const WallTime now = net::wall_time();
  const auto period = period_of(options.period, now);
  if (!period) return say(period.error());
  const auto reader = ledger::Reader::open(paths->ledger_file());
  if (!reader) return say({kNo, "nines: " + reader.error().text()});
  const auto report = ledger::report_of(*reader, period->interval, now);
  if (!report) return say({kNo, "nines: " + report.error().text()});
  ReportFacts facts{.service = paths->folder.substr(paths->folder.rfind('/') + 1),
                    .period = period->text,
                    .objective = {},
                    .objective_text = ""};
  bool unreadable = false;
  if (!paths->config_file.empty()) {
    if (const auto config = config::load(paths->config_file)) {
      if (config->service) facts.service = *config->service;
      if (config->objective) {
        facts.objective_text = percent_text(*config->objective);
        if (const auto objective = availability::parse_objective(facts.objective_text)) facts.objective = *objective;
      }
    } else {
      std::fprintf(stderr, "nines: %s cannot be read, so there is no objective in this report\n",
                   paths->config_file.c_str());
    }
  }
  std::fputs(render(*report, facts, options.json ? ReportFormat::kJson : options.format).c_str(), stdout);
  if (unreadable) return kWrong;
  const bool missed = facts.objective && verdict_of(*report, *facts.objective) == ledger::Verdict::kMissed;
  return missed ? kNo : kDone;
}

}  // namespace nines::cli
