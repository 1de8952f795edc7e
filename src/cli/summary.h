// What a configuration would run, for `nines check`. Pure.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace nines::cli {

// `config.service` is set; `program` is the file its command would execute; with endpoints empty.
std::string summary_text(const config::Config& config, const std::string& file, const std::string& program);
std::string summary_json(const config::Config& config, const std::string& file, const std::string& program);
std::string problems_json(const std::vector<config::Problem>& problems, const std::string& file);

// The words of a command as a person would type them into a shell.
std::string shell_words(const std::vector<std::string>& words);

}  // namespace nines::cli
