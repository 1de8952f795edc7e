#include "cli/record.h"

#include <cstdio>

#include "net/epoll_loop.h"

namespace nines::cli {

std::optional<config::Config> configuration_of(const app::Paths& paths) {
  if (paths.config_file.empty()) return std::nullopt;
  auto config = config::load(paths.config_file);
  if (config) return std::move(*config);
  std::fprintf(stderr, "nines: %s cannot be read, so nothing of what it says is in this answer\n",
               paths.config_file.c_str());
  return std::nullopt;
}

Answered<availability::Zone> zone_of(const std::optional<std::string>& typed,
                                     const std::optional<config::Config>& config) {
  auto zone = find_zone(typed ? *typed : config ? config->timezone : "UTC");
  if (!zone) return refuse(kWrong, (typed ? "--timezone: " : "timezone: ") + zone.error().text());
  return std::move(*zone);
}

std::string service_of(const app::Paths& paths, const std::optional<config::Config>& config) {
  if (config && config->service) return *config->service;
  return paths.folder.substr(paths.folder.rfind('/') + 1);
}

Answered<Record> open_record(const GlobalOptions& global, const PeriodOptions& options) {
  auto paths = find_service(global, /*dead_too=*/true);
  if (!paths) return std::unexpected(std::move(paths.error()));
  auto config = configuration_of(*paths);
  auto zone = zone_of(options.timezone, config);
  if (!zone) return std::unexpected(std::move(zone.error()));
  const WallTime now = net::wall_time();
  auto period = period_of(options, now, *zone);
  if (!period) return std::unexpected(std::move(period.error()));
  auto reader = ledger::Reader::open(paths->ledger_file());
  if (!reader) return refuse(kNo, reader.error().text());
  auto held = reader->hold();
  if (!held) return refuse(kNo, held.error().text());
  return Record{.paths = std::move(*paths),
                .config = std::move(config),
                .zone = std::move(*zone),
                .now = now,
                .period = std::move(*period),
                .reader = std::move(*reader),
                .held = std::move(*held)};
}

}  // namespace nines::cli
