// What /proc says about processes. Everything here may be out of date when it is read: a process may end, and its
// pid be used again, at any moment. Callers that act on a pid hold a pidfd or check twice.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace nines::supervise {

struct ProcessStat {
  char state = 0;  // 'Z' is a zombie, which counts as dead
  pid_t parent = 0;
  pid_t group = 0;
  pid_t session = 0;
  std::uint64_t start_time = 0;  // clock ticks since boot

  bool dead() const { return state == 'Z' || state == 'X'; }
  bool belongs_to(pid_t leader) const { return group == leader || session == leader; }
};

// nullopt when there is no such process.
std::optional<ProcessStat> read_process_stat(pid_t pid);

// The living members of the leader's process group and session, without the leader. One walk over /proc: some 7 µs
// for each process of the machine.
std::vector<pid_t> followers_of(pid_t leader);

}  // namespace nines::supervise
