#include "supervise/log_spool.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sched.h>

#include <atomic>
#include <csignal>

#include <doctest/doctest.h>

#include "supervise/log_pump.h"
#include "supervise/test_support.h"

namespace nines::supervise {
namespace {

using testing::eventually, testing::Folder, testing::read_all;

constexpr WallTime kAt{1'800'000'000s};

struct Scene {
  Folder folder;
  std::string log = folder / "log";
  Fd fifo = open_log_fifo(folder / "fifo").value();

  RotatingLog open(std::uint64_t max_bytes = 1 << 20, int max_files = 3) const {
    return RotatingLog::open({.path = log, .max_bytes = max_bytes, .max_files = max_files}).value();
  }
  LogSpool spool() const { return LogSpool::open(folder / "spool").value(); }
  void say(std::string_view text) const {
    REQUIRE(::write(fifo.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  void log_gets(std::string_view text) const {
    const Fd file(::open(log.c_str(), O_WRONLY | O_APPEND));
    REQUIRE(::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  void pump(std::uint64_t max_bytes = 1 << 20, int max_files = 3) const {
    LogPump pump(Fd(::fcntl(fifo.get(), F_DUPFD_CLOEXEC, 3)), spool(), open(max_bytes, max_files), kAt);
    while (pump.pump(kAt)) {
    }
  }
  // Oldest first.
  std::string logged(int files = 3) const {
    std::string all;
    for (int n = files - 1; n > 0; --n) all += read_all(log + "." + std::to_string(n));
    return all + read_all(log);
  }
};

TEST_CASE("spool: a reader that dies after any step leaves each byte once, whatever comes after it") {
  struct Row {
    std::string why;
    std::string wanted;
    // What a reader did before it was killed; the pipe has "a\nb\n", the log "old\n".
    void (*steps)(LogSpool&, RotatingLog&, const Scene&);
  };
  const Row rows[] = {
      {"nothing", "old\na\nb\na\nb\n", [](LogSpool&, RotatingLog&, const Scene&) {}},
      {"took them", "old\na\nb\na\nb\n",
       [](LogSpool& s, RotatingLog&, const Scene& scene) { s.take(scene.fifo.get()); }},
      {"was about to write", "old\na\nb\na\nb\n",
       [](LogSpool& s, RotatingLog& log, const Scene& scene) {
         s.take(scene.fifo.get());
         s.writing(log.place());
       }},
      {"wrote a part", "old\na\nb\na\nb\n",
       [](LogSpool& s, RotatingLog& log, const Scene& scene) {
         s.take(scene.fifo.get());
         s.writing(log.place());
         scene.log_gets("a");
       }},
      {"wrote all", "old\na\nb\na\nb\n",
       [](LogSpool& s, RotatingLog& log, const Scene& scene) {
         s.take(scene.fifo.get());
         s.writing(log.place());
         scene.log_gets("a\nb\n");
       }},
      {"wrote one of two pieces", "old\na\nb\na\nb\n",
       [](LogSpool& s, RotatingLog& log, const Scene& scene) {
         s.take(scene.fifo.get());
         s.writing(log.place());
         scene.log_gets("a\n");
         s.wrote(2);
       }},
      {"and then made another log", "old\na\nb\na\nb\n",
       [](LogSpool& s, RotatingLog& log, const Scene& scene) {
         s.take(scene.fifo.get());
         s.writing(log.place());
         scene.log_gets("a\n");
         s.wrote(2);
         std::filesystem::rename(scene.log, scene.log + ".1");
       }},
      {"and was about to write into that", "old\na\nb\na\nb\n",
       [](LogSpool& s, RotatingLog& log, const Scene& scene) {
         s.take(scene.fifo.get());
         s.writing(log.place());
         scene.log_gets("a\n");
         s.wrote(2);
         std::filesystem::rename(scene.log, scene.log + ".1");
         s.writing(RotatingLog::open({.path = scene.log}).value().place());
       }},
      {"and wrote into that", "old\na\nb\na\nb\n",
       [](LogSpool& s, RotatingLog& log, const Scene& scene) {
         s.take(scene.fifo.get());
         s.writing(log.place());
         scene.log_gets("a\n");
         s.wrote(2);
         std::filesystem::rename(scene.log, scene.log + ".1");
         s.writing(RotatingLog::open({.path = scene.log}).value().place());
         scene.log_gets("b");
       }},
      {"had done", "old\na\nb\na\nb\n",
       [](LogSpool& s, RotatingLog& log, const Scene& scene) {
         log.append(s.take(scene.fifo.get()), kAt, &s);
         s.clear();
       }},
      {"wrote, and somebody put another log in the place of that", "another log\na\nb\na\nb\n",
       [](LogSpool& s, RotatingLog& log, const Scene& scene) {
         s.take(scene.fifo.get());
         s.writing(log.place());
         scene.log_gets("a\nb\n");
         std::filesystem::rename(scene.log, scene.folder / "taken-away");
         scene.folder.file("log", "another log\n");
       }},
      {"wrote, and somebody emptied the log", "a\nb\na\nb\n",
       [](LogSpool& s, RotatingLog& log, const Scene& scene) {
         s.take(scene.fifo.get());
         s.writing(log.place());
         std::filesystem::resize_file(scene.log, 0);
       }},
  };
  for (const Row& row : rows) {
    CAPTURE(row.why);
    const Scene scene;
    scene.folder.file("log", "old\n");
    scene.say("a\nb\n");
    {
      LogSpool spool = scene.spool();
      RotatingLog log = scene.open();
      REQUIRE(spool.left(log.place()).empty());
      row.steps(spool, log, scene);
    }
    scene.say("a\nb\n");  // the same again: what is there cannot be told by its text
    scene.pump();
    CHECK(scene.logged() == row.wanted);
    scene.pump();
    CHECK(scene.logged() == row.wanted);
  }
}

TEST_CASE("spool: what is no spool, or cut, is begun anew") {
  for (const std::string& damage : {std::string(), std::string("x"), std::string(100, 'x'), std::string(40, '\0')}) {
    CAPTURE(damage.size());
    const Scene scene;
    scene.folder.file("spool", damage);
    scene.say("a\n");
    scene.pump();
    CHECK(scene.logged() == "a\n");
  }
  const Scene scene;
  std::filesystem::create_directory(scene.folder / "spool");
  CHECK_FALSE(LogSpool::open(scene.folder / "spool"));
}

TEST_CASE("spool: without a file, output is logged all the same") {
  const Scene scene;
  LogPump pump(Fd(::fcntl(scene.fifo.get(), F_DUPFD_CLOEXEC, 3)), LogSpool(), scene.open(), kAt);
  scene.say("a\nb\n");
  CHECK_FALSE(pump.pump(kAt));
  CHECK(scene.logged() == "a\nb\n");
}

// In a child that runs until it is told to stop: nobody would, if its parent were gone.
void end_with(pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
}

[[noreturn]] void pump_for_ever(const Scene& scene, std::uint64_t max_bytes, int max_files) {
  LogPump pump(open_log_fifo(scene.folder / "fifo").value(), scene.spool(), scene.open(max_bytes, max_files), kAt);
  while (true) {
    if (!pump.pump(kAt)) ::sched_yield();
  }
}

constexpr int kReaders = 40;
constexpr std::uint64_t kLinesForEach = 5'000;
constexpr std::uint64_t kLines = kReaders * kLinesForEach;

// As many as are asked for, not more: however slow a reader is, there is something to do for the one after it.
[[noreturn]] void write_lines(const Scene& scene, const std::atomic<std::uint64_t>& asked) {
  const Fd pipe = open_log_fifo_writer(scene.folder / "fifo").value();
  for (std::uint64_t i = 0; i < kLines; ++i) {
    while (i >= asked) ::sched_yield();
    const std::string line = std::to_string(i) + "\n";
    if (::write(pipe.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size())) ::_exit(1);
  }
  ::_exit(0);
}

// Memory that a child shares.
struct Shared {
  std::atomic<std::uint64_t>* number = static_cast<std::atomic<std::uint64_t>*>(
      ::mmap(nullptr, sizeof *number, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  Shared() { REQUIRE(number != MAP_FAILED); }
  ~Shared() { ::munmap(number, sizeof *number); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
};

// The real thing: one reader after another, each killed wherever it happens to be.
TEST_CASE("spool: killed readers lose no line and double none, over rotations") {
  constexpr std::uint64_t kFileBytes = 40 * 1024;  // smaller than a piece
  constexpr int kFiles = 128;                      // enough for all, and for a file that a kill left short
  const Scene scene;
  const Shared asked;
  const pid_t self = ::getpid(), replica = ::fork();
  if (replica == 0) end_with(self), write_lines(scene, *asked.number);
  std::uint64_t size = 0;
  for (int i = 0; i < kReaders; ++i) {
    *asked.number += kLinesForEach;
    const pid_t reader = ::fork();
    if (reader == 0) end_with(self), pump_for_ever(scene, kFileBytes, kFiles);
    CHECK(eventually([&] {
      const auto before = std::exchange(size, scene.logged(kFiles).size());
      return size != before;
    }));
    ::kill(reader, SIGKILL);
    REQUIRE(::waitpid(reader, nullptr, 0) == reader);
  }
  // What is still in the pipe goes into files of the same size: fewer or larger ones would throw the oldest away.
  const pid_t reader = ::fork();
  if (reader == 0) end_with(self), pump_for_ever(scene, kFileBytes, kFiles);
  int status = -1;
  REQUIRE(::waitpid(replica, &status, 0) == replica);
  CHECK(status == 0);
  ::kill(reader, SIGKILL);
  REQUIRE(::waitpid(reader, nullptr, 0) == reader);
  scene.pump(kFileBytes, kFiles);
  const std::string all = scene.logged(kFiles);
  std::string_view rest = all;
  for (std::uint64_t i = 0; i < kLines; ++i) {
    const std::string line = std::to_string(i) + "\n";
    REQUIRE(rest.substr(0, line.size()) == line);
    rest.remove_prefix(line.size());
  }
  CHECK(rest.empty());
}

}  // namespace
}  // namespace nines::supervise
