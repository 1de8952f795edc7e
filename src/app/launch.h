// From what the configuration says about a process to what is executed. Read from the disk at the moment of use:
// secrets, env_file, users.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "config/config.h"
#include "supervise/process.h"

namespace nines::app {

using Environment = std::vector<std::pair<std::string, std::string>>;

// Where a process is told to listen: one of the two.
struct Place {
  std::uint16_t port = 0;
  std::string socket;
};

// `folder`: what relative paths are relative to. Without descriptors, tag and control group, which are the caller's.
// kNotFound names what is missing (a variable, a file, a user), never a secret's value; kInvalid a line of a file.
Result<supervise::Command> command_of(const config::Launch& launch, const std::string& folder, const Place& place);

// Lines of NAME=VALUE. Blank ones and those that begin with # are nothing; an `export ` before the name and quotes
// around the whole value are left out; nothing is expanded. `where` names the file in errors, which name the line.
Result<Environment> parse_env_file(const std::string& text, const std::string& where);

}  // namespace nines::app
