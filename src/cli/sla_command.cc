// nines sla: the agreement as a document, and whether this set-up can keep it.
#include <cstdio>

#include "cli/commands.h"
#include "cli/record.h"
#include "cli/sla.h"
#include "net/epoll_loop.h"

namespace nines::cli {
namespace {

// All that was measured, at most a year of it; a service that never ran has promised something all the same.
std::optional<ledger::Report> observed(const app::Paths& paths, WallTime now) {
  const auto reader = ledger::Reader::open(paths.ledger_file());
  if (!reader) return std::nullopt;
  const auto since = reader->measured_since();
  if (!since || !*since) return std::nullopt;
  const WallTime begin = std::max(WallTime(std::chrono::seconds(**since)), now - availability::kYear);
  auto report = ledger::report_of(*reader, {begin, now}, now);
  return report ? std::optional(std::move(*report)) : std::nullopt;
}

}  // namespace

int perform(const GlobalOptions& global, const SlaOptions& options) {
  const auto paths = find_service(global, /*dead_too=*/true);
  if (!paths) return say(paths.error());
  const auto config = configuration_of(*paths);
  if (!config) return say(refuse(kWrong, "without a configuration nothing is promised").error());
  const auto zone = zone_of(std::nullopt, config);
  if (!zone) return say(zone.error());
  if (!config->sla && !config->objective)
    return say(refuse(kWrong, "nothing is promised: write `sla: {target: 99.9%}` into " + paths->config_file).error());
  const config::Sla promised = config->sla.value_or(config::Sla{.target = config->objective.value_or(0)});
  const SlaFacts facts{.service = service_of(*paths, config),
                       .timezone = zone->name(),
                       .config = *config,
                       .promise = Promise(promised),
                       .observed = observed(*paths, net::wall_time())};
  const std::string text = options.json ? sla_json(facts) + "\n" : render(sla_document(facts), options.format);
  std::fputs(text.c_str(), stdout);
  return options.check && !can_keep(findings_of(facts)) ? kNo : kDone;
}

}  // namespace nines::cli
