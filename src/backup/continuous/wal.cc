#include "backup/continuous/wal.h"

#include <string>

#include "backup/continuous/bytes.h"
#include "base/check.h"

namespace nines::backup::continuous {
namespace {

constexpr std::uint32_t kMagic = 0x377f0682;  // the lowest bit: checksums over big-endian words
constexpr std::uint32_t kVersion = 3007000;

std::uint32_t word(std::string_view bytes, std::size_t at, bool big_endian) {
  return big_endian ? big_endian_32(bytes, at) : little_endian<std::uint32_t>(bytes, at);
}

WalChecksum sum(WalChecksum from, std::string_view bytes, bool big_endian) {
  INVARIANT(bytes.size() % 8 == 0);
  for (std::size_t at = 0; at < bytes.size(); at += 8) {
    from.first += word(bytes, at, big_endian) + from.second;
    from.second += word(bytes, at + 4, big_endian) + from.first;
  }
  return from;
}

WalChecksum checksum_at(std::string_view bytes, std::size_t at) {
  return {big_endian_32(bytes, at), big_endian_32(bytes, at + 4)};
}

}  // namespace

bool is_page_size(std::uint64_t bytes) { return bytes >= 512 && bytes <= 65536 && (bytes & (bytes - 1)) == 0; }

Result<WalHeader> parse_wal_header(std::string_view bytes) {
  const auto no = [](const char* why) { return failure(Code::kInvalid, std::string("no write-ahead log: ") + why); };
  if (bytes.size() < kWalHeaderBytes) return no("shorter than its header");
  const std::uint32_t magic = big_endian_32(bytes, 0);
  if ((magic & ~1U) != kMagic) return no("it begins with something else");
  if (big_endian_32(bytes, 4) != kVersion) return no("of a version that does not exist yet");
  const WalHeader header{.big_endian_checksums = (magic & 1U) != 0,
                         .page_size = big_endian_32(bytes, 8),
                         .salt1 = big_endian_32(bytes, 16),
                         .salt2 = big_endian_32(bytes, 20),
                         .checksum = checksum_at(bytes, 24)};
  if (!is_page_size(header.page_size)) return no("its page size is none");
  if (sum({}, bytes.substr(0, 24), header.big_endian_checksums) != header.checksum) return no("its checksum is wrong");
  return header;
}

WalScanner::WalScanner(const WalHeader& header, const WalPlace& from)
    : header_(header), place_(from), committed_(from) {
  INVARIANT(from.salt1 == header.salt1 && from.salt2 == header.salt2);
}

std::optional<WalScanner::Frame> WalScanner::next(std::string_view bytes) {
  if (bytes.size() < kFrameHeaderBytes + header_.page_size) return std::nullopt;
  const Frame frame{.page = big_endian_32(bytes, 0),
                    .database_pages = big_endian_32(bytes, 4),
                    .content = bytes.substr(kFrameHeaderBytes, header_.page_size)};
  if (frame.page == 0) return std::nullopt;
  if (big_endian_32(bytes, 8) != header_.salt1 || big_endian_32(bytes, 12) != header_.salt2) return std::nullopt;
  WalChecksum checksum = sum(place_.checksum, bytes.substr(0, 8), header_.big_endian_checksums);
  checksum = sum(checksum, frame.content, header_.big_endian_checksums);
  if (checksum != checksum_at(bytes, 16)) return std::nullopt;
  place_.checksum = checksum;
  ++place_.frames;
  if (frame.commits()) committed_ = place_;
  return frame;
}

bool is_last_frame(std::string_view bytes, const WalPlace& place) {
  return bytes.size() >= kFrameHeaderBytes && big_endian_32(bytes, 8) == place.salt1 &&
         big_endian_32(bytes, 12) == place.salt2 && checksum_at(bytes, 16) == place.checksum;
}

}  // namespace nines::backup::continuous
