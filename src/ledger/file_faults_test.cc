// The keeper stopped at every write, sync and truncation of a scripted life: by an end of the process, in the middle of
// the write, or by a power loss that takes any of what was not synced. After each the record opens, is whole, and has
// all that was acknowledged.
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "base/fd.h"
#include "base/random.h"
#include "ledger/test_support.h"

namespace nines::ledger {
namespace {

using namespace testing;
using nines::testing::Folder;

enum class Fault { kStop, kTorn, kPower };

// Below SQLite, in a process that will be stopped: passes everything on, counts what changes a file, and knows what of
// it is not on the disk yet.
class Disk {
 public:
  static void install(Fault fault, int stop_at, std::uint64_t seed);

  struct File : sqlite3_file {
    std::string* path;
    sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
  };

 private:
  struct Unsynced {
    std::string path;
    sqlite3_int64 offset = 0;
    std::string before;
  };

  static File& of(sqlite3_file* file) { return static_cast<File&>(*file); }
  static sqlite3_file* real(sqlite3_file* file) { return of(file).real(); }

  // True: this is the one that does not happen.
  bool counted() { return ++count_ == stop_at_; }
  [[noreturn]] void stop();
  void remember(sqlite3_file* file, sqlite3_int64 offset, std::size_t size);
  static int open(sqlite3_vfs*, const char* path, sqlite3_file* file, int flags, int* out);
  static int write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 offset);
  static int truncate(sqlite3_file* file, sqlite3_int64 size);
  static int sync(sqlite3_file* file, int flags);
  static int close(sqlite3_file* file);
  static const sqlite3_io_methods& methods();

  sqlite3_vfs vfs_{};
  sqlite3_vfs* under_ = nullptr;
  Fault fault_{};
  int stop_at_ = 0, count_ = 0;
  Random random_{0};
  std::vector<Unsynced> unsynced_;
  static Disk* disk_;
};
Disk* Disk::disk_ = nullptr;

void Disk::install(Fault fault, int stop_at, std::uint64_t seed) {
  disk_ = new Disk;
  disk_->fault_ = fault;
  disk_->stop_at_ = stop_at;
  disk_->random_ = Random(seed);
  disk_->under_ = sqlite3_vfs_find(nullptr);
  disk_->vfs_ = *disk_->under_;
  disk_->vfs_.szOsFile += static_cast<int>(sizeof(File));
  disk_->vfs_.zName = "faulty";
  disk_->vfs_.pNext = nullptr;
  disk_->vfs_.xOpen = open;
  sqlite3_vfs_register(&disk_->vfs_, 1);
}

void Disk::stop() {
  if (fault_ == Fault::kPower) {
    for (auto one = unsynced_.rbegin(); one != unsynced_.rend(); ++one) {
      if (random_.below(2) == 0) continue;  // it had reached the disk all the same
      const Fd file(::open(one->path.c_str(), O_RDWR | O_CLOEXEC));
      if (::pwrite(file.get(), one->before.data(), one->before.size(), one->offset) < 0) ::_exit(99);
    }
  }
  ::_exit(9);
}

// Where a file ended, zeros were: as on a file system that has made room and not yet written.
void Disk::remember(sqlite3_file* file, sqlite3_int64 offset, std::size_t size) {
  std::string before(size, '\0');
  (void)real(file)->pMethods->xRead(real(file), before.data(), static_cast<int>(size), offset);
  unsynced_.push_back({*of(file).path, offset, std::move(before)});
}

int Disk::open(sqlite3_vfs*, const char* path, sqlite3_file* file, int flags, int* out) {
  const int opened = disk_->under_->xOpen(disk_->under_, path, real(file), flags, out);
  file->pMethods = real(file)->pMethods != nullptr ? &methods() : nullptr;
  of(file).path = new std::string(path != nullptr ? path : "");
  return opened;
}

int Disk::write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 offset) {
  const bool last = disk_->counted();
  if (last && disk_->fault_ != Fault::kTorn) disk_->stop();
  disk_->remember(file, offset, static_cast<std::size_t>(size));
  const int written = real(file)->pMethods->xWrite(real(file), bytes, last ? size / 2 : size, offset);
  if (last) disk_->stop();
  return written;
}

int Disk::truncate(sqlite3_file* file, sqlite3_int64 size) {
  if (disk_->counted()) disk_->stop();
  sqlite3_int64 present = 0;
  (void)real(file)->pMethods->xFileSize(real(file), &present);
  if (present > size) disk_->remember(file, size, static_cast<std::size_t>(present - size));
  return real(file)->pMethods->xTruncate(real(file), size);
}

int Disk::sync(sqlite3_file* file, int) {
  if (disk_->counted()) disk_->stop();
  std::erase_if(disk_->unsynced_, [&](const Unsynced& one) { return one.path == *of(file).path; });
  return SQLITE_OK;
}

int Disk::close(sqlite3_file* file) {
  delete of(file).path;
  return real(file)->pMethods->xClose(real(file));
}

const sqlite3_io_methods& Disk::methods() {
  static const sqlite3_io_methods kMethods = {
      .iVersion = 2,
      .xClose = close,
      .xRead = [](sqlite3_file* f, void* to, int size,
                  sqlite3_int64 at) { return real(f)->pMethods->xRead(real(f), to, size, at); },
      .xWrite = write,
      .xTruncate = truncate,
      .xSync = sync,
      .xFileSize = [](sqlite3_file* f, sqlite3_int64* size) { return real(f)->pMethods->xFileSize(real(f), size); },
      .xLock = [](sqlite3_file* f, int level) { return real(f)->pMethods->xLock(real(f), level); },
      .xUnlock = [](sqlite3_file* f, int level) { return real(f)->pMethods->xUnlock(real(f), level); },
      .xCheckReservedLock = [](sqlite3_file* f,
                               int* out) { return real(f)->pMethods->xCheckReservedLock(real(f), out); },
      .xFileControl = [](sqlite3_file* f, int what,
                         void* with) { return real(f)->pMethods->xFileControl(real(f), what, with); },
      .xSectorSize = [](sqlite3_file* f) { return real(f)->pMethods->xSectorSize(real(f)); },
      .xDeviceCharacteristics = [](sqlite3_file* f) { return real(f)->pMethods->xDeviceCharacteristics(real(f)); },
      .xShmMap = [](sqlite3_file* f, int page, int size, int extend,
                    void volatile** at) { return real(f)->pMethods->xShmMap(real(f), page, size, extend, at); },
      .xShmLock = [](sqlite3_file* f, int at, int n,
                     int flags) { return real(f)->pMethods->xShmLock(real(f), at, n, flags); },
      .xShmBarrier = [](sqlite3_file* f) { real(f)->pMethods->xShmBarrier(real(f)); },
      .xShmUnmap = [](sqlite3_file* f, int remove) { return real(f)->pMethods->xShmUnmap(real(f), remove); },
  };
  return kMethods;
}

// As far as a call returned.
struct Acknowledged {
  std::uint64_t number = 0;  // events
  std::int64_t until = 0;    // slices
};
constexpr std::int64_t kBegin = 20'000 * 86'400LL;

[[noreturn]] void keep(const std::string& path, int acknowledge) {
  const auto check = [](bool done) {
    if (!done) ::_exit(2);
  };
  Acknowledged acknowledged{.until = kBegin};
  const auto tell = [&] { check(::write(acknowledge, &acknowledged, sizeof acknowledged) == sizeof acknowledged); };
  const auto sampled = [](std::int64_t until) { return Sampled{.table_id = 7, .until = until, .boot_id = "boot"}; };
  for (int life = 0; life < 2; ++life) {
    auto ledger = Ledger::open(path);
    check(ledger.has_value());
    for (int turn = 0; turn < 3; ++turn) {
      check(ledger->append(events(acknowledged.number + 1, acknowledged.number + 40)).has_value());
      acknowledged.number += 40;
      tell();
      std::vector<Slice> slices;
      for (int i = 0; i < 4; ++i, acknowledged.until += 10)
        slices.push_back({.start = acknowledged.until, .good = 1, .up = 10, .latency = {{3, 1}}});
      check(ledger->add(slices, sampled(acknowledged.until)).has_value());
      tell();
    }
    const Stretch gone{.from = acknowledged.until, .to = acknowledged.until + 3600};
    const auto reached = ledger->fill(gone, sampled(0), {"boot", Instant{}, WallTime(std::chrono::seconds(gone.to))});
    check(reached && *reached == gone.to);
    acknowledged.until = gone.to;
    tell();
    check(ledger->prune({.max_rows = 60, .min_rows = 10}, moment(1000)).has_value());
  }
  ::_exit(0);
}

struct End {
  Acknowledged acknowledged;
  int status = 0;
};

End live(const std::string& path, Fault fault, int stop_at, std::uint64_t seed) {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  Fd out(ends[0]), in(ends[1]);
  const pid_t child = ::fork();
  if (child == 0) {
    Disk::install(fault, stop_at, seed);
    keep(path, in.get());
  }
  in.reset();
  End end{.acknowledged = {.until = kBegin}};
  while (::read(out.get(), &end.acknowledged, sizeof end.acknowledged) == sizeof end.acknowledged) {
  }
  ::waitpid(child, &end.status, 0);
  return end;
}

TEST_CASE("crash: stopped at every write, the record is whole and has what was acknowledged") {
  const std::uint64_t seed = 20261127;
  CAPTURE(seed);
  for (const Fault fault : {Fault::kStop, Fault::kTorn, Fault::kPower}) {
    CAPTURE(static_cast<int>(fault));
    int stops = 0;
    for (int stop_at = 1;; stop_at += fault == Fault::kPower ? 1 : 3) {  // the first two differ little
      CAPTURE(stop_at);
      const Folder folder;
      const std::string path = folder / "ledger.db";
      const End end = live(path, fault, stop_at, seed + static_cast<std::uint64_t>(stop_at));
      REQUIRE(WIFEXITED(end.status));
      if (WEXITSTATUS(end.status) == 0) break;
      REQUIRE(WEXITSTATUS(end.status) == 9);
      ++stops;
      if (fault == Fault::kPower) ::unlink((path + "-shm").c_str());  // it is no file that is kept
      Ledger ledger = must(Ledger::open(path));
      CHECK(broken(must(ledger.verify())) == "whole");
      const std::uint64_t position = must(ledger.position(kTable));
      CHECK(position >= end.acknowledged.number);
      const Reader reader = must(Reader::open(path));
      CHECK(must(reader.check_slices()).value_or(SliceBreak{}).why == "");
      const auto sampled = must(ledger.sampled(7));
      const std::int64_t until = sampled ? sampled->until : kBegin;
      CHECK(until >= end.acknowledged.until);
      CHECK(must(reader.total(kBegin, until)).sum.known() == static_cast<std::uint64_t>(until - kBegin));
      CHECK(ledger.append(events(position + 1, position + 1)));  // and it goes on
    }
    MESSAGE("stopped at " << stops << " places");
    CHECK(stops > 50);
  }
}

}  // namespace
}  // namespace nines::ledger
