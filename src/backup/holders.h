// Who has a file open: to replace a database under a process that has it open would lose what that one writes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace nines::backup {

struct Holder {
  std::int64_t pid = 0;
  std::int64_t session = 0;  // id of its session: a replica and all it started have the replica's
  std::string command;
  std::string path;  // which of the files
};

// Every other process that has one of these databases open, or its -wal, -shm or -journal. Processes of other users are
// seen only by root.
std::vector<Holder> holders_of(std::span<const std::string> databases);

}  // namespace nines::backup
