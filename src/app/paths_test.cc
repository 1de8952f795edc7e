#include "app/paths.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace nines::app {
namespace {

namespace fs = std::filesystem;

// A folder to be in, and an environment that is put back.
class World {
 public:
  World() : before_(fs::current_path()) {
    std::string name = (fs::temp_directory_path() / "nines-test-XXXXXX").native();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    root = fs::canonical(name);
    fs::create_directories(root / "run");
    fs::create_directories(root / "site");
    fs::permissions(root / "run", fs::perms::owner_all);
    fs::current_path(root / "site");
    ::setenv("XDG_RUNTIME_DIR", (root / "run").c_str(), 1);
    ::setenv("XDG_STATE_HOME", (root / "state").c_str(), 1);
  }
  ~World() {
    fs::current_path(before_);
    ::unsetenv("XDG_RUNTIME_DIR");
    ::unsetenv("XDG_STATE_HOME");
    fs::remove_all(root);
  }
  fs::path root;

 private:
  fs::path before_;
};

mode_t mode_of(const std::string& path) {
  struct stat status{};
  REQUIRE(::lstat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

TEST_CASE("paths: everything follows from the file") {
  const World world;
  const Paths paths = find_paths("nines.yaml", "").value();
  const std::string site = world.root / "site";
  CHECK(paths.folder == site);
  CHECK(paths.config_file == site + "/nines.yaml");
  CHECK(paths.state == site + "/.nines");
  CHECK(paths.run.starts_with((world.root / "run/nines-").native()));
  CHECK(paths.run.size() == (world.root / "run/nines-").native().size() + 12);
  CHECK(!fs::exists(paths.state));
  CHECK(!fs::exists(paths.run));
}

TEST_CASE("paths: one folder, however it is named, is one service") {
  const World world;
  fs::create_symlink(world.root / "site", world.root / "link");
  const Paths here = find_paths("nines.yaml", "").value();
  for (const fs::path& name : {fs::path("./nines.yaml"), world.root / "site/nines.yaml", world.root / "link/nines.yaml",
                               fs::path("../site/./nines.yaml")}) {
    CAPTURE(name.native());
    const Paths paths = find_paths(name, "").value();
    CHECK(paths.state == here.state);
    CHECK(paths.run == here.run);
    CHECK(paths.config_file == here.config_file);
  }
  CHECK(find_paths("nines.yaml", ".nines/").value().run == here.run);
  CHECK(find_paths("nines.yaml", "other").value().run != here.run);
  CHECK(find_paths("nines.yaml", "other").value().folder == here.folder);
  CHECK(find_paths("folder/", "").error().code() == Code::kInvalid);
}

TEST_CASE("paths: a runtime folder that is not ours or too long is passed over") {
  const World world;
  const auto run = [] { return find_paths("nines.yaml", "").value().run; };
  const std::string fallback = ::geteuid() == 0 ? "/run/nines-" : "/tmp/nines-" + std::to_string(::geteuid()) + "-";
  ::unsetenv("XDG_RUNTIME_DIR");
  CHECK(run().starts_with(fallback));
  for (const char* wrong : {"", "relative", "/nonexistent", "/proc/self/status"}) {
    ::setenv("XDG_RUNTIME_DIR", wrong, 1);
    CHECK(run().starts_with(fallback));
  }
  const fs::path deep = world.root / std::string(90, 'd');
  fs::create_directories(deep);
  ::setenv("XDG_RUNTIME_DIR", deep.c_str(), 1);
  CHECK(run().starts_with(fallback));
  fs::create_symlink(world.root / "run", world.root / "a-link");
  ::setenv("XDG_RUNTIME_DIR", (world.root / "a-link").c_str(), 1);
  CHECK(run().starts_with(fallback));
}

TEST_CASE("paths: folders are made, protected and removed") {
  const World world;
  const Paths paths = find_paths("nines.yaml", "deep/er/state").value();
  REQUIRE(make_folders(paths));
  REQUIRE(make_folders(paths));
  CHECK(fs::is_directory(paths.logs()));
  CHECK((mode_of(paths.state) & 007) == 0);
  CHECK(mode_of(paths.run) == 0700);
  std::ofstream(paths.control_socket()) << "x";
  remove_run_folder(paths);
  CHECK(!fs::exists(paths.run));
  CHECK(fs::is_directory(paths.logs()));
  remove_run_folder(paths);
}

TEST_CASE("paths: who has another environment finds the same run folder") {
  const World world;
  const Paths paths = find_paths("nines.yaml", "").value();
  REQUIRE(make_folders(paths));
  ::unsetenv("XDG_RUNTIME_DIR");
  CHECK(find_paths("nines.yaml", "").value().run == paths.run);
  // A state folder that was moved with its link is another service.
  fs::create_directories(world.root / "moved");
  fs::copy(paths.state, world.root / "moved/.nines", fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  CHECK(find_paths(world.root / "moved/nines.yaml", "").value().run != paths.run);
  // After a reboot the link leads nowhere.
  fs::remove_all(paths.run);
  CHECK(find_paths("nines.yaml", "").value().run != paths.run);
}

TEST_CASE("paths: somebody else's run folder is refused") {
  const World world;
  const Paths paths = find_paths("nines.yaml", "").value();
  fs::create_directories(world.root / "elsewhere");
  fs::create_symlink(world.root / "elsewhere", paths.run);
  CHECK(make_folders(paths).error().code() == Code::kExists);
  fs::remove(paths.run);
  std::ofstream(paths.run) << "a file";
  CHECK(make_folders(paths).error().code() == Code::kExists);
  fs::remove(paths.run);

  fs::create_directories(paths.run);
  fs::permissions(paths.run, fs::perms::all);
  REQUIRE(make_folders(paths));
  CHECK(mode_of(paths.run) == 0700);
  if (::geteuid() != 0) return;  // only root can give a folder away
  REQUIRE(::chown(paths.run.c_str(), 12345, 12345) == 0);
  const auto refused = make_folders(paths);
  REQUIRE(!refused);
  CHECK(refused.error().code() == Code::kRefused);
  CHECK(refused.error().text().contains("12345"));
  remove_run_folder(paths);
  CHECK(fs::exists(paths.run));
}

TEST_CASE("paths: what is in the way of the state folder is named") {
  const World world;
  std::ofstream(".nines") << "a file";
  const auto made = make_folders(find_paths("nines.yaml", "").value());
  REQUIRE(!made);
  CHECK(made.error().text().contains(".nines"));
}

TEST_CASE("paths: without a file, by folder and address") {
  const World world;
  const Paths paths = paths_without_file("", "127.0.0.1:8000").value();
  CHECK(paths.config_file.empty());
  CHECK(paths.folder == (world.root / "site").native());
  CHECK(paths.state.starts_with((world.root / "state/nines/site-").native()));
  CHECK(paths.state.ends_with("/127.0.0.1_8000"));
  CHECK(paths_without_file("", "[::1]:8000").value().state.ends_with("/___1__8000"));
  CHECK(paths_without_file("named", "127.0.0.1:8000").value().state == (world.root / "site/named").native());
  fs::current_path(world.root);
  CHECK(paths_without_file("", "127.0.0.1:8000").value().state != paths.state);
}

}  // namespace
}  // namespace nines::app
