// The keys of what is kept up: replicas.
#pragma once

#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/reader.h"

namespace nines::config {

inline constexpr std::string_view kCommandExample = "command: [my-server, --port, \"{port}\"]";

// A list of arguments, or one string that is split as a shell would: what `check` lets pass.
void read_words(Section& section, std::string_view key, std::vector<std::string>& words,
                Checked<> (*check)(const std::vector<std::string>&));

// `listen`: no endpoint may be one of these.
void read_replicas(Section& file, const std::vector<Address>& listen, Replicas& replicas);

}  // namespace nines::config
