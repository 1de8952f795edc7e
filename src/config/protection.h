// The keys of what must not be lost, and where it is kept: data, backups, replicas.files.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/reader.h"

namespace nines::config {

struct PathList {
  std::string_view key;
  std::string_view example;
  std::size_t max;
  Checked<> (*check)(std::string_view);
};
// One path or a list of them, none twice.
void read_paths(Section& section, const PathList& list, std::vector<std::string>& paths);

void read_data(Section& file, Data& data);
void read_model_files(Section& replicas, std::vector<std::string>& files);
void read_backups(Section& file, std::vector<Backup>& backups);

}  // namespace nines::config
