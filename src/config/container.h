// The keys of replicas.container.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/reader.h"

namespace nines::config {

// REQUIRES: launch.env was read.
void read_container(Section& replicas, Launch& launch);

// "my-ai:v1", "registry:5000/team/my-ai@sha256:…": what an engine takes for an image's name, roughly.
Checked<> check_image(std::string_view name);

// "./data:/data", "/data:/data:ro", "NAME:/data": a folder of this machine or a volume of the engine, and its place in
// the container.
Checked<> check_volume(std::string_view text);

// "2", "0.5", "1.25": cores, exact to a hundredth; the result is in hundredths.
Checked<int> parse_cpus(std::string_view text);
std::string write_cpus(int percent);

}  // namespace nines::config
