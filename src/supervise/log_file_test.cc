#include "supervise/log_file.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cerrno>

#include <doctest/doctest.h>

#include "base/random.h"
#include "supervise/test_support.h"

namespace nines::supervise {
namespace {

using testing::Folder, testing::read_all, testing::Running, testing::shell;
using Lines = std::vector<std::string>;

constexpr WallTime kAt{1'800'000'000s};

RotatingLog open_log(const std::string& path, std::uint64_t max_bytes, int max_files) {
  return RotatingLog::open({.path = path, .max_bytes = max_bytes, .max_files = max_files}).value();
}

// All generations, oldest first.
std::string everything(const std::string& path, int files) {
  std::string all;
  for (int generation = files - 1; generation > 0; --generation)
    all += read_all(path + "." + std::to_string(generation));
  return all + read_all(path);
}

TEST_CASE("log: files are cut between lines, never larger than allowed, the oldest goes") {
  const Folder folder;
  const std::string path = folder / "log";
  RotatingLog log = open_log(path, 10, 3);
  for (const std::string line : {"one\n", "two\n", "three\n", "four\n", "five\n", "six\n", "seven\n"})
    log.append(line, kAt);
  CHECK(read_all(path) == "six\nseven\n");
  CHECK(read_all(path + ".1") == "four\nfive\n");
  CHECK(read_all(path + ".2") == "three\n");
  CHECK_FALSE(std::filesystem::exists(path + ".3"));
  log.append("a\nb\nc\nd\ne\nf\ng\n", kAt);  // one chunk, several lines
  CHECK(read_all(path) == "f\ng\n");
  CHECK(read_all(path + ".1") == "a\nb\nc\nd\ne\n");
  CHECK(read_all(path + ".2") == "six\nseven\n");
  log.append("hhh\niiii\njj\n", kAt);  // cut at the line, not where the file is full
  CHECK(read_all(path) == "iiii\njj\n");
  CHECK(read_all(path + ".1") == "f\ng\nhhh\n");
  log.append("0123456789abcdefghijXY\n", kAt);  // a line no file can hold is cut
  CHECK(everything(path, 3) == "0123456789abcdefghijXY\n");
  CHECK(log.dropped_bytes() == 0);
}

TEST_CASE("log: with one file, that file begins anew") {
  const Folder folder;
  RotatingLog log = open_log(folder / "log", 10, 1);
  for (const std::string line : {"one\n", "two\n", "three\n"}) log.append(line, kAt);
  CHECK(read_all(folder / "log") == "three\n");
}

TEST_CASE("log: what was there is continued") {
  const Folder folder;
  const std::string path = folder.file("log", "from before\n");
  open_log(path, 20, 3).append("and now\n", kAt);
  CHECK(read_all(path) == "from before\nand now\n");
  open_log(path, 20, 3).append("full\n", kAt);
  CHECK(read_all(path + ".1") == "from before\nand now\n");
}

TEST_CASE("log: no byte is lost, doubled or out of order over any rotation") {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    const Folder folder;
    const std::string path = folder / "log";
    constexpr int kFiles = 160;  // enough for all
    const std::uint64_t max_bytes = 16 + random.below(60);
    std::optional<RotatingLog> log = open_log(path, max_bytes, kFiles);
    std::string written;
    for (int i = 0; i < 60; ++i) {
      std::string chunk;
      for (auto length = random.below(40); length > 0; --length)
        chunk += random.below(6) == 0 ? '\n' : static_cast<char>('a' + random.below(26));
      if (random.below(10) == 0) log = open_log(path, max_bytes, kFiles);  // a new reader
      log->append(chunk, kAt);
      written += chunk;
    }
    REQUIRE(everything(path, kFiles) == written);
    for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
      REQUIRE(entry.file_size() <= max_bytes);
    REQUIRE(log->dropped_bytes() == 0);
  }
}

TEST_CASE("log: a removed file is made anew") {
  const Folder folder;
  RotatingLog log = open_log(folder / "log", 100, 3);
  log.append("gone\n", kAt);
  std::filesystem::remove(folder / "log");
  log.append("here\n", kAt);
  CHECK(read_all(folder / "log") == "here\n");
}

TEST_CASE("log: a rotation that fails drops with a count, and works again later") {
  const Folder folder;
  const std::string path = folder / "log";
  RotatingLog log = open_log(path, 50, 3);
  const std::string line(49, 'x');
  log.append(line + "\n", kAt);
  std::filesystem::create_directory(path + ".new");  // in the way
  log.append("lost\n", kAt);
  CHECK(log.dropped_bytes() == 5);
  log.append("lost too\n", kAt);
  CHECK(log.dropped_bytes() == 14);
  CHECK(read_all(path) == line + "\n");
  std::filesystem::remove(path + ".new");
  log.append("back\n", kAt);
  CHECK(log.dropped_bytes() == 14);
  const std::string all = everything(path, 3);
  CHECK(all.contains("14 bytes of output dropped"));
  CHECK(all.ends_with("\nback\n"));
  CHECK(all.find("dropped") == all.rfind("dropped"));  // said once
}

TEST_CASE("log: half a rotation is completed by the next") {
  const Folder folder;
  const std::string path = folder / "log";
  RotatingLog log = open_log(path, 10, 3);
  log.append("12345678\n", kAt);
  std::filesystem::rename(path, path + ".1");  // as if the second rename had failed
  log.append("abcdefgh\n", kAt);
  CHECK(log.dropped_bytes() == 0);
  CHECK(read_all(path) == "abcdefgh\n");
}

// A file system of 64 KiB, in a namespace of its own. Returns 42 where that is not allowed.
int play_full_disk(const std::string& folder) {
  if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return 42;
  if (::mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=64k") != 0) return 42;
  RotatingLog log = open_log(folder + "/log", 1 << 20, 3);
  const std::string line = std::string(999, 'x') + "\n";
  for (int i = 0; i < 100; ++i) log.append(line, kAt);
  if (log.dropped_bytes() == 0 || log.dropped_bytes() >= 100'000) return 1;
  const auto dropped = log.dropped_bytes();
  const auto kept = std::filesystem::file_size(folder + "/log");
  if (kept + dropped != 100'000) return 2;
  if (::mount("tmpfs", folder.c_str(), "tmpfs", MS_REMOUNT, "size=1m") != 0) return 42;
  log.append("room again\n", kAt);
  if (log.dropped_bytes() != dropped) return 3;
  const std::string text = read_all(folder + "/log").substr(kept);
  if (!text.contains("[nines: " + std::to_string(dropped) + " bytes of output dropped")) return 4;
  if (!text.ends_with("]\nroom again\n")) return 5;
  return (kept % 1000 == 0) == text.starts_with("[") ? 0 : 6;  // the notice has a line of its own
}

TEST_CASE("log: a full disk drops with a count, and says so once there is room") {
  const Folder folder;
  const pid_t tester = ::fork();
  if (tester == 0) ::_exit(play_full_disk(folder.path()));
  int status = 0;
  REQUIRE(::waitpid(tester, &status, 0) == tester);
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 42) {
    MESSAGE("left out: needs the right to mount");
    return;
  }
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("log: what cannot be opened is an error at once") {
  const Folder folder;
  CHECK_FALSE(RotatingLog::open({.path = folder / "no/such/folder/log"}));
  const auto fifo = open_log_fifo(folder / "fifo");
  const auto refused = RotatingLog::open({.path = folder / "fifo"});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Code::kExists);
}

TEST_CASE("log: a notice does not run into half a line") {
  const Folder folder;
  const std::string path = folder / "log";
  RotatingLog log = open_log(path, 50, 3);
  log.append(std::string(40, 'x'), kAt);
  std::filesystem::create_directory(path + ".new");
  log.append("lost, for it would need a new file\n", kAt);
  std::filesystem::remove(path + ".new");
  log.append("back\n", kAt);
  CHECK(everything(path, 3).contains("x\n[nines: "));
}

TEST_CASE("tail: the last lines, oldest first") {
  const Folder folder;
  struct Row {
    std::string why;
    std::string content;
    std::size_t count;
    Lines lines;
  };
  const Row rows[] = {
      {"nothing there", "", 3, {}},
      {"fewer than asked", "a\nb\n", 3, {"a", "b"}},
      {"the last of many", "a\nb\nc\nd\n", 2, {"c", "d"}},
      {"a line that is not finished counts", "a\nb", 1, {"b"}},
      {"empty lines are lines", "a\n\n\n", 2, {"", ""}},
      {"none", "a\n", 0, {}},
      {"one empty line", "\n", 5, {""}},
      {"only the end of a huge line", std::string(1 << 20, 'x') + "\nend\n", 5, {"end"}},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    CHECK(tail_lines(folder.file("log", row.content), row.count).value() == row.lines);
  }
  const auto huge = tail_lines(folder.file("log", std::string(1 << 20, 'x')), 5).value();
  REQUIRE(huge.size() == 1);
  CHECK(huge.front() == std::string(256 * 1024, 'x'));
  CHECK(tail_lines(folder / "none", 5).error().code() == Code::kNotFound);
}

TEST_CASE("tail: continues into the file before") {
  const Folder folder;
  folder.file("log.1", "a\nb\nc\n");
  CHECK(tail_lines(folder.file("log", "d\n"), 3).value() == Lines{"b", "c", "d"});
  CHECK(tail_lines(folder.file("log", ""), 2).value() == Lines{"b", "c"});
  CHECK(tail_lines(folder.file("log", "d\ne\n"), 2).value() == Lines{"d", "e"});
  CHECK(tail_lines(folder / "log", 99).value() == Lines{"a", "b", "c", "d", "e"});
}

TEST_CASE("tail: makes no jump over what it did not read") {
  const Folder folder;
  folder.file("log.1", "far away\n");
  const std::string line(100'000, 'x');
  CHECK(tail_lines(folder.file("log", line + "\n" + line + "\n" + line + "\n"), 9).value() == Lines{line, line});
}

TEST_CASE("fifo: what a replica writes survives every reader") {
  const Folder folder;
  const std::string path = folder / "fifo";
  Command command = shell("echo before; echo more; read x </dev/null; echo after");
  {
    const auto first_reader = open_log_fifo(path);
    REQUIRE(first_reader);
    char byte;
    CHECK(::read(first_reader->get(), &byte, 1) == -1);  // neither end of file nor waiting
    CHECK(errno == EAGAIN);
  }
  const auto writer = open_log_fifo_writer(path);
  REQUIRE(writer);
  CHECK((::fcntl(writer->get(), F_GETFL) & O_NONBLOCK) == 0);
  CHECK((::fcntl(writer->get(), F_GETFD) & FD_CLOEXEC) != 0);
  command.log = writer->get();
  Running replica(spawn(command));
  CHECK(replica.wait() == Exit{Exit::Kind::kStatus, 0, false});  // no SIGPIPE though nobody reads

  const auto next_reader = open_log_fifo(path);
  REQUIRE(next_reader);
  CHECK((::fcntl(next_reader->get(), F_GETFL) & O_NONBLOCK) != 0);
  CHECK((::fcntl(next_reader->get(), F_GETFD) & FD_CLOEXEC) != 0);
  char buffer[100];
  const auto size = ::read(next_reader->get(), buffer, sizeof buffer);
  REQUIRE(size > 0);
  CHECK(std::string(buffer, static_cast<std::size_t>(size)) == "before\nmore\nafter\n");
}

TEST_CASE("fifo: something else in its place is refused, and left alone") {
  const Folder folder;
  const std::string path = folder.file("log", "precious\n");
  const auto refused = open_log_fifo(path);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code() == Code::kExists);
  CHECK_FALSE(open_log_fifo_writer(path));
  CHECK(read_all(path) == "precious\n");
  REQUIRE(open_log_fifo(folder / "fifo"));
  std::filesystem::create_symlink(folder / "fifo", folder / "link");  // leads where somebody else may read
  CHECK_FALSE(open_log_fifo(folder / "link"));
  CHECK_FALSE(open_log_fifo(folder / "no/such/folder"));
  CHECK_FALSE(open_log_fifo_writer(folder / "not-made"));
}

}  // namespace
}  // namespace nines::supervise
