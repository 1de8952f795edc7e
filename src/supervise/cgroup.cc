#include "supervise/cgroup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/fd.h"
#include "base/text.h"
#include "supervise/procfs.h"

namespace nines::supervise {
namespace {

// Ours in version 2, once its group has children: there only leaves may have processes.
constexpr std::string_view kOurLeaf = "/nines.main";

std::string read(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Result<> write(const std::string& path, const std::string& text) {
  const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (file && ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size())) return {};
  return failure(os_error(errno, "write " + text + " to " + path));
}

bool has_word(std::string_view text, std::string_view word, char separator) {
  while (!text.empty()) {
    const auto end = std::min(text.find(separator), text.size());
    auto one = text.substr(0, end);
    while (one.ends_with('\n')) one.remove_suffix(1);
    if (one == word) return true;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return false;
}

struct Mount {
  std::string root, place, kind, options;
};

// Lines of /proc/self/mountinfo: "36 35 98:0 ROOT PLACE OPTIONS [...] - KIND SOURCE SUPER_OPTIONS".
std::vector<Mount> cgroup_mounts(const std::string& text) {
  std::vector<Mount> mounts;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string skip, root, place, word, kind, source, options;
    words >> skip >> skip >> skip >> root >> place;
    while (words >> word && word != "-") {
    }
    words >> kind >> source >> options;
    if (kind == "cgroup" || kind == "cgroup2") mounts.push_back({root, place, kind, options});
  }
  return mounts;
}

// Our group in the hierarchy of `controller`, or of version 2 when that is empty: lines "4:memory:/path", "0::/path".
std::string own_path(const std::string& text, std::string_view controller) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string_view names = std::string_view(line).substr(first + 1, second - first - 1);
    if (controller.empty() ? names.empty() : has_word(names, controller, ',')) return line.substr(second + 1);
  }
  return {};
}

// Where a path of a hierarchy is found, for a mount that may show only a part of it, as in a container.
std::string folder_of(const std::string& root, const Mount& mount, std::string path) {
  if (path.empty()) return {};
  if (mount.root != "/" && path.starts_with(mount.root)) path.erase(0, mount.root.size());
  std::string folder = root + mount.place + (path == "/" ? "" : path);
  if (folder.ends_with(kOurLeaf)) folder.erase(folder.size() - kOurLeaf.size());
  struct stat status{};
  return ::stat(folder.c_str(), &status) == 0 ? folder : std::string();
}

// cgroup v2's weight, 100 of 10,000, in the shares of version 1, 1024 of 262,144 (the kernel's own conversion is
// linear around the plain value).
std::uint64_t shares_of(int weight) {
  return std::clamp<std::uint64_t>(static_cast<std::uint64_t>(weight) * 1024 / 100, 2, 262'144);
}

std::optional<std::uint64_t> number_after(const std::string& text, std::string_view key) {
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (word != key) continue;
    words >> word;
    return parse_unsigned(word);
  }
  return std::nullopt;
}

std::vector<pid_t> members_of(const std::string& folder) {
  std::vector<pid_t> pids;
  std::istringstream lines(read(folder + "/cgroup.procs"));
  for (pid_t pid = 0; lines >> pid;) pids.push_back(pid);
  return pids;
}

// The anchor, or something it has started.
bool is_ours(pid_t pid) {
  for (int depth = 0; pid > 1 && depth < 32; ++depth) {
    if (pid == ::getpid() || pid == ::getppid()) return true;
    const auto stat = read_process_stat(pid);
    if (!stat) return true;  // gone
    pid = stat->parent;
  }
  return false;
}

Result<> make_folder(const std::string& folder) {
  if (::mkdir(folder.c_str(), 0755) == 0 || errno == EEXIST) return {};
  return failure(os_error(errno, "make the control group " + folder));
}

}  // namespace

std::vector<std::string> Cgroup::doors() const {
  std::vector<std::string> doors;
  if (!memory_.empty()) doors.push_back(memory_ + "/cgroup.procs");
  if (!cpu_.empty() && cpu_ != memory_) doors.push_back(cpu_ + "/cgroup.procs");
  return doors;
}

std::optional<std::uint64_t> Cgroup::oom_kills() const {
  if (memory_.empty()) return std::nullopt;
  return number_after(read(memory_ + (unified_ ? "/memory.events" : "/memory.oom_control")), "oom_kill");
}

void Cgroup::kill() const {
  const std::string& folder = memory_.empty() ? cpu_ : memory_;
  if (folder.empty() || (unified_ && write(folder + "/cgroup.kill", "1"))) return;
  // One that forks while we look is found by the next round.
  for (int round = 0; round < 5; ++round) {
    const auto members = members_of(folder);
    if (members.empty()) return;
    for (const pid_t pid : members) ::kill(pid, SIGKILL);
  }
}

void Cgroup::remove() const {
  if (!memory_.empty()) ::rmdir(memory_.c_str());
  if (!cpu_.empty() && cpu_ != memory_) ::rmdir(cpu_.c_str());
}

Cgroups::Cgroups(std::string root) : root_(std::move(root)) {
  const std::string ours = read(root_ + "/proc/self/cgroup");
  const auto mounts = cgroup_mounts(read(root_ + "/proc/self/mountinfo"));
  for (const Mount& mount : mounts) {
    if (mount.kind != "cgroup2") continue;
    const std::string own = folder_of(root_, mount, own_path(ours, ""));
    if (own.empty()) continue;
    const std::string has = read(own + "/cgroup.controllers");
    if (has_word(has, "memory", ' ')) memory_ = {own, true};
    if (has_word(has, "cpu", ' ')) cpu_ = {own, true};
  }
  for (const Mount& mount : mounts) {
    if (mount.kind != "cgroup") continue;
    if (memory_.own.empty() && has_word(mount.options, "memory", ','))
      memory_ = {folder_of(root_, mount, own_path(ours, "memory")), false};
    if (cpu_.own.empty() && has_word(mount.options, "cpu", ','))
      cpu_ = {folder_of(root_, mount, own_path(ours, "cpu")), false};
  }
}

// In version 2 a group either has processes or hands controllers down. So we move into a leaf of our own first, if all
// who are in the group are ours, as in a unit of systemd's with Delegate=yes.
Result<> Cgroups::let_children_have(const std::string& own, const std::string& controllers) {
  if (write(own + "/cgroup.subtree_control", controllers)) return {};
  const auto members = members_of(own);
  if (!std::ranges::all_of(members, is_ours))
    return failure(Code::kUnavailable,
                   "the control group " + own + " has other processes than ours; run nines in a group of its own");
  const std::string leaf = own + std::string(kOurLeaf);
  if (auto made = make_folder(leaf); !made) return made;
  for (const pid_t pid : members) {
    auto moved = write(leaf + "/cgroup.procs", std::to_string(pid));
    if (!moved && ::kill(pid, 0) == 0) return moved;
  }
  return write(own + "/cgroup.subtree_control", controllers);
}

Cgroup Cgroups::find(const std::string& name) const {
  const auto existing = [&](const Hierarchy& hierarchy) {
    const std::string folder = hierarchy.own.empty() ? "" : hierarchy.own + "/" + name;
    struct stat status{};
    return !folder.empty() && ::stat(folder.c_str(), &status) == 0 ? folder : std::string();
  };
  Cgroup group;
  group.memory_ = existing(memory_);
  group.cpu_ = existing(cpu_);
  group.unified_ = memory_.unified;
  return group;
}

Result<Cgroup> Cgroups::make(const std::string& name, const CgroupLimits& limits) {
  const auto missing = [](const char* controller) {
    return failure(Code::kUnavailable, std::string("this machine has no ") + controller +
                                           " controller of control groups that nines may use");
  };
  if (limits.memory && memory_.own.empty()) return missing("memory");
  if (limits.cpu_weight && cpu_.own.empty()) return missing("cpu");
  Cgroup group;
  if (limits.memory) group.memory_ = memory_.own + "/" + name;
  if (limits.cpu_weight) group.cpu_ = cpu_.own + "/" + name;
  group.unified_ = memory_.unified;
  const auto build = [&]() -> Result<> {
    const std::string wanted = std::string(limits.memory && memory_.unified ? "+memory " : "") +
                               (limits.cpu_weight && cpu_.unified ? "+cpu" : "");
    if (!wanted.empty()) {
      if (auto let = let_children_have(memory_.unified ? memory_.own : cpu_.own, wanted); !let) return let;
    }
    if (limits.memory) {
      if (auto made = make_folder(group.memory_); !made) return made;
      const std::string most = std::to_string(*limits.memory);
      const std::string file = memory_.unified ? "/memory.max" : "/memory.limit_in_bytes";
      if (auto set = write(group.memory_ + file, most); !set) return set;
      // Swap would only make it slow before it dies; not every kernel counts it.
      (void)write(group.memory_ + (memory_.unified ? "/memory.swap.max" : "/memory.memsw.limit_in_bytes"),
                  memory_.unified ? "0" : most);
      // A server without one of its workers is worse than none: it is restarted as a whole.
      if (memory_.unified) (void)write(group.memory_ + "/memory.oom.group", "1");
    }
    if (limits.cpu_weight) {
      if (auto made = make_folder(group.cpu_); !made) return made;
      const std::string file = cpu_.unified ? "/cpu.weight" : "/cpu.shares";
      const std::uint64_t value =
          cpu_.unified ? static_cast<std::uint64_t>(*limits.cpu_weight) : shares_of(*limits.cpu_weight);
      if (auto set = write(group.cpu_ + file, std::to_string(value)); !set) return set;
    }
    return {};
  };
  if (auto built = build(); !built) {
    group.remove();
    return failure(Code::kUnavailable, built.error().text());
  }
  return group;
}

void Cgroups::sweep(const std::string& prefix) const {
  for (const std::string& own : {memory_.own, cpu_.own}) {
    if (own.empty()) continue;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(own, ignored)) {
      if (entry.path().filename().native().starts_with(prefix)) ::rmdir(entry.path().c_str());
    }
  }
}

}  // namespace nines::supervise
