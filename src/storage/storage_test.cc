#include <doctest/doctest.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "base/test_support.h"
#include "storage/directory.h"
#include "storage/files.h"

namespace nines::storage {
namespace {

using testing::Folder;

std::string content_of(Destination& destination, const std::string& name) {
  auto download = destination.open(name);
  REQUIRE(download);
  std::string all;
  char buffer[7];
  while (true) {
    const auto got = (*download)->read(buffer);
    REQUIRE(got);
    if (*got == 0) return all;
    all.append(buffer, *got);
  }
}

Result<Object> put(Destination& destination, const std::string& name, std::string_view content) {
  auto upload = destination.put(name);
  if (!upload) return failure(upload.error());
  if (auto written = (*upload)->write(content); !written) return failure(written.error());
  return (*upload)->commit();
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::ranges::sort(names);
  return names;
}

TEST_CASE("directory: an object is there as a whole once it is committed, and only then") {
  const Folder folder;
  const auto destination = open_directory(folder / "a/b/");
  CHECK(destination->where() == folder / "a/b");
  CHECK(destination->list()->empty());  // not even the folder is there
  {
    auto upload = destination->put("backup-1");
    REQUIRE(upload);
    REQUIRE((*upload)->write("hello "));
    REQUIRE((*upload)->write("world"));
    CHECK(destination->list()->empty());
    CHECK(destination->open("backup-1").error().code() == Code::kNotFound);
    const auto object = (*upload)->commit();
    REQUIRE(object);
    CHECK(object->bytes == 11);
    CHECK(object->modified == destination->list()->front().modified);
  }
  CHECK(content_of(*destination, "backup-1") == "hello world");
  struct stat status{};
  REQUIRE(::stat((folder / "a/b/backup-1").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);

  {
    auto abandoned = destination->put("backup-2");
  }
  CHECK(names_in(folder / "a/b") == std::vector<std::string>{"backup-1"});
  REQUIRE(destination->remove("backup-1"));
  CHECK(destination->remove("backup-1").error().code() == Code::kNotFound);
  CHECK(destination->list()->empty());
}

TEST_CASE("directory: nothing is overwritten") {
  const Folder folder;
  const auto destination = open_directory(folder.path());
  auto first = destination->put("backup-1");
  REQUIRE(first);
  REQUIRE((*first)->write("first"));
  REQUIRE(put(*destination, "backup-2", "x"));
  CHECK(put(*destination, "backup-2", "y").error().code() == Code::kExists);
  folder.file("backup-1", "meanwhile");
  const auto committed = (*first)->commit();
  REQUIRE(!committed);
  CHECK(committed.error().code() == Code::kExists);
  CHECK(content_of(*destination, "backup-1") == "meanwhile");
}

TEST_CASE("directory: only plain files with plain names are objects") {
  const Folder folder;
  const auto destination = open_directory(folder.path());
  folder.file("b", "22");
  folder.file("a", "1");
  folder.file(".hidden", "");
  ::mkdir((folder / "folder").c_str(), 0755);
  ::symlink("a", (folder / "link").c_str());
  const auto list = destination->list();
  REQUIRE(list);
  REQUIRE(list->size() == 2);
  CHECK((*list)[0].name == "a");
  CHECK((*list)[1].bytes == 2);
  for (const std::string name : {"", "../x", ".x", "a/b"}) {
    CHECK(destination->put(name).error().code() == Code::kInvalid);
    CHECK(destination->open(name).error().code() == Code::kInvalid);
    CHECK(destination->remove(name).error().code() == Code::kInvalid);
  }
}

TEST_CASE("directory: what dead writers left goes at the next put, what living ones write stays") {
  const Folder folder;
  const auto destination = open_directory(folder.path());
  folder.file(".backup-0.1.partial", "of a dead writer");
  folder.file(".other", "of somebody else");
  auto living = destination->put("backup-1");
  REQUIRE(living);
  CHECK(names_in(folder.path()).size() == 2);
  REQUIRE(put(*destination, "backup-2", "x"));
  REQUIRE((*living)->commit());
  CHECK(names_in(folder.path()) == std::vector<std::string>{".other", "backup-1", "backup-2"});
}

TEST_CASE("directory: a full disk is said so, and leaves nothing") {
  const Folder folder;
  const auto destination = open_directory(folder.path());
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{100'000, 100'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    auto upload = destination->put("backup-1");
    if (!upload) ::_exit(1);
    const std::string block(60'000, 'x');
    if (!(*upload)->write(block)) ::_exit(2);
    const auto second = (*upload)->write(block);
    if (second || second.error().code() != Code::kLimit) ::_exit(3);
    if (!second.error().text().starts_with("no space left in " + folder.path())) ::_exit(4);
    upload->reset();
    ::_exit(names_in(folder.path()).empty() ? 0 : 5);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

TEST_CASE("directory: a folder that cannot be one says why") {
  const Folder folder;
  folder.file("file", "");
  const auto destination = open_directory(folder / "file");
  CHECK(!destination->put("backup-1"));
  CHECK(!destination->list());
}

TEST_CASE("files: written as a whole, read within a limit") {
  const Folder folder;
  REQUIRE(write_file_atomically(folder / "f", "one", 0600));
  REQUIRE(write_file_atomically(folder / "f", "two", 0600));
  CHECK(read_file(folder / "f", 3) == "two");
  CHECK(read_file(folder / "f", 2).error().code() == Code::kLimit);
  CHECK(read_file(folder / "g", 2).error().code() == Code::kNotFound);
  CHECK(names_in(folder.path()) == std::vector<std::string>{"f"});
  CHECK(folder_of("a") == ".");
  CHECK(folder_of("/a") == "/");
  CHECK(folder_of("a/b/c") == "a/b");
}

}  // namespace
}  // namespace nines::storage
