// Damage: every flipped bit, every cut, everything added or left out is refused with a reason.
#include "backup/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <doctest/doctest.h>
#include <fcntl.h>

#include <map>

#include "backup/sha256.h"
#include "backup/test_support.h"
#include "backup/zstd_stream.h"
#include "base/random.h"

namespace nines::backup {
namespace {

using namespace testing;

// An archive in memory.
class MemoryUpload final : public storage::Upload {
 public:
  explicit MemoryUpload(std::string& out) : out_(out) {}
  Result<> write(std::string_view bytes) override {
    out_ += bytes;
    return {};
  }
  Result<storage::Object> commit() override { return storage::Object{}; }

 private:
  std::string& out_;
};

class MemoryDownload final : public storage::Download {
 public:
  explicit MemoryDownload(std::string_view bytes) : rest_(bytes) {}
  Result<std::size_t> read(std::span<char> buffer) override {
    const std::size_t size = std::min(buffer.size(), rest_.size());
    std::copy_n(rest_.data(), size, buffer.data());
    rest_.remove_prefix(size);
    return size;
  }

 private:
  std::string_view rest_;
};

Result<Contents> read(std::string_view archive) {
  MemoryDownload source(archive);
  return read_archive(source, {});
}

// "ok", or what is wrong.
std::string verdict(std::string_view archive) {
  const auto contents = read(archive);
  if (contents) return "ok";
  CHECK(contents.error().code() == Code::kInvalid);
  return contents.error().text();
}

std::string small_archive(const Folder& folder) {
  std::string out;
  MemoryUpload upload(out);
  ArchiveWriter writer(upload, {.service = "s", .created = WallTime(1s)});
  REQUIRE(writer.add({.path = "data/app.db", .kind = Kind::kSqlite, .source = "app.db"},
                     folder.file("app.db", std::string(9'000, 'r'))));
  REQUIRE(writer.add({.path = "files/m", .kind = Kind::kFile, .source = "m"},
                     folder.file("m", "a model that is not empty")));
  REQUIRE(writer.add({.path = "nines.yaml", .kind = Kind::kConfiguration, .source = "nines.yaml"},
                     folder.file("y", "service: s")));
  REQUIRE(writer.finish());
  return out;
}

std::string plain_tar(std::string_view archive) {
  MemoryDownload source(archive);
  Decompressor frame(source);
  std::string tar;
  while (true) {
    const auto next = frame.next();
    REQUIRE(next);
    if (next->empty()) return tar;
    tar += *next;
  }
}

std::string compressed(std::string_view tar) {
  std::string out;
  MemoryUpload upload(out);
  Compressor frame(upload);
  REQUIRE(frame.write(tar));
  REQUIRE(frame.finish());
  return out;
}

// Members as somebody else's tar would write them.
struct Entry {
  std::string path;
  std::string content;
  unsigned type = AE_IFREG;
};
std::string tar_of(const std::vector<Entry>& entries) {
  std::vector<char> buffer(1 << 20);
  std::size_t used = 0;
  archive* tar = ::archive_write_new();
  ::archive_write_set_format_gnutar(tar);
  REQUIRE(::archive_write_open_memory(tar, buffer.data(), buffer.size(), &used) == ARCHIVE_OK);
  for (const Entry& entry : entries) {
    archive_entry* e = ::archive_entry_new();
    ::archive_entry_set_pathname(e, entry.path.c_str());
    ::archive_entry_set_filetype(e, entry.type);
    ::archive_entry_set_perm(e, 0644);
    if (entry.type == AE_IFLNK) ::archive_entry_set_symlink(e, "/etc/passwd");
    ::archive_entry_set_size(e, static_cast<la_int64_t>(entry.content.size()));
    REQUIRE(::archive_write_header(tar, e) == ARCHIVE_OK);
    ::archive_write_data(tar, entry.content.data(), entry.content.size());
    ::archive_entry_free(e);
  }
  ::archive_write_close(tar);
  ::archive_write_free(tar);
  return {buffer.data(), used};
}

std::string sha_of(std::string_view text) {
  Sha256 hash;
  hash.update(text);
  return hash.finish();
}

std::string manifest_of(const std::vector<Entry>& entries) {
  Manifest manifest{.service = "s", .created = WallTime(1s)};
  for (const Entry& entry : entries)
    manifest.members.push_back({.path = entry.path,
                                .kind = Kind::kFile,
                                .source = entry.path,
                                .bytes = entry.content.size(),
                                .sha256 = sha_of(entry.content)});
  return to_json(manifest);
}

TEST_CASE("archive: what goes in comes out") {
  const Folder folder;
  const std::string archive = small_archive(folder);
  const auto contents = read(archive);
  REQUIRE(contents);
  CHECK(contents->bytes == archive.size());
  CHECK(contents->sha256 == sha_of(archive));
  REQUIRE(contents->manifest.members.size() == 3);
  CHECK(contents->manifest.members[0].sha256 == sha_of(std::string(9'000, 'r')));
  CHECK(contents->manifest.members[1].bytes == 25);
}

TEST_CASE("archive: the same input makes the same archive") {
  const Folder folder;
  const std::string first = small_archive(folder);
  CHECK(plain_tar(first).size() % 512 == 0);
  // Files are written anew with other times, so only the order and the data can be compared.
  const auto names = [](std::string_view archive) {
    std::string all;
    const auto contents = read(archive);
    for (const Member& member : contents->manifest.members) all += member.path + " " + member.sha256 + "\n";
    return all;
  };
  CHECK(names(first) == names(small_archive(folder)));
}

TEST_CASE("archive: a member that is changed while it is read is an error") {
  const Folder folder;
  std::string out;
  MemoryUpload upload(out);
  ArchiveWriter writer(upload, {});
  CHECK(writer.add({.path = "files/a", .source = "a"}, folder / "none").error().code() == Code::kNotFound);
  CHECK(writer.add({.path = "files/b", .source = "b"}, folder.path()).error().code() == Code::kInvalid);
}

TEST_CASE("archive: every flipped bit is found, or changes nothing") {
  const Folder folder;
  const std::string good = small_archive(folder);
  REQUIRE(verdict(good) == "ok");
  const std::string manifest = to_json(read(good)->manifest);
  int harmless = 0;
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = good;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
      const auto contents = read(flipped);
      if (!contents) {
        CHECK(contents.error().code() == Code::kInvalid);
        continue;
      }
      ++harmless;
      CHECK(to_json(contents->manifest) == manifest);
      CHECK(contents->sha256 != sha_of(good));
    }
  }
  CAPTURE(good.size());
  CHECK(harmless < 100);  // of a match in a run of equal bytes, any offset says the same
}

TEST_CASE("archive: cut anywhere, it is refused") {
  const Folder folder;
  const std::string good = small_archive(folder);
  CHECK(verdict("") == "the file is empty");
  for (std::size_t size = 1; size < good.size(); ++size) {
    CAPTURE(size);
    CHECK(verdict(std::string_view(good).substr(0, size)) ==
          "the archive is cut off after " + std::to_string(size) + " bytes");
  }
  // A tar that ends early inside a proper frame, at each of its blocks.
  const std::string tar = plain_tar(good);
  for (std::size_t size = 0; size < tar.size(); size += 512) {
    CAPTURE(size);
    const std::string said = verdict(compressed(tar.substr(0, size)));
    // Only zeros are left to be cut off behind the last member.
    if (said == "ok") CHECK(tar.find_first_not_of('\0', size) == std::string::npos);
  }
}

TEST_CASE("archive: damage with a right frame around it is found by the hashes") {
  const Folder folder;
  const std::string tar = plain_tar(small_archive(folder));
  Random random(1);
  for (int i = 0; i < 2'000; ++i) {
    std::string flipped = tar;
    const std::size_t at = random.below(static_cast<std::uint32_t>(tar.size()));
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << random.below(8)));
    const auto contents = read(compressed(flipped));
    if (!contents) continue;
    // The padding behind a member's end, or a character of the manifest that hashes cannot cover, such as the service.
    CAPTURE(at);
    for (const Member& member : contents->manifest.members) CHECK(member.sha256.size() == 64);
    CHECK(contents->manifest.members.size() == 3);
    CHECK(contents->manifest.members[0].sha256 == sha_of(std::string(9'000, 'r')));
  }
}

TEST_CASE("archive: what was added, left out or exchanged") {
  const Entry a{"files/a", "aaa"}, b{"files/b", "bbb"};
  const Entry manifest{"manifest.json", manifest_of({a, b})};
  struct Row {
    std::string why;
    std::vector<Entry> entries;
    std::string says;
  };
  const Row rows[] = {
      {"all is well", {a, b, manifest}, "ok"},
      {"the manifest may stand anywhere", {manifest, a, b}, "ok"},
      {"nothing at all", {}, "there is no manifest.json: the archive is incomplete"},
      {"no manifest", {a, b}, "there is no manifest.json: the archive is incomplete"},
      {"a member left out", {a, manifest}, "the member \"files/b\" is missing"},
      {"a member added", {a, b, {"files/c", "c"}, manifest}, "the member \"files/c\" is not in the manifest"},
      {"a member twice", {a, b, a, manifest}, "the member \"files/a\" is there twice"},
      {"a manifest twice", {a, b, manifest, manifest}, "the member \"manifest.json\" is there twice"},
      {"another content",
       {a, {"files/b", "bbx"}, manifest},
       "the member \"files/b\" is not what the manifest says: its SHA-256 differs"},
      {"another size",
       {a, {"files/b", "bbbb"}, manifest},
       "the member \"files/b\" is not what the manifest says: its SHA-256 differs"},
      {"a manifest that is none", {a, {"manifest.json", "{}"}}, "manifest.json: not of a backup"},
      {"a way out", {a, b, {"../x", "x"}, manifest}, "the member \"../x\" has a name no backup would give it"},
      {"a way out further in",
       {a, b, {"data/../../x", "x"}, manifest},
       "the member \"../../x\" has a name no backup would give it"},
      {"from the root",
       {a, b, {"/etc/cron.d/x", "x"}, manifest},
       "the member \"/etc/cron.d/x\" has a name no backup would give it"},
      {"a link", {a, {"files/b", "", AE_IFLNK}, manifest}, "the member \"files/b\" is no plain file"},
      {"a device", {a, {"files/b", "", AE_IFCHR}, manifest}, "the member \"files/b\" is no plain file"},
      {"the manifest in itself",
       {{"manifest.json", manifest_of({{"manifest.json", "x"}})}},
       "the member \"manifest.json\" is missing"},
      {"a member twice in the manifest",
       {a, {"manifest.json", manifest_of({a, a})}},
       "the manifest names a member twice"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    CHECK(verdict(compressed(tar_of(row.entries))) == row.says);
  }
}

TEST_CASE("archive: what is none at all") {
  const Folder folder;
  const std::string good = small_archive(folder);
  CHECK(verdict("hello world") == "not a zstd archive");
  CHECK(verdict(plain_tar(good)) == "not a zstd archive");
  CHECK(verdict(compressed("hello world")).starts_with("not a tar archive, or a damaged one"));
  CHECK(verdict(good + "x") == "there is something behind the end of the archive");
  CHECK(verdict(good + good) == "there is something behind the end of the archive");
  const std::string tar = plain_tar(good);
  CHECK(verdict(compressed(tar + std::string(512, 'x'))) == "there is something behind the end of the tar");
  CHECK(verdict(compressed(tar + std::string(1'000'000, '\0'))) == "ok");
}

TEST_CASE("archive: members are handed out as they come, and only those that are wanted") {
  const Folder folder;
  const std::string good = small_archive(folder);
  MemoryDownload source(good);
  const auto contents = read_archive(source, [&](const std::string& member) -> Result<Fd> {
    if (member != "files/m") return Fd();
    return Fd(::open((folder / "out").c_str(), O_WRONLY | O_CREAT, 0600));
  });
  REQUIRE(contents);
  CHECK(storage::read_file(folder / "out", 100).value() == "a model that is not empty");
  MemoryDownload again(good);
  const auto refused =
      read_archive(again, [&](const std::string&) -> Result<Fd> { return failure(Code::kLimit, "full"); });
  REQUIRE(!refused);
  CHECK(refused.error().code() == Code::kLimit);
}

}  // namespace
}  // namespace nines::backup
