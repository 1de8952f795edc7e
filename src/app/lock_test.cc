#include "app/lock.h"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "app/control_client.h"
#include "base/test_support.h"

namespace nines::app {
namespace {

namespace fs = std::filesystem;

struct Folder : testing::Folder {
  std::string lock() const { return *this / "lock"; }
};

TEST_CASE("lock: one at a time, and the message names its holder") {
  const Folder folder;
  {
    const auto lock = StateLock::take(folder.lock());
    REQUIRE(lock);
    const auto second = StateLock::take(folder.lock());
    REQUIRE(!second);
    CHECK(second.error().code() == Code::kExists);
    CHECK(second.error().text() ==
          "already running, as pid " + std::to_string(::getpid()) + ": `nines status` shows it, `nines down` ends it");
    CHECK(holder_of(folder.lock()) == ::getpid());
  }
  CHECK(!holder_of(folder.lock()));
  CHECK(StateLock::take(folder.lock()));
}

TEST_CASE("lock: the pid in it is that of who signed last, and rubbish in it is no pid") {
  const Folder folder;
  std::ofstream(folder.lock()) << "a much longer text than any pid\n";
  auto lock = StateLock::take(folder.lock());
  REQUIRE(lock);
  CHECK(holder_of(folder.lock()) == ::getpid());
  std::ofstream(folder.lock()) << "x";
  CHECK(holder_of(folder.lock()) == 0);
  const auto taken = StateLock::take(folder.lock());
  REQUIRE(!taken);
  CHECK(taken.error().text().starts_with("already running: "));
  const Fd fd = std::move(*lock).release();
  sign_lock(fd.get());
  CHECK(holder_of(folder.lock()) == ::getpid());
}

TEST_CASE("lock: a file that was removed under its holder keeps nobody out of the new one") {
  const Folder folder;
  const auto old = StateLock::take(folder.lock());
  REQUIRE(old);
  fs::remove(folder.lock());
  CHECK(!holder_of(folder.lock()));
  CHECK(StateLock::take(folder.lock()));
}

TEST_CASE("lock: no folder, no lock") {
  const Folder folder;
  CHECK(StateLock::take(folder / "none/lock").error().code() == Code::kNotFound);
  CHECK(!holder_of(folder / "none/lock"));
}

}  // namespace
}  // namespace nines::app
