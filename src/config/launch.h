// The keys of what a replica's process is started from, and of what it waits for.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/reader.h"

namespace nines::config {

inline constexpr std::string_view kCommandExample = "command: [my-server, --port, \"{port}\"]";

// A list of arguments, or one string that is split as a shell would: what `check` lets pass.
void read_words(Section& section, std::string_view key, std::vector<std::string>& words,
                Checked<> (*check)(const std::vector<std::string>&));

// command, container, env, env_file, directory, user, umask, limits, memory, cpu_weight. Not files: protection.h.
void read_launch(Section& replicas, Launch& launch);
void read_needs(Section& replicas, std::vector<Need>& needs);

}  // namespace nines::config
