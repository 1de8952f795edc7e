// Limits for all processes of one incarnation together, by the kernel's control groups, and who was killed for them.
//
// A group lies below our own, in the hierarchy of version 2 where that has the memory controller, else in those of
// version 1: OWN/nines.ID.REPLICA.INCARNATION. Whoever supervises later finds it by that name. Synchronous: some
// files below /sys/fs/cgroup, microseconds each. One thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace nines::supervise {

struct CgroupLimits {
  std::optional<std::uint64_t> memory;  // bytes, without swap
  std::optional<int> cpu_weight;        // 1 to 10,000, 100 is plain (cgroup v2's scale)
  bool any() const { return memory || cpu_weight; }
};

// One group. A value: it neither makes nor removes anything by itself.
class Cgroup {
 public:
  // A process that writes "0" into each of these is a member, with all it starts afterwards.
  std::vector<std::string> doors() const;
  // How many of its processes the kernel has killed since memory ran out. nullopt: it cannot be known.
  std::optional<std::uint64_t> oom_kills() const;
  bool limits_memory() const { return !memory_.empty(); }
  // SIGKILL to every member: by cgroup.kill, or one by one. What remains is found by its tag.
  void kill() const;
  // Works once it is empty; harmless before.
  void remove() const;

 private:
  friend class Cgroups;
  std::string memory_;  // folder with the memory controller; empty: none
  std::string cpu_;     // the same of cpu; in version 2 the same folder
  bool unified_ = false;
};

class Cgroups {
 public:
  // `root` stands before /proc and /sys: empty, or a test's folder.
  explicit Cgroups(std::string root = "");

  // kUnavailable, with what is missing: no controller here, or none that we may write to. What could be made is
  // removed then.
  Result<Cgroup> make(const std::string& name, const CgroupLimits& limits);
  // One that was made before, perhaps by another supervisor. Exists or not.
  Cgroup find(const std::string& name) const;
  // Removes those of this prefix that are empty: of processes whose end nobody saw.
  void sweep(const std::string& prefix) const;

 private:
  struct Hierarchy {
    std::string own;  // our own group in it; empty: there is none
    bool unified = false;
  };
  static Result<> let_children_have(const std::string& own, const std::string& controllers);

  std::string root_;
  Hierarchy memory_, cpu_;
};

}  // namespace nines::supervise
