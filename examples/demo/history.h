// Is every answered classification in the server's history once? Asks the SQLite file and the replicas.
//
// The server answers first and writes in batches: a row that is still in a process's memory when that process is killed
// is lost, and only such rows may be missing. A replayed request keeps its id, so it is one row.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/status.h"
#include "net/loop.h"

namespace nines::demo {

struct HistoryCount {
  std::uint64_t answered = 0;  // classifications that clients got
  std::uint64_t rows = 0;
  std::uint64_t unwritten = 0;  // rows that the living replicas hold or have dropped
};

std::vector<std::uint16_t> ready_ports(const cli::ServiceStatus& status);

// What the replicas at these ports say of their histories.
struct Trouble {
  std::uint64_t unwritten = 0;  // rows that they hold or have dropped
  std::string words;            // of one that cannot write; empty: all is well
};
Task<Result<Trouble>> trouble_at(net::Loop& loop, std::vector<std::uint16_t> ports);

// Waits up to `patience` for the replicas at these ports to write what they hold.
Task<Result<HistoryCount>> count_history(net::Loop& loop, std::string file, std::vector<std::uint16_t> ports,
                                         std::uint64_t answered, Duration patience = 5s);

}  // namespace nines::demo
