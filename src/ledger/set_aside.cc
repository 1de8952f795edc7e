#include "ledger/set_aside.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <vector>

#include "ledger/ledger.h"

namespace nines::ledger {
namespace {

namespace fs = std::filesystem;

constexpr const char* kParts[] = {"", "-wal", "-shm"};

std::string stamp(WallTime now) {
  const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[64];
  const auto used = std::strftime(text, sizeof text, "%Y%m%d-%H%M%S", &utc);
  return {text, used};
}

bool ends_in_part(const std::string& name) { return name.ends_with("-wal") || name.ends_with("-shm"); }

std::vector<std::string> all_set_aside(const fs::path& path) {
  const std::string prefix = path.filename().string() + ".damaged-";
  std::error_code error;
  std::vector<std::string> found;
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with(prefix) && !ends_in_part(name)) found.push_back(entry->path().string());
  }
  return found;
}

bool taken(const std::string& path) {
  return std::ranges::any_of(kParts, [&](const char* part) { return ::access((path + part).c_str(), F_OK) == 0; });
}

}  // namespace

Result<std::string> set_aside(const std::string& path, WallTime now) {
  if (all_set_aside(path).size() >= kSetAsideMax)
    return failure(Code::kLimit, std::to_string(kSetAsideMax) + " damaged ledgers lie beside " + path +
                                     ": look at the disk, then move them away");
  const std::string base = path + ".damaged-" + stamp(now);
  std::string target = base;
  for (int again = 2; taken(target); ++again) target = base + "-" + std::to_string(again);
  // The file first: whoever dies in between leaves a write-ahead log without its file, which is seen as damage. The
  // other way round it would leave a file that looks whole and has lost its last events.
  for (const char* part : kParts) {
    if (::rename((path + part).c_str(), (target + part).c_str()) != 0 && errno != ENOENT)
      return failure(os_error(errno, "move " + path + part + " aside"));
  }
  return target;
}

std::optional<std::string> last_set_aside(const std::string& path) {
  const auto all = all_set_aside(path);
  if (all.empty()) return std::nullopt;
  return *std::ranges::max_element(all);
}

}  // namespace nines::ledger
