#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "backup/archive.h"
#include "backup/sha256.h"
#include "backup/zstd_stream.h"
#include "base/check.h"

namespace nines::backup {
namespace {

constexpr std::size_t kBlock = 256 * 1024;

struct FreeEntry {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};

WallTime time_of(const struct stat& status) {
  return WallTime(std::chrono::seconds(status.st_mtim.tv_sec) + std::chrono::nanoseconds(status.st_mtim.tv_nsec));
}

bool same(const struct stat& a, const struct stat& b) {
  return a.st_size == b.st_size && time_of(a) == time_of(b) && a.st_ctim.tv_sec == b.st_ctim.tv_sec &&
         a.st_ctim.tv_nsec == b.st_ctim.tv_nsec;
}

}  // namespace

// libarchive makes the tar, its callback hands it to the compressor.
class ArchiveWriter::Tar {
 public:
  explicit Tar(storage::Upload& upload) : compressor_(upload), archive_(::archive_write_new()) {
    INVARIANT(archive_ != nullptr);
    // Of the formats without a limit to sizes and names, the one that takes names as bytes, whatever the locale.
    ::archive_write_set_format_gnutar(archive_);
    ::archive_write_set_bytes_per_block(archive_, 0);
    ::archive_write_open2(archive_, this, nullptr, on_write, nullptr, nullptr);
  }
  Tar(const Tar&) = delete;
  Tar& operator=(const Tar&) = delete;
  ~Tar() {
    aborted_ = true;  // else it would write an orderly end
    ::archive_write_free(archive_);
  }

  Result<> begin(const Member& member) {
    const std::unique_ptr<archive_entry, FreeEntry> entry(::archive_entry_new());
    ::archive_entry_set_pathname(entry.get(), member.path.c_str());
    ::archive_entry_set_filetype(entry.get(), AE_IFREG);
    ::archive_entry_set_perm(entry.get(), 0600);
    ::archive_entry_set_size(entry.get(), static_cast<la_int64_t>(member.bytes));
    const auto whole = std::chrono::floor<std::chrono::seconds>(member.modified);
    ::archive_entry_set_mtime(entry.get(), whole.time_since_epoch().count(), 0);
    return judge(::archive_write_header(archive_, entry.get()), member.path);
  }

  Result<> write(std::string_view bytes, const std::string& member) {
    const la_ssize_t wrote = ::archive_write_data(archive_, bytes.data(), bytes.size());
    if (wrote == static_cast<la_ssize_t>(bytes.size())) return {};
    return judge(ARCHIVE_FATAL, member);
  }

  Result<std::string> finish() {
    if (auto closed = judge(::archive_write_close(archive_), "the end"); !closed) return failure(closed.error());
    if (auto ended = compressor_.finish(); !ended) return failure(std::move(ended.error()));
    return compressor_.sha256();
  }

 private:
  static la_ssize_t on_write(archive*, void* self, const void* bytes, std::size_t size) {
    Tar& tar = *static_cast<Tar*>(self);
    if (tar.aborted_) return static_cast<la_ssize_t>(size);
    auto written = tar.compressor_.write({static_cast<const char*>(bytes), size});
    if (written) return static_cast<la_ssize_t>(size);
    tar.error_ = std::move(written.error());
    return -1;
  }

  Result<> judge(int code, const std::string& member) {
    if (error_) return failure(*error_);
    if (code == ARCHIVE_OK) return {};
    const char* const why = ::archive_error_string(archive_);
    return failure(Code::kIo, "archive " + member + ": " + (why != nullptr ? why : "unknown"));
  }

  Compressor compressor_;
  archive* archive_;
  std::optional<Error> error_;  // what the destination said
  bool aborted_ = false;
};

ArchiveWriter::ArchiveWriter(storage::Upload& upload, Manifest manifest)
    : tar_(std::make_unique<Tar>(upload)), manifest_(std::move(manifest)) {}
ArchiveWriter::~ArchiveWriter() = default;

Result<> ArchiveWriter::add(Member member, const std::string& file) {
  const auto changed = [&] {
    return failure(Code::kUnavailable, member.source + " was changed while it was being read");
  };
  const Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat before{}, after{};
  if (!fd || ::fstat(fd.get(), &before) != 0) return failure(os_error(errno, "read " + member.source));
  if (!S_ISREG(before.st_mode)) return failure(Code::kInvalid, member.source + " is no file");
  member.bytes = static_cast<std::uint64_t>(before.st_size);
  member.modified = std::chrono::floor<std::chrono::milliseconds>(time_of(before));
  if (auto begun = tar_->begin(member); !begun) return begun;
  Sha256 hash;
  std::vector<char> block(kBlock);
  std::uint64_t read = 0;
  while (read < member.bytes) {
    const std::size_t wanted = std::min<std::uint64_t>(block.size(), member.bytes - read);
    const ssize_t got = ::read(fd.get(), block.data(), wanted);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure(os_error(errno, "read " + member.source));
    if (got == 0) return changed();
    const std::string_view bytes(block.data(), static_cast<std::size_t>(got));
    hash.update(bytes);
    if (auto written = tar_->write(bytes, member.path); !written) return written;
    read += bytes.size();
  }
  if (::fstat(fd.get(), &after) != 0 || !same(before, after)) return changed();
  member.sha256 = hash.finish();
  manifest_.members.push_back(std::move(member));
  return {};
}

Result<ArchiveWriter::Finished> ArchiveWriter::finish() {
  const std::string json = to_json(manifest_);
  const Member member{.path = std::string(kManifestName), .bytes = json.size(), .modified = manifest_.created};
  if (auto begun = tar_->begin(member); !begun) return failure(std::move(begun.error()));
  if (auto written = tar_->write(json, member.path); !written) return failure(std::move(written.error()));
  auto sha256 = tar_->finish();
  if (!sha256) return failure(std::move(sha256.error()));
  return Finished{std::move(manifest_), std::move(*sha256)};
}

}  // namespace nines::backup
