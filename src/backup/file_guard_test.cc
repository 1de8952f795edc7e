#include "backup/file_guard.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include <doctest/doctest.h>

#include "base/test_support.h"

namespace nines::backup {
namespace {

namespace fs = std::filesystem;
using Kind = GuardFinding::Kind;

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

void write(const fs::path& path, const std::string& content) { std::ofstream(path, std::ios::binary) << content; }

// A service's folder with a model file, and a guard that has seen it.
struct Stage {
  nines::testing::Folder folder;
  FileGuard::Options options;
  std::optional<FileGuard> guard;
  Instant now{100s};

  explicit Stage(std::vector<std::string> files = {"model.bin"}) {
    options = {.folder = folder.path(),
               .files = std::move(files),
               .store = folder.path() + "/state/store",
               .record = folder.path() + "/state/guard.json",
               .displaced = folder.path() + "/state/displaced"};
    fs::create_directories(folder.path() + "/state");
    write(model(), "weights");
    guard.emplace(options);
  }
  fs::path model() const { return fs::path(folder.path()) / "model.bin"; }
  // Kinds as letters: k known, p placed, b put back, l lost, u not kept.
  std::string look(const Digests& expected = {}, bool trust = false) {
    now = now + 1s;
    std::string kinds;
    for (const GuardFinding& finding : guard->look(expected, trust, [this] { return now; })) {
      kinds += "kpblu"[static_cast<int>(finding.kind)];
      last = finding;
    }
    return kinds;
  }
  void restart(bool reread) {
    options.reread = reread;
    guard.emplace(options);
  }
  GuardFinding last{};
};

TEST_CASE("file guard: what it sees first is right, and a copy is kept") {
  Stage stage;
  CHECK(stage.look() == "k");
  CHECK(stage.last.path == "model.bin");
  CHECK(stage.last.digest == digest_of(stage.model()));
  CHECK(read(stage.guard->store().path_of(stage.last.digest).value()) == "weights");
  CHECK(fs::path(stage.guard->store().path_of(stage.last.digest).value()).filename() == "model.bin");
  CHECK(stage.look().empty());
}

TEST_CASE("file guard: what was deleted or changed is put back") {
  struct Row {
    const char* why;
    void (*harm)(const fs::path& model);
    bool displaced;
  };
  const Row rows[] = {
      {"deleted", [](const fs::path& model) { fs::remove(model); }, false},
      {"cut", [](const fs::path& model) { fs::resize_file(model, 3); }, true},
      {"empty", [](const fs::path& model) { fs::resize_file(model, 0); }, true},
      {"longer", [](const fs::path& model) { std::ofstream(model, std::ios::app) << "more"; }, true},
      {"another file in its place",
       [](const fs::path& model) {
         write(model.native() + "2", "WEIGHTS");
         fs::rename(model.native() + "2", model);
       },
       true},
      {"a folder in its place",
       [](const fs::path& model) {
         fs::remove(model);
         fs::create_symlink("nowhere", model);
       },
       false},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    Stage stage;
    REQUIRE(stage.look() == "k");
    const Digests expected = {{"model.bin", stage.last.digest}};
    fs::permissions(stage.model(), fs::perms::owner_read);
    fs::permissions(stage.model(), fs::perms::owner_all);
    row.harm(stage.model());
    CHECK(stage.look(expected) == "b");
    CHECK(read(stage.model()) == "weights");
    CHECK(stage.last.good_until == Instant{101s});
    CHECK_FALSE(stage.last.why.empty());
    CHECK(stage.last.displaced.empty() != row.displaced);
    if (row.displaced) CHECK(fs::exists(stage.last.displaced));
    CHECK(stage.look(expected).empty());
    // Also by the next keeper, which knows nothing but the record.
    stage.restart(false);
    CHECK(stage.look(expected).empty());
    row.harm(stage.model());
    CHECK(stage.look(expected) == "b");
  }
}

TEST_CASE("file guard: a change while nobody looked") {
  SUBCASE("by a person, while the service was down: it is right") {
    Stage stage;
    REQUIRE(stage.look() == "k");
    const Digests expected = {{"model.bin", stage.last.digest}};
    write(stage.model(), "new weights");
    stage.restart(true);
    CHECK(stage.look(expected, true) == "k");
    CHECK(stage.last.digest == digest_of(stage.model()));
    CHECK(read(stage.model()) == "new weights");
  }
  SUBCASE("without a trace in its times: no person does that") {
    Stage stage;
    REQUIRE(stage.look() == "k");
    const Digests expected = {{"model.bin", stage.last.digest}};
    struct stat before{};
    REQUIRE(::stat(stage.model().c_str(), &before) == 0);
    {
      std::fstream file(stage.model(), std::ios::in | std::ios::out);
      file << "W";
    }
    const struct timespec times[2] = {before.st_atim, before.st_mtim};
    REQUIRE(::utimensat(AT_FDCWD, stage.model().c_str(), times, 0) == 0);
    stage.restart(true);
    CHECK(stage.look(expected, true) == "b");
    CHECK(read(stage.model()) == "weights");
  }
  SUBCASE("gone: it is put back, whoever it was") {
    Stage stage;
    REQUIRE(stage.look() == "k");
    const Digests expected = {{"model.bin", stage.last.digest}};
    fs::remove(stage.model());
    stage.restart(true);
    CHECK(stage.look(expected, true) == "b");
  }
}

TEST_CASE("file guard: another one is deployed") {
  Stage stage;
  REQUIRE(stage.look() == "k");
  write(stage.folder.path() + "/model.bin.next", "next");
  const auto next = stage.guard->store().put(stage.folder.path() + "/model.bin.next");
  REQUIRE(next);
  CHECK(stage.look({{"model.bin", *next}}) == "p");
  CHECK(stage.last.displaced.empty());
  CHECK(read(stage.model()) == "next");
  CHECK(stage.look({{"model.bin", *next}}).empty());
  SUBCASE("and back") {
    const auto first = digest_of(stage.guard->store().path_of(*next).value());
    CHECK(first == *next);
  }
  SUBCASE("not yet in its place when the service goes down: at its next start") {
    const auto third = [&] {
      write(stage.folder.path() + "/third", "third");
      return stage.guard->store().put(stage.folder.path() + "/third").value();
    }();
    stage.restart(true);
    CHECK(stage.look({{"model.bin", third}}, true) == "p");
    CHECK(read(stage.model()) == "third");
  }
}

TEST_CASE("file guard: without a copy it is lost, and that is said once") {
  Stage stage;
  REQUIRE(stage.look() == "k");
  const Digests expected = {{"model.bin", stage.last.digest}};
  SUBCASE("the copy is gone") { stage.guard->store().keep_only({}); }
  SUBCASE("the copy is damaged itself") { write(stage.guard->store().path_of(stage.last.digest).value(), "w"); }
  fs::remove(stage.model());
  CHECK(stage.look(expected) == "l");
  CHECK(stage.last.why.find("cannot be put back") != std::string::npos);
  CHECK_FALSE(fs::exists(stage.model()));
  CHECK(stage.look(expected).empty());
  write(stage.model(), "weights");  // somebody brings it
  CHECK(stage.look(expected).empty());
  fs::remove(stage.model());
}

TEST_CASE("file guard: folders, with what is below") {
  Stage stage({"models", "missing.bin"});
  fs::create_directories(stage.folder.path() + "/models/deep");
  write(stage.folder.path() + "/models/a", "a");
  write(stage.folder.path() + "/models/deep/b", "b");
  CHECK(stage.look() == "kk");
  CHECK(stage.guard->known().contains("models/deep/b"));
  fs::remove_all(stage.folder.path() + "/models");
  CHECK(stage.look(stage.guard->known()) == "bb");
  CHECK(read(stage.folder.path() + "/models/deep/b") == "b");
}

TEST_CASE("file guard: what the server writes beside its models is no model") {
  Stage stage({"models"});
  fs::create_directories(stage.folder.path() + "/models");
  write(stage.folder.path() + "/models/a", "a");
  REQUIRE(stage.look({}, true) == "k");
  for (int line = 0; line < 3; ++line) {
    std::ofstream(stage.folder.path() + "/models/server.log", std::ios::app) << line;
    CHECK(stage.look(stage.guard->known()).empty());
  }
  CHECK(read(stage.folder.path() + "/models/server.log") == "012");
  // What a person has brought while nothing ran is.
  stage.restart(true);
  CHECK(stage.look(stage.guard->known(), true).find('k') != std::string::npos);
}

TEST_CASE("file guard: a link stays one") {
  Stage stage;
  fs::rename(stage.model(), stage.folder.path() + "/model-v1.bin");
  fs::create_symlink("model-v1.bin", stage.model());
  REQUIRE(stage.look({}, true) == "k");
  write(stage.folder.path() + "/model-v1.bin", "wrong");
  CHECK(stage.look(stage.guard->known()) == "b");
  CHECK(fs::is_symlink(stage.model()));
  CHECK(read(stage.model()) == "weights");
  CHECK(read(stage.last.displaced) == "wrong");
}

TEST_CASE("file store: two at a time, and a copy that was damaged") {
  Stage stage;
  FileStore store(stage.options.store);
  write(stage.folder.path() + "/a", std::string(4'000'000, 'a'));
  write(stage.folder.path() + "/b", std::string(4'000'000, 'b'));
  Result<std::string> a = failure(Code::kInvalid, ""), b = a;
  {
    const std::jthread one([&] { a = store.put(stage.folder.path() + "/a"); });
    const std::jthread other([&] { b = store.put(stage.folder.path() + "/b"); });
  }
  REQUIRE(a);
  REQUIRE(b);
  CHECK(digest_of(store.path_of(*a).value()).value() == *a);
  CHECK(digest_of(store.path_of(*b).value()).value() == *b);
  write(store.path_of(*a).value(), "rot");
  CHECK(store.place(*a, stage.model()).error().code() == Code::kInvalid);
  REQUIRE(store.put(stage.folder.path() + "/a").value() == *a);
  CHECK(store.place(*a, stage.model()));
}

TEST_CASE("file store: a damaged copy is found, removed, and made again") {
  Stage stage;
  REQUIRE(stage.look({}, true) == "k");
  const std::string digest = stage.last.digest;
  FileStore& store = stage.guard->store();
  CHECK(store.verify_one().empty());
  CHECK(store.verify_one().empty());
  write(store.path_of(digest).value(), "rot");
  CHECK(store.verify_one() == digest);
  CHECK_FALSE(store.has(digest));
  CHECK(stage.look({{"model.bin", digest}}).empty());
  CHECK(read(store.path_of(digest).value()) == "weights");
  CHECK(store.verify_one().empty());
}

TEST_CASE("file guard: what was in a wrong one's place is kept, and not for ever") {
  Stage stage;
  REQUIRE(stage.look() == "k");
  const Digests expected = {{"model.bin", stage.last.digest}};
  for (int i = 0; i < 9; ++i) {
    write(stage.model(), "wrong " + std::to_string(i));
    CHECK(stage.look(expected) == "b");
  }
  CHECK(read(stage.last.displaced) == "wrong 8");
  CHECK(std::distance(fs::directory_iterator(stage.options.displaced), {}) ==
        static_cast<std::ptrdiff_t>(FileGuard::kDisplacedMax));
}

TEST_CASE("file store: a copy has the original's mode") {
  Stage stage;
  ::chmod(stage.model().c_str(), 0640);
  FileStore store(stage.options.store);
  const auto digest = store.put(stage.model());
  REQUIRE(digest);
  CHECK(store.has(*digest));
  CHECK(store.put(stage.model()) == *digest);
  REQUIRE(store.place(*digest, stage.folder.path() + "/deep/copy.bin"));
  struct stat status{};
  REQUIRE(::stat((stage.folder.path() + "/deep/copy.bin").c_str(), &status) == 0);
  CHECK((status.st_mode & 07777) == 0640);
  CHECK(read(stage.folder.path() + "/deep/copy.bin") == "weights");
  CHECK(store.put(stage.folder.path()).error().code() == Code::kInvalid);
  CHECK(store.put(stage.folder.path() + "/none").error().code() == Code::kNotFound);
  CHECK(store.place(std::string(64, '0'), stage.model()).error().code() == Code::kNotFound);
}

}  // namespace
}  // namespace nines::backup
