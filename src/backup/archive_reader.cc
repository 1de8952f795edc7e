#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <map>
#include <vector>

#include "backup/archive.h"
#include "backup/sha256.h"
#include "backup/zstd_stream.h"
#include "base/check.h"
#include "storage/files.h"

namespace nines::backup {
namespace {

constexpr std::size_t kBlock = 256 * 1024;

std::unexpected<Error> broken(std::string what) { return failure(Code::kInvalid, std::move(what)); }

// What was found of a member, before the manifest could say what there should be.
struct Found {
  std::uint64_t bytes = 0;
  std::string sha256;
};

class Reader {
 public:
  Reader(storage::Download& source, const Extract& extract)
      : frame_(source), extract_(extract), archive_(::archive_read_new()) {
    INVARIANT(archive_ != nullptr);
    ::archive_read_support_format_tar(archive_);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader() { ::archive_read_free(archive_); }

  Result<Contents> run() {
    if (::archive_read_open(archive_, this, nullptr, on_read, nullptr) != ARCHIVE_OK) return bad_tar();
    while (true) {
      archive_entry* entry = nullptr;
      const int code = ::archive_read_next_header(archive_, &entry);
      if (code == ARCHIVE_EOF) break;
      if (code != ARCHIVE_OK) return bad_tar();
      if (auto read = read_member(entry); !read) return failure(std::move(read.error()));
    }
    if (auto ended = read_rest(); !ended) return failure(std::move(ended.error()));
    return judge();
  }

 private:
  static la_ssize_t on_read(archive*, void* self, const void** bytes) {
    Reader& reader = *static_cast<Reader*>(self);
    auto next = reader.frame_.next();
    if (!next) {
      reader.error_ = std::move(next.error());
      return -1;
    }
    reader.chunk_ = *next;
    reader.fed_ += next->size();
    *bytes = next->data();
    return static_cast<la_ssize_t>(next->size());
  }

  // The frame's own words come first: they are the cause.
  std::unexpected<Error> bad_tar() {
    if (error_) return failure(*error_);
    const char* const why = ::archive_error_string(archive_);
    return broken(std::string("not a tar archive, or a damaged one: ") + (why != nullptr ? why : "unknown"));
  }

  Result<> read_member(archive_entry* entry) {
    const char* const name = ::archive_entry_pathname(entry);
    const std::string path = name != nullptr ? name : "";
    if (auto checked = check_member_path(path); !checked) return checked;
    const bool plain = ::archive_entry_filetype(entry) == AE_IFREG && ::archive_entry_hardlink(entry) == nullptr &&
                       ::archive_entry_symlink(entry) == nullptr;
    if (!plain) return broken("the member \"" + path + "\" is no plain file");
    if (found_.contains(path)) return broken("the member \"" + path + "\" is there twice");
    if (found_.size() >= kMembers) return broken("more than " + std::to_string(kMembers) + " members");
    const bool is_manifest = path == kManifestName;
    Fd to;
    if (!is_manifest && extract_) {
      auto opened = extract_(path);
      if (!opened) return failure(std::move(opened.error()));
      to = std::move(*opened);
    }
    Found& member = found_[path];
    Sha256 hash;
    while (true) {
      const la_ssize_t got = ::archive_read_data(archive_, block_.data(), block_.size());
      if (got == 0) break;
      if (got < 0) return bad_tar();
      const std::string_view bytes(block_.data(), static_cast<std::size_t>(got));
      hash.update(bytes);
      member.bytes += bytes.size();
      if (is_manifest && member.bytes > kManifestBytes) return broken("the manifest is too large");
      if (is_manifest) manifest_ += bytes;
      if (!to) continue;
      if (auto written = storage::write_all(to.get(), bytes, "extract " + path); !written) return written;
    }
    if (member.bytes != static_cast<std::uint64_t>(::archive_entry_size(entry)))
      return broken("the member \"" + path + "\" is cut off");
    member.sha256 = hash.finish();
    return {};
  }

  // Behind the end of a tar there are zeros only; and the frame has to end properly.
  Result<> read_rest() {
    // Of the last chunk it was given, libarchive has used only a part.
    const auto used = static_cast<std::uint64_t>(::archive_filter_bytes(archive_, 0));
    std::string_view rest = chunk_.substr(chunk_.size() - std::min<std::uint64_t>(chunk_.size(), fed_ - used));
    while (true) {
      if (rest.find_first_not_of('\0') != std::string_view::npos)
        return broken("there is something behind the end of the tar");
      const auto next = frame_.next();
      if (!next) return failure(next.error());
      if (next->empty()) return {};
      rest = *next;
    }
  }

  Result<Contents> judge() {
    if (!found_.contains(std::string(kManifestName)))
      return broken("there is no manifest.json: the archive is incomplete");
    auto manifest = parse_manifest(manifest_);
    if (!manifest) return failure(std::move(manifest.error()));
    std::size_t expected = 1;
    for (const Member& member : manifest->members) {
      const auto found = found_.find(member.path);
      if (found == found_.end() || member.path == kManifestName)
        return broken("the member \"" + member.path + "\" is missing");
      if (found->second.bytes != member.bytes || found->second.sha256 != member.sha256)
        return broken("the member \"" + member.path + "\" is not what the manifest says: its SHA-256 differs");
      ++expected;
    }
    if (expected != found_.size()) return broken(extra_member(*manifest));
    return Contents{std::move(*manifest), frame_.sha256(), frame_.bytes_read()};
  }

  std::string extra_member(const Manifest& manifest) const {
    for (const auto& [path, found] : found_) {
      if (path != kManifestName && std::ranges::find(manifest.members, path, &Member::path) == manifest.members.end())
        return "the member \"" + path + "\" is not in the manifest";
    }
    return "the manifest names a member twice";
  }

  Decompressor frame_;
  const Extract& extract_;
  archive* archive_;
  std::optional<Error> error_;  // what the frame or the source said
  std::string_view chunk_;      // the last that libarchive was given
  std::uint64_t fed_ = 0;
  std::map<std::string, Found> found_;
  std::string manifest_;
  std::vector<char> block_ = std::vector<char>(kBlock);
};

}  // namespace

Result<Contents> read_archive(storage::Download& source, const Extract& extract) {
  return Reader(source, extract).run();
}

}  // namespace nines::backup
