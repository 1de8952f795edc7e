// SQLite's write-ahead log: how many frames belong to it, and how many are committed, as a plain second reading of the
// whole says. Input: a byte that says how many frames get checksums that fit, since those cannot be found by chance;
// then the log.
#include <cstdint>
#include <string>

#include "backup/continuous/wal.h"
#include "report.h"

namespace nines::fuzz {
namespace {

namespace continuous = backup::continuous;

struct Sum {
  std::uint32_t a = 0, b = 0;
};

std::uint32_t read_word(const std::string& log, std::size_t at, bool big) {
  const auto byte = [&](std::size_t i) { return std::uint32_t{static_cast<unsigned char>(log[at + i])}; };
  return big ? byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3)
             : byte(3) << 24 | byte(2) << 16 | byte(1) << 8 | byte(0);
}

void add(Sum& sum, const std::string& log, std::size_t at, std::size_t size, bool big) {
  for (std::size_t end = at + size; at < end; at += 8) {
    sum.a += read_word(log, at, big) + sum.b;
    sum.b += read_word(log, at + 4, big) + sum.a;
  }
}

void put(std::string& log, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) log[at + i] = static_cast<char>(value >> (24 - 8 * i));
}

void put(std::string& log, std::size_t at, Sum sum) {
  put(log, at, sum.a);
  put(log, at + 4, sum.b);
}

bool is_there(const std::string& log, std::size_t at, Sum sum) {
  return read_word(log, at, true) == sum.a && read_word(log, at + 4, true) == sum.b;
}

struct Reading {
  std::uint64_t frames = 0, committed = 0;
  bool operator==(const Reading&) const = default;
};

// Walks the log; while `fitting` lasts it writes the checksums and salts instead of judging them.
Reading read_plainly(std::string& log, unsigned fitting) {
  if (log.size() < 32) return {};
  const std::uint32_t magic = read_word(log, 0, true), page = read_word(log, 8, true);
  if (magic != 0x377f0682 && magic != 0x377f0683) return {};
  const bool big = magic == 0x377f0683;
  Sum sum;
  add(sum, log, 0, 24, big);
  if (fitting > 0) put(log, 24, sum);
  if (!is_there(log, 24, sum) || read_word(log, 4, true) != 3007000) return {};
  bool known = false;
  for (std::uint32_t size = 512; size <= 65536; size *= 2) known = known || size == page;
  if (!known) return {};
  Reading reading;
  for (std::size_t at = 32; log.size() - at >= 24 + page; at += 24 + page) {
    if (reading.frames + 1 < fitting) {
      put(log, at + 8, read_word(log, 16, true));
      put(log, at + 12, read_word(log, 20, true));
    }
    add(sum, log, at, 8, big);
    add(sum, log, at + 24, page, big);
    if (reading.frames + 1 < fitting) put(log, at + 16, sum);
    const bool ours = log.compare(at + 8, 8, log, 16, 8) == 0 && read_word(log, at, true) != 0;
    if (!ours || !is_there(log, at + 16, sum)) break;
    ++reading.frames;
    if (read_word(log, at + 4, true) != 0) reading.committed = reading.frames;
  }
  return reading;
}

Reading scan(const std::string& log) {
  const auto header = continuous::parse_wal_header(log);
  if (!header) return {};
  continuous::WalScanner scanner(*header, continuous::start_of(*header));
  const std::size_t size = continuous::kFrameHeaderBytes + header->page_size;
  for (std::size_t at = continuous::kWalHeaderBytes; at <= log.size(); at += size) {
    const auto bytes = std::string_view(log).substr(at, size);
    const auto frame = scanner.next(bytes);
    if (!frame) break;
    if (frame->content.size() != header->page_size || !continuous::is_last_frame(bytes, scanner.place()))
      report("a frame that is not where it should be", log);
  }
  return {scanner.place().frames, scanner.committed().frames};
}

}  // namespace
}  // namespace nines::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string log(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto plain = nines::fuzz::read_plainly(log, data[0]);
  if (!(nines::fuzz::scan(log) == plain)) nines::fuzz::report("two readings of one log", log);
  return 0;
}
