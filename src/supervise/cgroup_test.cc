#include "supervise/cgroup.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include <doctest/doctest.h>
#include <unistd.h>

#include "base/test_support.h"

namespace nines::supervise {
namespace {

namespace fs = std::filesystem;

std::string read(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// A machine's /proc and /sys/fs/cgroup as files. A real kernel makes the files of a group with it; here they must be
// there before, so that writing them can be seen.
struct Machine {
  nines::testing::Folder folder;

  void put(const std::string& path, const std::string& content) const {
    fs::create_directories(fs::path(folder / path).parent_path());
    std::ofstream(folder / path) << content;
  }
  std::string at(const std::string& path) const { return read(folder / path); }

  void version1(const std::string& path = "/ours") const {
    put("proc/self/cgroup", "4:cpu,cpuacct:" + path + "\n3:memory:" + path + "\n0::/\n");
    put("proc/self/mountinfo",
        "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
        "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
        "33 31 0:30 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n"
        "34 31 0:31 / /sys/fs/cgroup/unified rw - cgroup2 cgroup rw\n");
    put("sys/fs/cgroup/unified/cgroup.controllers", "hugetlb\n");
    for (const char* file : {"memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "cgroup.procs"})
      put("sys/fs/cgroup/memory" + path + "/a.1/" + file, "");
    for (const char* file : {"cpu.shares", "cgroup.procs"}) put("sys/fs/cgroup/cpu" + path + "/a.1/" + file, "");
  }
  void version2() const {
    put("proc/self/cgroup", "0::/system.slice/nines.service\n");
    put("proc/self/mountinfo", "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n");
    const std::string own = "sys/fs/cgroup/system.slice/nines.service";
    put(own + "/cgroup.controllers", "cpu memory pids\n");
    put(own + "/cgroup.subtree_control", "");
    for (const char* file : {"memory.max", "memory.swap.max", "memory.oom.group", "cpu.weight", "cgroup.procs"})
      put(own + "/a.1/" + std::string(file), "");
  }
};

TEST_CASE("cgroup: version 1") {
  const Machine machine;
  machine.version1();
  Cgroups groups(machine.folder.path());
  const auto group = groups.make("a.1", {.memory = 1024, .cpu_weight = 50});
  REQUIRE(group);
  CHECK(machine.at("sys/fs/cgroup/memory/ours/a.1/memory.limit_in_bytes") == "1024");
  CHECK(machine.at("sys/fs/cgroup/memory/ours/a.1/memory.memsw.limit_in_bytes") == "1024");
  CHECK(machine.at("sys/fs/cgroup/cpu/ours/a.1/cpu.shares") == "512");
  const std::vector<std::string> doors = {machine.folder / "sys/fs/cgroup/memory/ours/a.1/cgroup.procs",
                                          machine.folder / "sys/fs/cgroup/cpu/ours/a.1/cgroup.procs"};
  CHECK(group->doors() == doors);
  CHECK(group->limits_memory());
  CHECK_FALSE(group->oom_kills());
  machine.put("sys/fs/cgroup/memory/ours/a.1/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
  CHECK(group->oom_kills() == 3);
  // Another supervisor finds it by its name.
  CHECK(Cgroups(machine.folder.path()).find("a.1").oom_kills() == 3);
  CHECK_FALSE(Cgroups(machine.folder.path()).find("a.2").limits_memory());
}

TEST_CASE("cgroup: version 2") {
  const Machine machine;
  machine.version2();
  const std::string own = "sys/fs/cgroup/system.slice/nines.service";
  Cgroups groups(machine.folder.path());
  const auto group = groups.make("a.1", {.memory = 1024, .cpu_weight = 50});
  REQUIRE(group);
  CHECK(machine.at(own + "/cgroup.subtree_control") == "+memory +cpu");
  CHECK(machine.at(own + "/a.1/memory.max") == "1024");
  CHECK(machine.at(own + "/a.1/memory.swap.max") == "0");
  CHECK(machine.at(own + "/a.1/memory.oom.group") == "1");
  CHECK(machine.at(own + "/a.1/cpu.weight") == "50");
  CHECK(group->doors() == std::vector<std::string>{machine.folder / (own + "/a.1/cgroup.procs")});
  machine.put(own + "/a.1/memory.events", "low 0\nhigh 0\nmax 9\noom 1\noom_kill 1\noom_group_kill 1\n");
  CHECK(group->oom_kills() == 1);
  machine.put(own + "/a.1/cgroup.kill", "");
  group->kill();
  CHECK(machine.at(own + "/a.1/cgroup.kill") == "1");
}

TEST_CASE("cgroup: version 2, once we have moved into a leaf") {
  const Machine machine;
  machine.version2();
  machine.put("proc/self/cgroup", "0::/system.slice/nines.service/nines.main\n");
  machine.put("sys/fs/cgroup/system.slice/nines.service/nines.main/cgroup.procs", "");
  CHECK(Cgroups(machine.folder.path()).make("a.1", {.memory = 1024}));
}

TEST_CASE("cgroup: a mount that shows only a part, as in a container") {
  const Machine machine;
  machine.version1("/docker/abc/ours");
  machine.put("proc/self/mountinfo", "33 31 0:30 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
  for (const char* file : {"memory.limit_in_bytes", "cgroup.procs"})
    machine.put("sys/fs/cgroup/memory/ours/a.1/" + std::string(file), "");
  const auto group = Cgroups(machine.folder.path()).make("a.1", {.memory = 1024});
  REQUIRE(group);
  CHECK(group->doors().front() == machine.folder / "sys/fs/cgroup/memory/ours/a.1/cgroup.procs");
}

TEST_CASE("cgroup: what is not there is said") {
  const Machine machine;
  CHECK(Cgroups(machine.folder.path()).make("a.1", {.memory = 1}).error().code() == Code::kUnavailable);
  CHECK(Cgroups(machine.folder.path()).make("a.1", {.cpu_weight = 1}).error().code() == Code::kUnavailable);
  machine.version1();
  fs::remove_all(machine.folder / "sys/fs/cgroup/memory/ours/a.1");
  // A folder without the kernel's files: made, refused, and removed again.
  CHECK(Cgroups(machine.folder.path()).make("a.1", {.memory = 1}).error().code() == Code::kUnavailable);
  CHECK_FALSE(fs::exists(machine.folder / "sys/fs/cgroup/memory/ours/a.1"));
}

TEST_CASE("cgroup: empty ones of ours are swept away") {
  const Machine machine;
  machine.version1();
  const std::string own = machine.folder / "sys/fs/cgroup/memory/ours";
  fs::create_directories(own + "/nines-1.a.1");
  fs::create_directories(own + "/nines-2.a.1");
  Cgroups(machine.folder.path()).sweep("nines-1.");
  CHECK_FALSE(fs::exists(own + "/nines-1.a.1"));
  CHECK(fs::exists(own + "/nines-2.a.1"));
}

}  // namespace
}  // namespace nines::supervise
