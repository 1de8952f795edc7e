#include "backup/restore.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "backup/holders.h"
#include "backup/sha256.h"
#include "storage/files.h"

namespace nines::backup {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::string_view kStaged = ".restoring";

std::string plain(const std::string& path) {
  std::string normal = fs::path(path).lexically_normal().native();
  while (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  return normal;
}

// "sub/file": only names, so that nothing an archive says leads out of the folder.
bool is_inside(const std::string& rest) {
  const fs::path path(rest);
  return !rest.empty() && !path.is_absolute() && path.lexically_normal() == path &&
         std::ranges::none_of(path, [](const fs::path& part) { return part.empty() || part == ".." || part == "."; });
}

// Where a member goes: only to what the configuration names, whatever the archive says.
std::optional<std::string> path_for(const Member& member, const Wanted& wanted) {
  const std::string source = plain(member.source);
  if (member.kind == Kind::kSqlite) {
    const auto found = std::ranges::find(wanted.databases, source, [](const Source& s) { return plain(s.name); });
    return found == wanted.databases.end() ? std::nullopt : std::optional(found->path);
  }
  if (member.kind != Kind::kFile) return std::nullopt;
  for (const Source& file : wanted.files) {
    const std::string name = plain(file.name);
    if (source == name) return file.path;
    if (!source.starts_with(name + "/")) continue;
    const std::string rest = source.substr(name.size() + 1);
    if (is_inside(rest)) return plain(file.path) + "/" + rest;
  }
  return std::nullopt;
}

std::optional<std::string> hash_of(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return std::nullopt;
  Sha256 hash;
  std::vector<char> block(256 * 1024);
  while (true) {
    const ssize_t got = ::read(fd.get(), block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return std::nullopt;
    if (got == 0) return hash.finish();
    hash.update({block.data(), static_cast<std::size_t>(got)});
  }
}

// Who could read and write the old file can do so with the new one; a file that is new belongs to the folder's owner.
void take_over_owner(int fd, const std::string& path) {
  struct stat old{}, folder{};
  if (::stat(path.c_str(), &old) == 0) {
    (void)::fchmod(fd, old.st_mode & 07777);
    [[maybe_unused]] const int owned = ::fchown(fd, old.st_uid, old.st_gid);
    return;
  }
  constexpr mode_t kMode = 0644;
  (void)::fchmod(fd, kMode);
  if (::stat(storage::folder_of(path).c_str(), &folder) != 0) return;
  [[maybe_unused]] const int owned = ::fchown(fd, folder.st_uid, folder.st_gid);
}

Result<Fd> open_staged(const std::string& path) {
  const std::string staged = path + std::string(kStaged);
  std::error_code error;
  fs::create_directories(storage::folder_of(path), error);
  if (error) return failure(os_error(error.value(), "make the folder " + storage::folder_of(path)));
  ::unlink(staged.c_str());
  Fd fd(::open(staged.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return failure(os_error(errno, "write " + staged));
  return fd;
}

// What the manifest says has to be known before the members come by: so the archive is read twice.
Result<Contents> read_manifest(storage::Destination& destination, const std::string& name) {
  auto download = destination.open(name);
  if (!download) return failure(std::move(download.error()));
  return read_archive(**download, {});
}

void choose(const Manifest& manifest, const Wanted& wanted, Staging& staging, std::vector<std::string>& members) {
  for (const Member& member : manifest.members) {
    const auto path = path_for(member, wanted);
    if (!path) {
      if (member.kind == Kind::kSqlite) staging.not_wanted.push_back(member.source);
      continue;
    }
    if (member.kind == Kind::kFile && hash_of(*path) == member.sha256) {
      staging.unchanged.push_back(member.source);
      continue;
    }
    staging.items.push_back({.kind = member.kind,
                             .name = member.source,
                             .path = *path,
                             .staged = *path + std::string(kStaged),
                             .bytes = member.bytes});
    members.push_back(member.path);
  }
  for (const Source& database : wanted.databases) {
    const auto same = [&](const Member& m) {
      return m.kind == Kind::kSqlite && plain(m.source) == plain(database.name);
    };
    if (std::ranges::none_of(manifest.members, same)) staging.not_in_archive.push_back(database.name);
  }
}

bool is_same_file(const std::string& a, const std::string& b) {
  struct stat one{}, other{};
  return ::stat(a.c_str(), &one) == 0 && ::stat(b.c_str(), &other) == 0 && one.st_ino == other.st_ino &&
         one.st_dev == other.st_dev;
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

Result<> copy_durably(const std::string& from, const std::string& to) {
  std::error_code error;
  const std::string fresh = to + ".new";
  fs::copy_file(from, fresh, fs::copy_options::overwrite_existing, error);
  if (error) return failure(os_error(error.value(), "copy " + from + " to " + to));
  const Fd fd(::open(fresh.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return failure(os_error(errno, "sync " + fresh));
  if (::rename(fresh.c_str(), to.c_str()) != 0) return failure(os_error(errno, "rename " + fresh));
  return {};
}

// A second name for a file; a copy where the file system knows no second names.
Result<> keep_as(const std::string& path, const std::string& kept) {
  if (::link(path.c_str(), kept.c_str()) == 0 || is_same_file(path, kept)) return {};
  if (errno == EPERM || errno == EOPNOTSUPP || errno == EMLINK || errno == ENOSYS) return copy_durably(path, kept);
  return failure(os_error(errno, "keep " + path + " as " + kept));
}

// A name nobody has, unless it is this very file's already: from a run that was interrupted.
std::string kept_name(const std::string& path, const std::string& stamp) {
  const std::string base = path + ".before-restore-" + stamp;
  std::string name = base;
  for (int n = 2; exists(name) && !is_same_file(path, name); ++n) name = base + "-" + std::to_string(n);
  return name;
}

Result<Swapped> swap_one(const Staged& item, const std::string& stamp) {
  const std::string& path = item.path;
  const bool database = item.kind == Kind::kSqlite;
  if (database) (void)settle(path);
  Swapped swapped{.name = item.name, .path = path, .kept = {}};
  const std::string kept = kept_name(path, stamp);
  if (exists(path)) {
    if (auto done = keep_as(path, kept); !done) return failure(std::move(done.error()));
    swapped.kept = kept;
  }
  for (const std::string ending : {"-wal", "-journal"}) {
    struct stat beside{};
    if (!database || ::stat((path + ending).c_str(), &beside) != 0 || beside.st_size == 0) continue;
    if (auto done = keep_as(path + ending, kept + ending); !done) return failure(std::move(done.error()));
    swapped.kept_alone = false;
  }
  const std::string folder = storage::folder_of(path);
  if (auto synced = storage::sync_folder(folder); !synced) return failure(std::move(synced.error()));
  if (database) {
    // From here on, what belonged to the old file must not be found beside the new one.
    for (const char* const ending : {"-wal", "-shm", "-journal"}) {
      if (::unlink((path + ending).c_str()) != 0 && errno != ENOENT)
        return failure(os_error(errno, "remove " + path + ending));
    }
  }
  if (::rename(item.staged.c_str(), path.c_str()) != 0)
    return failure(os_error(errno, "rename " + item.staged + " to " + path));
  if (auto synced = storage::sync_folder(folder); !synced) return failure(std::move(synced.error()));
  return swapped;
}

}  // namespace

Result<Staging> stage(storage::Destination& destination, const std::string& name, const std::string& sha256,
                      const Wanted& wanted) {
  auto contents = read_manifest(destination, name);
  if (!contents) return failure(std::move(contents.error()));
  const auto changed = [&] { return failure(Code::kInvalid, destination.where(name) + " was changed meanwhile"); };
  if (contents->sha256 != sha256) return changed();
  Staging staging;
  std::vector<std::string> members;
  choose(contents->manifest, wanted, staging, members);
  staging.contents = std::move(*contents);
  auto download = destination.open(name);
  if (!download) return failure(std::move(download.error()));
  auto extracted = read_archive(**download, [&](const std::string& member) -> Result<Fd> {
    const auto found = std::ranges::find(members, member);
    if (found == members.end()) return Fd();
    return open_staged(staging.items[static_cast<std::size_t>(found - members.begin())].path);
  });
  Result<> staged;
  if (!extracted) {
    staged = failure(std::move(extracted.error()));
  } else if (extracted->sha256 != sha256) {
    staged = changed();
  }
  for (const Staged& item : staging.items) {
    if (staged) staged = sync_staged(item);
  }
  if (staged) return staging;
  discard(staging);
  return failure(std::move(staged.error()));
}

Result<> sync_staged(const Staged& item) {
  const Fd fd(::open(item.staged.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return failure(os_error(errno, "open " + item.staged));
  take_over_owner(fd.get(), item.path);
  if (::fsync(fd.get()) != 0) return failure(os_error(errno, "sync " + item.staged));
  return storage::sync_folder(storage::folder_of(item.staged));
}

void discard(const Staging& staging) {
  for (const Staged& item : staging.items) ::unlink(item.staged.c_str());
}

Result<std::vector<Swapped>> swap(std::span<const Staged> items, const std::string& stamp) {
  std::vector<std::string> databases;
  for (const Staged& item : items) {
    if (item.kind == Kind::kSqlite) databases.push_back(item.path);
  }
  if (const auto holders = holders_of(databases); !holders.empty()) {
    const Holder& holder = holders.front();
    return failure(Code::kRefused, holder.path + " is open in process " + std::to_string(holder.pid) + " (" +
                                       holder.command + "): end that one first");
  }
  std::vector<Swapped> all;
  for (const Staged& item : items) {
    auto swapped = swap_one(item, stamp);
    if (!swapped) return failure(std::move(swapped.error()));
    all.push_back(std::move(*swapped));
  }
  return all;
}

std::optional<Unfinished> load_unfinished(const std::string& state) {
  constexpr std::size_t kBytesMax = 1 << 20;
  const auto text = storage::read_file(state + "/restore.json", kBytesMax);
  if (!text) return std::nullopt;
  try {
    const json::object object = json::parse(*text).as_object();
    Unfinished unfinished{.archive = std::string(object.at("archive").as_string()),
                          .stamp = std::string(object.at("stamp").as_string())};
    for (const json::value& name : object.at("stopped").as_array()) unfinished.stopped.emplace_back(name.as_string());
    return unfinished;
  } catch (const std::exception&) {
    return std::nullopt;  // written atomically: this is not ours
  }
}

Result<> save_unfinished(const std::string& state, const Unfinished& unfinished) {
  json::array stopped;
  for (const std::string& name : unfinished.stopped) stopped.emplace_back(name);
  constexpr unsigned kMode = 0640;
  return storage::write_file_atomically(
      state + "/restore.json",
      json::serialize(
          json::object{{"archive", unfinished.archive}, {"stamp", unfinished.stamp}, {"stopped", std::move(stopped)}}) +
          "\n",
      kMode);
}

void clear_unfinished(const std::string& state) {
  ::unlink((state + "/restore.json").c_str());
  (void)storage::sync_folder(state);
}

}  // namespace nines::backup
