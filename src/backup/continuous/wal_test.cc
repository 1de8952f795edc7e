#include "backup/continuous/wal.h"

#include <doctest/doctest.h>

#include <map>

#include "backup/continuous/wal_file.h"
#include "backup/test_support.h"
#include "base/random.h"

namespace nines::backup::continuous {
namespace {

using testing::Folder;

void put_big_endian(std::string& bytes, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<char>(value >> (24 - 8 * i) & 0xff);
}

// A log as SQLite of either byte order would write it, made here from the format's description alone.
std::string make_log(bool big_endian, std::uint32_t page_size, const std::vector<std::uint32_t>& commit_sizes,
                     Random& random) {
  std::uint32_t s1 = 0, s2 = 0;
  const auto add = [&](std::string_view bytes) {
    for (std::size_t i = 0; i < bytes.size(); i += 8) {
      std::uint32_t words[2] = {};
      for (std::size_t w = 0; w < 2; ++w)
        for (std::size_t k = 0; k < 4; ++k)
          words[w] |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i + 4 * w + k]))
                      << (big_endian ? 24 - 8 * k : 8 * k);
      s1 += words[0] + s2;
      s2 += words[1] + s1;
    }
  };
  std::string log(32, '\0');
  put_big_endian(log, 0, big_endian ? 0x377f0683 : 0x377f0682);
  put_big_endian(log, 4, 3007000);
  put_big_endian(log, 8, page_size);
  put_big_endian(log, 16, 77);
  put_big_endian(log, 20, 0xdeadbeef);
  add(std::string_view(log).substr(0, 24));
  put_big_endian(log, 24, s1);
  put_big_endian(log, 28, s2);
  for (const std::uint32_t size : commit_sizes) {
    std::string frame(24 + page_size, '\0');
    for (std::size_t i = 24; i < frame.size(); ++i) frame[i] = static_cast<char>(random.next());
    put_big_endian(frame, 0, 1 + random.below(9));
    put_big_endian(frame, 4, size);
    put_big_endian(frame, 8, 77);
    put_big_endian(frame, 12, 0xdeadbeef);
    add(std::string_view(frame).substr(0, 8));
    add(std::string_view(frame).substr(24));
    put_big_endian(frame, 16, s1);
    put_big_endian(frame, 20, s2);
    log += frame;
  }
  return log;
}

struct Seen {
  std::uint64_t frames = 0, committed = 0;
};

Seen scan(const std::string& log) {
  const auto header = parse_wal_header(log);
  if (!header) return {};
  WalScanner scanner(*header, start_of(*header));
  const std::size_t size = kFrameHeaderBytes + header->page_size;
  for (std::size_t at = kWalHeaderBytes; at < log.size(); at += size) {
    const auto bytes = std::string_view(log).substr(at, size);
    if (!scanner.next(bytes)) break;
    REQUIRE(is_last_frame(bytes, scanner.place()));
  }
  return {scanner.place().frames, scanner.committed().frames};
}

TEST_CASE("both byte orders are read, every page size, and a transaction counts from its last frame on") {
  Random random(1);
  for (const bool big_endian : {false, true}) {
    for (std::uint32_t page_size = 512; page_size <= 65536; page_size *= 2) {
      CAPTURE(page_size);
      const std::string log = make_log(big_endian, page_size, {0, 0, 5, 6, 0}, random);
      REQUIRE(parse_wal_header(log)->big_endian_checksums == big_endian);
      const Seen seen = scan(log);
      CHECK(seen.frames == 5);
      CHECK(seen.committed == 4);
    }
  }
}

TEST_CASE("a header that is none is refused, and says why") {
  Random random(2);
  const std::string log = make_log(false, 512, {1}, random);
  const auto with = [&](std::size_t at, std::uint32_t value) {
    std::string bytes = log;
    put_big_endian(bytes, at, value);
    return parse_wal_header(bytes);
  };
  CHECK(parse_wal_header(log));
  CHECK(parse_wal_header(log.substr(0, 31)).error().code() == Code::kInvalid);
  CHECK(with(0, 0x377f0684).error().code() == Code::kInvalid);
  CHECK(with(4, 3007001).error().code() == Code::kInvalid);
  for (const std::uint32_t size : {0U, 1U, 256U, 513U, 131072U}) CHECK_FALSE(with(8, size));
  CHECK_FALSE(with(16, 78));  // the checksum covers the salts
}

TEST_CASE("property: damage anywhere ends the log there or before, and never makes a frame of it") {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    const std::uint32_t page_size = 512U << random.below(3);
    std::vector<std::uint32_t> commits;
    for (std::uint32_t n = 1 + random.below(12); n > 0; --n) commits.push_back(random.below(2) * 9);
    const std::string log = make_log(random.below(2) == 0, page_size, commits, random);
    std::string damaged = log;
    const std::size_t at = random.below(static_cast<std::uint32_t>(log.size()));
    const bool cut = random.below(3) == 0;
    if (cut) {
      damaged.resize(at);
    } else {
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << random.below(8)));
    }
    const std::uint64_t whole = at < 32 ? 0 : (at - 32) / (24 + page_size);
    const Seen seen = scan(damaged);
    // The checkpoint counter is covered by the checksum, too.
    CHECK(seen.frames == whole);
    CHECK(seen.committed <= whole);
  }
}

// What SQLite's own log says a page is: the latest committed frame of it.
struct LiveLog {
  WalHeader header;
  WalPlace place;
  std::map<std::uint32_t, std::string> pages;
};

LiveLog read_live(const std::string& database) {
  auto file = WalFile::open(database);
  REQUIRE(file);
  const auto header = file->header();
  REQUIRE(header);
  REQUIRE(*header);
  LiveLog log{.header = **header, .place = {}, .pages = {}};
  WalScanner scanner(log.header, start_of(log.header));
  std::map<std::uint32_t, std::string> open;
  while (true) {
    const auto bytes = file->frame(scanner.place().frames, log.header.page_size);
    REQUIRE(bytes);
    const auto frame = scanner.next(*bytes);
    if (!frame) break;
    open[frame->page] = frame->content;
    if (!frame->commits()) continue;
    for (auto& [page, content] : open) log.pages[page] = content;
    open.clear();
  }
  log.place = scanner.committed();
  return log;
}

struct Connection {
  explicit Connection(const std::string& path) {
    REQUIRE(sqlite3_open(path.c_str(), &db) == SQLITE_OK);
    run("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0");
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { sqlite3_close(db); }
  void run(const std::string& statements) const {
    const int code = sqlite3_exec(db, statements.c_str(), nullptr, nullptr, nullptr);
    CAPTURE(statements);
    REQUIRE(code == SQLITE_OK);
  }
  sqlite3* db = nullptr;
};

TEST_CASE("a log that SQLite wrote: its committed pages are what a checkpoint brings into the file") {
  const Folder folder;
  const std::string path = folder / "a.db";
  const Connection writer(path);
  writer.run("CREATE TABLE t (x)");
  for (int i = 0; i < 20; ++i) writer.run("INSERT INTO t VALUES (randomblob(3000))");
  // Spilled before its end and rolled back: whole frames that never committed.
  writer.run("PRAGMA cache_size=5; BEGIN; INSERT INTO t SELECT randomblob(3000) FROM t; ROLLBACK");
  const LiveLog log = read_live(path);
  WalIndex index;
  const WalIndexFile index_file(path);
  REQUIRE(index_file.read(index) == WalIndexState::kThere);
  CHECK(index.salt1 == log.header.salt1);
  CHECK(index.salt2 == log.header.salt2);
  CHECK(index.frames == log.place.frames);
  writer.run("PRAGMA wal_checkpoint(PASSIVE)");
  const std::string file = *storage::read_file(path, 1 << 24);
  REQUIRE(log.pages.size() > 10);
  for (const auto& [page, content] : log.pages) {
    CAPTURE(page);
    CHECK(file.substr(std::size_t{page - 1} * log.header.page_size, log.header.page_size) == content);
  }
}

TEST_CASE("a reset counts salt-1 up by one, and frames from before it are not read again") {
  const Folder folder;
  const std::string path = folder / "a.db";
  const Connection writer(path);
  writer.run("CREATE TABLE t (x); INSERT INTO t VALUES (randomblob(20000))");
  for (int i = 0; i < 3; ++i) {
    const LiveLog before = read_live(path);
    REQUIRE(before.place.frames > 1);
    writer.run("PRAGMA wal_checkpoint(RESTART); UPDATE t SET rowid = rowid");
    const LiveLog after = read_live(path);
    CHECK(after.header.salt1 == before.header.salt1 + 1);
    CHECK(after.header.salt2 != before.header.salt2);
    CHECK(after.place.frames < before.place.frames);
    writer.run("INSERT INTO t VALUES (randomblob(20000))");
  }
}

}  // namespace
}  // namespace nines::backup::continuous
