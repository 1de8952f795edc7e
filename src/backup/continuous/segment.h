// A segment: the pages that changed between two commits of a database, as one immutable object. A snapshot is the
// segment that begins with nothing. Byte by byte: docs/internals/continuous-backup.md.
//
// Both directions stream: memory is one block (256 KiB, or one page), whatever the segment's size. Errors of what is
// read are kInvalid with a reason; those of the sink or source are passed on.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "backup/continuous/ledger.h"
#include "backup/continuous/wal.h"
#include "base/error.h"
#include "base/time.h"

struct evp_md_ctx_st;
struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

namespace nines::backup::continuous {

using Hash = std::array<char, 32>;  // SHA-256
constexpr std::size_t kSegmentHeaderBytes = 224;
constexpr std::size_t kBlockBytes = 256 * 1024;

// Where in the source its content was found: from here the capture goes on.
struct Position {
  enum class Kind : std::uint32_t { kWal = 1, kRollback = 2, kWalEmpty = 3 };
  Kind kind = Kind::kRollback;
  WalPlace wal;                      // with kWal
  std::uint32_t change_counter = 0;  // with kRollback
  bool operator==(const Position&) const = default;
};

struct SegmentHeader {
  bool encrypted = false;
  bool compared = false;  // found by comparing all pages: how many commits are in it is not known
  bool fork = false;      // the source had lost, in a crash, commits that the chain holds
  std::uint32_t page_size = 0;
  std::uint64_t lineage = 0, epoch = 0;
  std::uint64_t first = 0, last = 0;  // sequence numbers, from 1; they differ in a merged one
  WallTime begun{}, captured{};       // capture of the first and of the last commit
  std::uint64_t commits = 0;
  std::uint32_t pages_before = 0, pages_after = 0;
  Digest before, after;
  Hash previous{};    // link of the segment before; zero in the first of an epoch
  Hash represents{};  // in a merged one: the link of the last that went into it
  Position position;
  std::array<char, 8> key_id{};  // zero when not encrypted
  std::uint32_t pages = 0;       // how many are in it

  bool is_snapshot() const { return first == 1; }
  bool operator==(const SegmentHeader&) const = default;
};

// Its 224 bytes, and back (kInvalid).
std::string encode_header(const SegmentHeader& header);
Result<SegmentHeader> parse_header(std::string_view bytes);

// What the next segment has as `previous`: the content hash, or in a merged one that of the last that went into it.
Hash link_of(const SegmentHeader& header, const Hash& content_hash);

// For XChaCha20-Poly1305.
class SegmentKey {
 public:
  // kInvalid: not 32 bytes.
  static Result<SegmentKey> make(std::string_view bytes);
  const std::array<char, 8>& id() const { return id_; }
  std::string_view bytes() const { return {bytes_.data(), bytes_.size()}; }

 private:
  std::array<char, 32> bytes_{};
  std::array<char, 8> id_{};
};

// SHA-256 in its 32 bytes.
class ContentHash {
 public:
  ContentHash();
  void update(std::string_view bytes);
  Hash finish();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

using Sink = std::function<Result<>(std::string_view)>;
// How many bytes it put into the buffer; 0 at the end.
using Source = std::function<Result<std::size_t>(std::span<char>)>;

class SegmentWriter {
 public:
  // The key decides whether it is encrypted: `encrypted` and `key_id` of the header are set accordingly.
  SegmentWriter(SegmentHeader header, std::optional<SegmentKey> key, Sink sink);
  // REQUIRES ascending page numbers, and as many calls as the header says.
  Result<> add(std::uint32_t page, std::string_view content);
  // The content hash. Nothing may be called afterwards.
  Result<Hash> finish();

 private:
  struct Free {
    void operator()(ZSTD_CCtx_s* context) const;
  };
  Result<> write(std::string_view bytes);
  Result<> flush();

  SegmentHeader header_;
  std::optional<SegmentKey> key_;
  Sink sink_;
  std::unique_ptr<ZSTD_CCtx_s, Free> context_;
  ContentHash hash_;
  std::string header_bytes_, block_;
  std::uint32_t last_page_ = 0, added_ = 0, blocks_ = 0;
};

class SegmentReader {
 public:
  // Reads the header only. A wrong or missing key is an error here already (kRefused).
  static Result<SegmentReader> open(Source source, std::optional<SegmentKey> key);
  // The header of a segment, without its key.
  static Result<SegmentHeader> peek(const Source& source);

  const SegmentHeader& header() const { return header_; }

  struct Page {
    std::uint32_t number = 0;
    std::string_view content;  // until the next call
  };
  // Nothing: the end was reached and the content hash is right. Until then nothing that was read may be trusted.
  Result<std::optional<Page>> next();
  // After the end.
  const Hash& content_hash() const { return content_hash_; }

 private:
  struct Free {
    void operator()(ZSTD_DCtx_s* context) const;
  };
  explicit SegmentReader(Source source);
  Result<> read(std::string& into, std::size_t size);
  Result<> read_block();
  Result<> finish();

  Source source_;
  std::optional<SegmentKey> key_;
  SegmentHeader header_;
  std::unique_ptr<ZSTD_DCtx_s, Free> context_;
  ContentHash hash_;
  Hash content_hash_{};
  std::string header_bytes_, stored_, block_;
  std::size_t block_at_ = 0;
  std::uint32_t last_page_ = 0, seen_ = 0, blocks_ = 0;
};

}  // namespace nines::backup::continuous
