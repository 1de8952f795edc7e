// SQLite's write-ahead log, read from outside: which transactions are committed in it. Pure, over bytes; the file is
// read in wal_file.h. Format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
//
//   header, 32 bytes          magic, version, page size, checkpoint counter, salt-1, salt-2, checksum
//   frame, 24 + page size     page number, database size in pages (0: no commit), salt-1, salt-2, checksum | the page
//
// All big-endian. The checksum of a frame goes on from that of the frame before, so a frame that fits says that all
// before it do. The first one that does not fit is the end of the log: never written, half written, or left from before
// the last reset, at which salt-1 grows by one and salt-2 is drawn anew. The checkpoint counter belongs to a connection
// and tells nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/error.h"

namespace nines::backup::continuous {

constexpr std::size_t kWalHeaderBytes = 32;
constexpr std::size_t kFrameHeaderBytes = 24;

struct WalChecksum {
  std::uint32_t first = 0, second = 0;
  bool operator==(const WalChecksum&) const = default;
};

struct WalHeader {
  bool big_endian_checksums = false;  // the byte order of the machine that began it
  std::uint32_t page_size = 0;
  std::uint32_t salt1 = 0, salt2 = 0;
  WalChecksum checksum;
  bool operator==(const WalHeader&) const = default;
};

// 512 to 65536, a power of two.
bool is_page_size(std::uint64_t bytes);

// kInvalid: these 32 bytes begin no log. SQLite, too, takes such a file for empty.
Result<WalHeader> parse_wal_header(std::string_view bytes);

// Where in a log we are: after so many frames, with this checksum to go on from.
struct WalPlace {
  std::uint32_t salt1 = 0, salt2 = 0;
  std::uint64_t frames = 0;
  WalChecksum checksum;
  bool operator==(const WalPlace&) const = default;
};
inline WalPlace start_of(const WalHeader& header) { return {header.salt1, header.salt2, 0, header.checksum}; }

// Reads frames in their order, from a place on that was reached before.
class WalScanner {
 public:
  struct Frame {
    std::uint32_t page = 0;
    std::uint32_t database_pages = 0;  // after this transaction; 0: it goes on
    std::string_view content;
    bool commits() const { return database_pages != 0; }
  };

  // REQUIRES that the place has the header's salts.
  WalScanner(const WalHeader& header, const WalPlace& from);

  // `bytes` are of one frame, as many as there are. Nothing: the log ends before it; to be asked again when there is
  // more. The content points into `bytes`.
  std::optional<Frame> next(std::string_view bytes);

  // After the last frame that was read, and after the last that committed.
  const WalPlace& place() const { return place_; }
  const WalPlace& committed() const { return committed_; }

 private:
  WalHeader header_;
  WalPlace place_, committed_;
};

// Whether these bytes (at least the 24 of its header) are the frame that ended at `place`.
bool is_last_frame(std::string_view bytes, const WalPlace& place);

}  // namespace nines::backup::continuous
