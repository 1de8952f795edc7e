#include "storage/directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "base/fd.h"
#include "storage/files.h"

namespace nines::storage {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPartial = ".partial";
constexpr mode_t kObjectMode = 0600;
constexpr mode_t kFolderMode = 0750;

Error explained(Error error, const std::string& folder) {
  if (error.code() != Code::kLimit) return error;
  return std::move(error).in("no space left in " + folder + ": free some, or keep fewer backups there (`keep:`)");
}

Object object_of(std::string name, const struct stat& status) {
  const auto since = std::chrono::seconds(status.st_mtim.tv_sec) + std::chrono::nanoseconds(status.st_mtim.tv_nsec);
  return {std::move(name), static_cast<std::uint64_t>(status.st_size), WallTime(since)};
}

// rename() that overwrites nothing. link() is for file systems that do not know RENAME_NOREPLACE.
int rename_to_new(const std::string& from, const std::string& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  if (::link(from.c_str(), to.c_str()) != 0) return errno;
  ::unlink(from.c_str());
  return 0;
}

class FileUpload final : public Upload {
 public:
  FileUpload(std::string folder, std::string name, std::string partial, Fd fd)
      : folder_(std::move(folder)), name_(std::move(name)), partial_(std::move(partial)), fd_(std::move(fd)) {}
  FileUpload(const FileUpload&) = delete;
  FileUpload& operator=(const FileUpload&) = delete;
  ~FileUpload() override {
    if (!committed_) ::unlink(partial_.c_str());
  }

  Result<> write(std::string_view bytes) override {
    if (auto written = write_all(fd_.get(), bytes, "write " + partial_); !written)
      return failure(explained(std::move(written.error()), folder_));
    return {};
  }

  Result<Object> commit() override {
    const std::string path = folder_ + "/" + name_;
    // A full disk may say so only now, where space is given out late.
    if (::fsync(fd_.get()) != 0) return failure(explained(os_error(errno, "sync " + partial_), folder_));
    struct stat status{};
    if (::fstat(fd_.get(), &status) != 0) return failure(os_error(errno, "look at " + partial_));
    if (const int errnum = rename_to_new(partial_, path); errnum != 0)
      return failure(os_error(errnum, "name the finished file " + path));
    committed_ = true;
    if (auto synced = sync_folder(folder_); !synced) return failure(std::move(synced.error()));
    return object_of(name_, status);
  }

 private:
  const std::string folder_, name_, partial_;
  Fd fd_;
  bool committed_ = false;
};

class FileDownload final : public Download {
 public:
  FileDownload(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  Result<std::size_t> read(std::span<char> buffer) override {
    while (true) {
      const ssize_t got = ::read(fd_.get(), buffer.data(), buffer.size());
      if (got >= 0) return static_cast<std::size_t>(got);
      if (errno != EINTR) return failure(os_error(errno, "read " + path_));
    }
  }

 private:
  Fd fd_;
  std::string path_;
};

class Directory final : public Destination {
 public:
  explicit Directory(std::string folder) : folder_(std::move(folder)) {}

  Result<std::unique_ptr<Upload>> put(const std::string& name) override {
    if (auto checked = check_name(name); !checked) return failure(std::move(checked.error()));
    if (auto made = make(); !made) return failure(std::move(made.error()));
    sweep();
    if (::access(where(name).c_str(), F_OK) == 0) return failure(Code::kExists, where(name) + " exists already");
    std::string partial = folder_ + "/." + name + "." + std::to_string(::getpid()) + std::string(kPartial);
    Fd fd(::open(partial.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, kObjectMode));
    if (!fd) return failure(explained(os_error(errno, "write into " + folder_), folder_));
    // Between open and here a sweeper may take it for a dead one's; then the rename fails, and says so.
    ::flock(fd.get(), LOCK_EX | LOCK_NB);
    return std::make_unique<FileUpload>(folder_, name, std::move(partial), std::move(fd));
  }

  Result<std::unique_ptr<Download>> open(const std::string& name) override {
    if (auto checked = check_name(name); !checked) return failure(std::move(checked.error()));
    Fd fd(::open(where(name).c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return failure(os_error(errno, "read " + where(name)));
    // Clean pages are dropped from the cache, so what is read comes from the disk.
    ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
    ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_SEQUENTIAL);
    return std::make_unique<FileDownload>(std::move(fd), where(name));
  }

  Result<std::vector<Object>> list() override {
    std::vector<Object> objects;
    std::error_code error;
    for (fs::directory_iterator at(folder_, error), end; !error && at != end; at.increment(error)) {
      std::string name = at->path().filename().native();
      struct stat status{};
      if (!check_name(name) || ::lstat(at->path().c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
      objects.push_back(object_of(std::move(name), status));
    }
    if (error && error != std::errc::no_such_file_or_directory)
      return failure(os_error(error.value(), "list the folder " + folder_));
    std::ranges::sort(objects, {}, &Object::name);
    return objects;
  }

  Result<> remove(const std::string& name) override {
    if (auto checked = check_name(name); !checked) return failure(std::move(checked.error()));
    if (::unlink(where(name).c_str()) != 0) return failure(os_error(errno, "remove " + where(name)));
    return sync_folder(folder_);
  }

  std::string where() const override { return folder_; }
  std::string where(const std::string& name) const override { return folder_ + "/" + name; }

 private:
  Result<> make() {
    std::error_code error;
    if (fs::is_directory(folder_, error)) return {};
    const fs::path parent = fs::path(folder_).parent_path();
    if (!parent.empty()) fs::create_directories(parent, error);
    if (error) return failure(os_error(error.value(), "make the folder " + parent.native()));
    if (::mkdir(folder_.c_str(), kFolderMode) != 0 && errno != EEXIST)
      return failure(os_error(errno, "make the folder " + folder_));
    return sync_folder(folder_of(folder_));
  }

  // What dead writers left; nobody depends on its success.
  void sweep() {
    std::error_code error;
    for (fs::directory_iterator at(folder_, error), end; !error && at != end; at.increment(error)) {
      const std::string name = at->path().filename().native();
      if (!name.starts_with(".backup-") || !name.ends_with(kPartial)) continue;
      const Fd fd(::open(at->path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
      if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) ::unlink(at->path().c_str());
    }
  }

  const std::string folder_;
};

}  // namespace

std::unique_ptr<Destination> open_directory(std::string folder) {
  while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
  return std::make_unique<Directory>(std::move(folder));
}

}  // namespace nines::storage
