// From a configuration to what backups and restores work on.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backup/backup.h"
#include "cli/target.h"
#include "config/config.h"

namespace nines::cli {

struct Destination {
  std::shared_ptr<storage::Destination> storage;
  std::optional<backup::Keep> keep;  // nullopt: nothing is deleted there
};

struct Protected {
  config::Config config;  // config.service is set
  app::Paths paths;
  std::vector<backup::Source> databases, files;
  std::vector<Destination> destinations;  // those of the configuration, in its order
};

// By -c and --state. kWrong: there is no configuration, or it is not right.
Answered<Protected> load_protected(const GlobalOptions& global);

// The configuration's destinations; or the one folder named by --to, relative to the current one, with the keep rules
// the configuration has for it, if any. kWrong when there is none.
Answered<std::vector<Destination>> choose_destinations(const Protected& service, const std::string& to);

// An archive, wherever it is.
struct Located {
  std::shared_ptr<storage::Destination> storage;
  storage::Object object;
};
// The path of a file, or the name of an archive in one of the destinations. kNo when there is no such archive.
Answered<Located> locate(const Protected& service, const std::string& archive);

backup::Clock clock_here();
backup::Plan plan_for(const Protected& service, const Destination& destination);

// Into the log of the service, if it runs and listens.
void report_event(const app::Paths& paths, const std::string& kind, const std::string& text, std::int64_t a,
                  std::int64_t b);

// "12.3 MB"
std::string format_bytes(std::uint64_t bytes);

// `nines backup now --json` for the keeper, which starts it as a process of its own; the arguments are the same.
int internal_backup_main(const std::vector<std::string>& arguments);

}  // namespace nines::cli
