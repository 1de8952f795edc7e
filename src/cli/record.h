// The record of a service as the commands that read it open it: which service, which stretch of time, and the file at
// one moment, so that everything a command says is of the same one.
#pragma once

#include <optional>
#include <string>

#include "cli/arguments.h"
#include "cli/period.h"
#include "cli/target.h"
#include "cli/timezone.h"
#include "config/config.h"
#include "ledger/reader.h"

namespace nines::cli {

struct Record {
  app::Paths paths;
  std::optional<config::Config> config;  // nullopt: there is none, or it cannot be read, which was said on stderr
  availability::Zone zone;               // in which times are said, and months begin
  WallTime now{};
  Period period;
  ledger::Reader reader;
  ledger::Reader::Held held;
};
// As the configuration names it, or its folder.
std::string service_of(const app::Paths& paths, const std::optional<config::Config>& config);

// nullopt: there is no file, or it cannot be read, which is said on stderr.
std::optional<config::Config> configuration_of(const app::Paths& paths);
// --timezone, else `timezone:`, else UTC; kWrong when there is no such one.
Answered<availability::Zone> zone_of(const std::optional<std::string>& typed,
                                     const std::optional<config::Config>& config);

// Also of a service that does not run. Blocks while it opens the file.
Answered<Record> open_record(const GlobalOptions& global, const PeriodOptions& period);

}  // namespace nines::cli
