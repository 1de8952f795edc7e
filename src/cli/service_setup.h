// From a configuration to a service that may be started: its name, its command found, its folders, its lock.
#pragma once

#include <string>

#include "app/lock.h"
#include "app/service.h"
#include "cli/target.h"
#include "config/config.h"

namespace nines::cli {

struct Prepared {
  app::Service service;
  app::StateLock lock;
};

// Makes the folders and takes the lock. kWrong when the command does not exist, kNo when the service runs already.
Answered<Prepared> prepare(config::Config config, app::Paths paths);

// The file a replica's command would execute. Errors say what to do.
Result<std::string> find_command(const config::Config& config, const std::string& folder);

// Where this program is, absolute, as of now: what `nines upgrade` and a unit name.
Result<std::string> this_program();

// The folder's name made a valid service name: "My AI_api" -> "my-ai-api".
std::string service_name_of(const std::string& folder);

// The problems of a configuration for people: all of them, formatted, and how many.
std::string describe_problems(const std::vector<config::Problem>& problems, const std::string& file);

// The file of a service that runs, as it is now: valid, or kWrong with all its problems.
Answered<config::Config> load_again(const std::string& file);

// The configuration `nines run` makes from its arguments, in words that name the options.
config::Checked<config::Config> config_of(const RunOptions& options);

}  // namespace nines::cli
