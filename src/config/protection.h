// The keys of what must not be lost, and where it is kept: data, backups, replicas.files.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"
#include "config/reader.h"

namespace nines::config {

void read_data(Section& file, Data& data);
void read_model_files(Section& replicas, std::vector<std::string>& files);
void read_backups(Section& file, std::vector<Backup>& backups);

}  // namespace nines::config
