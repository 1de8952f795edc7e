#include "app/paths.h"

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>

namespace nines::app {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kStateMode = 0750;  // the logs in it may quote what users sent
constexpr mode_t kRunMode = 0700;    // who can open the control socket can stop the service
// The longest name of a socket in RUN, with its slash ("/64-", 20 digits and ".sock"); a path has 103 bytes in the
// shared table, 107 for the kernel.
constexpr std::size_t kSocketPathMax = 103, kSocketNameMax = 29;

// FNV-1a, 64 bits: a name that is the same in every build and on every machine. Nobody can gain by a
// collision: the state folders are the user's own.
std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3;
  }
  return hash;
}

std::string short_hash(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  constexpr int kLength = 12;
  std::uint64_t hash = fnv1a(text);
  std::string hex(kLength, '0');
  for (auto digit = hex.rbegin(); digit != hex.rend(); ++digit, hash >>= 4) *digit = kDigits[hash & 15];
  return hex;
}

// Absolute, without symlinks as far as it exists.
Result<std::string> real_path(const fs::path& path) {
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error);
  fs::path real = error ? fs::path() : fs::weakly_canonical(absolute, error);
  if (error) return failure(os_error(error.value(), "find " + path.native()));
  if (!real.has_filename() && real.has_relative_path()) real = real.parent_path();  // "folder/" is "folder"
  return real.native();
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

// The folder itself, not what a link points to.
std::optional<struct stat> look_at(const std::string& path) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return std::nullopt;
  return status;
}

bool is_our_folder(const std::string& path) {
  const auto status = look_at(path);
  return status && S_ISDIR(status->st_mode) && status->st_uid == ::geteuid();
}

// STATE/run points to RUN, because the environment it was chosen from may be another one tomorrow: cron and sudo have
// no XDG_RUNTIME_DIR, or somebody else's.
std::string link_to_run(const std::string& state) { return state + "/run"; }

std::optional<std::string> recorded_run_folder(const std::string& state, const std::string& hash) {
  std::array<char, 4096> target;
  const ssize_t size = ::readlink(link_to_run(state).c_str(), target.data(), target.size());
  if (size <= 0 || static_cast<std::size_t>(size) == target.size()) return std::nullopt;
  std::string run(target.data(), static_cast<std::size_t>(size));
  // A state folder that was copied or moved keeps its link, and the service it points to is another one.
  const std::string name = fs::path(run).filename().native();
  if (!run.starts_with('/') || !name.starts_with("nines-") || !name.ends_with("-" + hash)) return std::nullopt;
  struct stat status{};
  if (::lstat(run.c_str(), &status) != 0) return errno == EACCES ? std::optional(run) : std::nullopt;
  return S_ISDIR(status.st_mode) ? std::optional(run) : std::nullopt;
}

std::string run_folder(const std::string& state) {
  const std::string hash = short_hash(state);
  if (auto recorded = recorded_run_folder(state, hash)) return *recorded;
  const std::string name = "/nines-" + hash;
  const std::string xdg = environment("XDG_RUNTIME_DIR");
  const bool fits = xdg.size() + name.size() + kSocketNameMax <= kSocketPathMax;
  if (xdg.starts_with('/') && fits && is_our_folder(xdg)) return xdg + name;
  if (::geteuid() == 0 && is_our_folder("/run")) return "/run" + name;
  return "/tmp/nines-" + std::to_string(::geteuid()) + "-" + hash;
}

// $XDG_STATE_HOME, or ~/.local/state: where a program keeps what outlives it and is no configuration.
Result<std::string> user_state_folder() {
  std::string xdg = environment("XDG_STATE_HOME");
  if (xdg.starts_with('/')) return xdg;
  std::string home = environment("HOME");
  if (!home.starts_with('/')) {
    const struct passwd* const entry = ::getpwuid(::geteuid());
    home = entry != nullptr && entry->pw_dir != nullptr ? entry->pw_dir : "";
  }
  if (home.starts_with('/')) return home + "/.local/state";
  return failure(Code::kNotFound, "this user has no home folder to keep the state in: name one with --state DIR");
}

// "127.0.0.1:8000" -> "127.0.0.1_8000": no shell needs quotes for it.
std::string file_name_of(std::string_view listen) {
  std::string name;
  for (const char c : listen) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.';
    name += plain ? c : '_';
  }
  return name;
}

Result<> make_folder(const std::string& path, mode_t mode) {
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  if (error) return failure(os_error(error.value(), "make the folder " + fs::path(path).parent_path().native()));
  if (::mkdir(path.c_str(), mode) == 0) return {};
  if (errno != EEXIST) return failure(os_error(errno, "make the folder " + path));
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return failure(os_error(errno, "look at " + path));
  if (!S_ISDIR(status.st_mode)) return failure(Code::kExists, path + " is in the way, it is no folder: remove it");
  return {};
}

// It may be in /tmp, where anybody could have made it before us.
Result<> make_run_folder(const std::string& run) {
  if (::mkdir(run.c_str(), kRunMode) != 0 && errno != EEXIST)
    return failure(os_error(errno, "make the run folder " + run));
  const auto status = look_at(run);
  if (!status) return failure(os_error(errno, "look at the run folder " + run));
  if (!S_ISDIR(status->st_mode))
    return failure(Code::kExists, "the run folder " + run + " is a link or a file, not a folder: remove it");
  if (status->st_uid != ::geteuid()) {
    return failure(Code::kRefused, "the run folder " + run + " belongs to the user with number " +
                                       std::to_string(status->st_uid) +
                                       ": if the service is that user's, be that user; else remove the folder");
  }
  if ((status->st_mode & 0777) != kRunMode && ::chmod(run.c_str(), kRunMode) != 0)
    return failure(os_error(errno, "protect the run folder " + run));
  return {};
}

// Best effort: without it, whoever has the same environment still finds RUN.
void record_run_folder(const Paths& paths) {
  const std::string link = link_to_run(paths.state), fresh = link + ".new";
  ::unlink(fresh.c_str());
  if (::symlink(paths.run.c_str(), fresh.c_str()) != 0) return;
  if (::rename(fresh.c_str(), link.c_str()) != 0) ::unlink(fresh.c_str());
}

Result<Paths> with_state(Paths paths, const fs::path& state) {
  auto real = real_path(state);
  if (!real) return failure(std::move(real.error()));
  paths.state = std::move(*real);
  paths.run = run_folder(paths.state);
  return paths;
}

}  // namespace

Result<Paths> find_paths(const std::string& config_file, const std::string& state) {
  const fs::path file(config_file);
  if (!file.has_filename()) return failure(Code::kInvalid, "\"" + config_file + "\" names no file: name nines.yaml");
  // The file may be a link into a configuration repository: the service lives where the link is.
  auto folder = real_path(file.has_parent_path() ? file.parent_path() : ".");
  if (!folder) return failure(std::move(folder.error()));
  Paths paths;
  paths.folder = std::move(*folder);
  paths.config_file = (fs::path(paths.folder) / file.filename()).native();
  return with_state(paths, state.empty() ? fs::path(paths.folder) / ".nines" : fs::path(state));
}

Result<Paths> paths_without_file(const std::string& state, const std::string& listen) {
  auto folder = real_path(".");
  if (!folder) return failure(std::move(folder.error()));
  Paths paths;
  paths.folder = std::move(*folder);
  if (!state.empty()) return with_state(paths, state);
  auto base = user_state_folder();
  if (!base) return failure(std::move(base.error()));
  const std::string name = fs::path(paths.folder).filename().native() + "-" + short_hash(paths.folder);
  return with_state(paths, fs::path(*base) / "nines" / name / file_name_of(listen));
}

Result<> make_folders(const Paths& paths) {
  for (const std::string& folder : {paths.state, paths.logs()}) {
    if (auto made = make_folder(folder, kStateMode); !made) return made;
  }
  if (auto made = make_run_folder(paths.run); !made) return made;
  record_run_folder(paths);
  return {};
}

void remove_run_folder(const Paths& paths) {
  std::error_code ignored;
  if (is_our_folder(paths.run)) fs::remove_all(paths.run, ignored);  // follows no link
  ::unlink(link_to_run(paths.state).c_str());
}

}  // namespace nines::app
