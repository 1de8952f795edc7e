// The record of a service as the commands that read it open it: which service, which stretch of time, and the file at
// one moment, so that everything a command says is of the same one.
#pragma once

#include <optional>
#include <string>

#include "cli/arguments.h"
#include "cli/period.h"
#include "cli/target.h"
#include "config/config.h"
#include "ledger/reader.h"

namespace nines::cli {

struct Record {
  app::Paths paths;
  std::optional<config::Config> config;  // nullopt: there is none, or it cannot be read, which was said on stderr
  WallTime now{};
  Period period;
  ledger::Reader reader;
  ledger::Reader::Held held;

  // As the configuration names it, or its folder.
  std::string service() const;
};

// Also of a service that does not run. Blocks while it opens the file.
Answered<Record> open_record(const GlobalOptions& global, const PeriodOptions& period);

}  // namespace nines::cli
