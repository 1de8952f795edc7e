#include "backup/file_store.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <utility>
#include <vector>

#include "backup/sha256.h"
#include "base/fd.h"
#include "storage/files.h"

namespace nines::backup {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPiece = 1024 * 1024;

Result<Fd> open_regular(const std::string& path, struct stat& status) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd || ::fstat(fd.get(), &status) != 0) return failure(os_error(errno, "read " + path));
  if (!S_ISREG(status.st_mode)) return failure(Code::kInvalid, path + " is no regular file");
  return fd;
}

// Reads it all, and writes it to `to` unless that is -1.
Result<std::string> pass(int from, int to, const std::string& path) {
  Sha256 hash;
  std::vector<char> buffer(kPiece);
  for (off_t at = 0;;) {
    const ssize_t got = ::pread(from, buffer.data(), buffer.size(), at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure(os_error(errno, "read " + path));
    if (got == 0) return hash.finish();
    const std::string_view piece(buffer.data(), static_cast<std::size_t>(got));
    hash.update(piece);
    if (to >= 0) {
      if (auto written = storage::write_all(to, piece, "copy " + path); !written)
        return failure(std::move(written.error()));
    }
    at += got;
  }
}

// Into a fresh file beside its place, with the digest of what was written.
Result<std::string> copy(int from, const struct stat& like, const std::string& source, const std::string& fresh) {
  ::unlink(fresh.c_str());
  const Fd to(::open(fresh.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!to) return failure(os_error(errno, "write " + fresh));
  // Where the file system can share blocks, a copy costs nothing but the reading for its digest.
  const bool shared = ::ioctl(to.get(), FICLONE, from) == 0;
  auto digest = pass(shared ? to.get() : from, shared ? -1 : to.get(), source);
  if (digest && ::fchown(to.get(), like.st_uid, like.st_gid) != 0) errno = 0;  // only root may
  if (digest && (::fchmod(to.get(), like.st_mode & 07777) != 0 || ::fsync(to.get()) != 0))
    digest = failure(os_error(errno, "write " + fresh));
  if (!digest) ::unlink(fresh.c_str());
  return digest;
}

}  // namespace

Result<std::string> digest_of(const std::string& path) {
  struct stat status{};
  auto fd = open_regular(path, status);
  if (!fd) return failure(std::move(fd.error()));
  return pass(fd->get(), -1, path);
}

Result<std::string> FileStore::put(const std::string& path) {
  struct stat status{}, after{};
  auto from = open_regular(path, status);
  if (!from) return failure(std::move(from.error()));
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) return failure(Code::kIo, "make " + folder_ + ": " + error.message());
  // One of its own: a command may put one while the guard does.
  static std::atomic<unsigned> number = 0;
  const std::string fresh = folder_ + "/.fresh-" + std::to_string(::getpid()) + "-" + std::to_string(++number);
  auto digest = copy(from->get(), status, path, fresh);
  if (!digest) return digest;
  const bool calm = ::fstat(from->get(), &after) == 0 && after.st_size == status.st_size &&
                    after.st_mtim.tv_sec == status.st_mtim.tv_sec && after.st_mtim.tv_nsec == status.st_mtim.tv_nsec;
  if (!calm) {
    ::unlink(fresh.c_str());
    return failure(Code::kUnavailable, path + " was written to while it was copied");
  }
  if (const auto there = path_of(*digest)) {
    if (digest_of(*there).value_or("") == *digest) {
      ::unlink(fresh.c_str());
      return digest;
    }
    ::unlink(there->c_str());  // damaged meanwhile: this one takes its place
  }
  const std::string place = folder_ + "/" + *digest;
  fs::create_directories(place, error);
  const std::string name = fs::path(path).filename().native();
  if (error || ::rename(fresh.c_str(), (place + "/" + name).c_str()) != 0) {
    ::unlink(fresh.c_str());
    return failure(os_error(errno, "keep " + path + " in " + place));
  }
  for (const std::string& folder : {place, folder_}) {
    if (auto synced = storage::sync_folder(folder); !synced) return failure(std::move(synced.error()));
  }
  return digest;
}

Result<std::string> FileStore::path_of(const std::string& digest) const {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_ + "/" + digest, error))
    if (entry.is_regular_file(error)) return entry.path().native();
  return failure(Code::kNotFound, "no copy is kept of what it was (" + digest.substr(0, 12) + ")");
}

bool FileStore::has(const std::string& digest) const { return path_of(digest).has_value(); }

Result<> FileStore::place(const std::string& digest, const std::string& target) const {
  const auto source = path_of(digest);
  if (!source) return failure(source.error());
  struct stat status{};
  auto from = open_regular(*source, status);
  if (!from) return failure(std::move(from.error()));
  std::error_code error;
  fs::create_directories(storage::folder_of(target), error);  // it may have gone with it
  const std::string fresh = storage::folder_of(target) + "/." + fs::path(target).filename().native() + ".put-back";
  const auto written = copy(from->get(), status, *source, fresh);
  if (!written) return failure(written.error());
  if (*written != digest) {
    ::unlink(fresh.c_str());
    return failure(Code::kInvalid, "the copy in " + *source + " is damaged itself");
  }
  if (::rename(fresh.c_str(), target.c_str()) != 0) {
    const auto failed = failure(os_error(errno, "put back " + target));
    ::unlink(fresh.c_str());
    return failed;
  }
  return storage::sync_folder(storage::folder_of(target));
}

std::string FileStore::verify_one() {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    std::string digest = entry.path().filename().native();
    const auto path = digest.size() == 64 ? path_of(digest) : failure(Code::kNotFound, "");
    struct stat status{};
    if (!path || ::stat(path->c_str(), &status) != 0) continue;
    const std::string looks = std::to_string(status.st_ino) + "/" + std::to_string(status.st_size) + "/" +
                              std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec);
    if (std::exchange(verified_[digest], looks) == looks) continue;
    if (digest_of(*path).value_or("") == digest) return "";
    fs::remove_all(entry.path(), error);
    verified_.erase(digest);
    return digest;
  }
  return "";
}

void FileStore::keep_only(const std::set<std::string>& digests) const {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    const std::string name = entry.path().filename().native();
    if (name.size() == 64 && !digests.contains(name)) fs::remove_all(entry.path(), error);
  }
}

}  // namespace nines::backup
