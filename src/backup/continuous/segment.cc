#include "backup/continuous/segment.h"

#include <openssl/evp.h>
#include <sodium.h>
#include <zstd.h>

#include <algorithm>

#include "backup/continuous/bytes.h"
#include "base/check.h"

namespace nines::backup::continuous {
namespace {

constexpr std::string_view kMagic = "NINESSEG";
constexpr std::uint16_t kVersion = 1;
constexpr std::uint16_t kEncrypted = 1, kCompared = 2, kFork = 4, kKnownFlags = 7;
constexpr std::size_t kBlockHeader = 8;
// Measured on pages of a database: 3.9 times smaller at this level, in blocks of this size.
constexpr int kLevel = 1;
constexpr std::size_t kNonce = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES;
constexpr std::size_t kTag = crypto_aead_xchacha20poly1305_ietf_ABYTES;

std::unexpected<Error> broken(std::string why) {
  return failure(Code::kInvalid, "the segment is damaged: " + std::move(why));
}

const unsigned char* in(std::string_view bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }
unsigned char* out(std::string& bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

std::size_t record_bytes(const SegmentHeader& header) { return 4 + std::size_t{header.page_size}; }
std::uint32_t records_per_block(const SegmentHeader& header) {
  return static_cast<std::uint32_t>(kBlockBytes / record_bytes(header));
}

// A segment without the page of the lock bytes holds all others.
std::uint32_t content_pages(std::uint32_t pages, std::uint32_t page_size) {
  return pages - (pages >= lock_page(page_size) ? 1 : 0);
}

void append_digest(std::string& to, const Digest& digest) {
  append_little_endian(to, digest.low);
  append_little_endian(to, digest.high);
}

void append_time(std::string& to, WallTime time) {
  append_little_endian(to, static_cast<std::uint64_t>(time.time_since_epoch().count()));
}

std::string encode(const SegmentHeader& h) {
  std::string bytes(kMagic);
  append_little_endian(bytes, kVersion);
  append_little_endian(bytes, static_cast<std::uint16_t>((h.encrypted ? kEncrypted : 0) | (h.compared ? kCompared : 0) |
                                                         (h.fork ? kFork : 0)));
  append_little_endian(bytes, h.page_size);
  for (const std::uint64_t value : {h.lineage, h.epoch, h.first, h.last}) append_little_endian(bytes, value);
  append_time(bytes, h.begun);
  append_time(bytes, h.captured);
  append_little_endian(bytes, h.commits);
  append_little_endian(bytes, h.pages_before);
  append_little_endian(bytes, h.pages_after);
  append_digest(bytes, h.before);
  append_digest(bytes, h.after);
  bytes.append(h.previous.data(), h.previous.size());
  bytes.append(h.represents.data(), h.represents.size());
  const Position& p = h.position;
  for (const std::uint32_t value : {static_cast<std::uint32_t>(p.kind), p.wal.salt1, p.wal.salt2, p.wal.checksum.first,
                                    p.wal.checksum.second, p.change_counter})
    append_little_endian(bytes, value);
  append_little_endian(bytes, p.wal.frames);
  bytes.append(h.key_id.data(), h.key_id.size());
  append_little_endian(bytes, h.pages);
  append_little_endian(bytes, std::uint32_t{0});
  INVARIANT(bytes.size() == kSegmentHeaderBytes);
  return bytes;
}

template <std::size_t N>
std::array<char, N> array_at(std::string_view bytes, std::size_t at) {
  std::array<char, N> array{};
  std::ranges::copy(bytes.substr(at, N), array.begin());
  return array;
}

Digest digest_at(std::string_view b, std::size_t at) {
  return {little_endian<std::uint64_t>(b, at), little_endian<std::uint64_t>(b, at + 8)};
}

WallTime time_at(std::string_view b, std::size_t at) {
  return WallTime(Duration(static_cast<std::int64_t>(little_endian<std::uint64_t>(b, at))));
}

SegmentHeader fields_of(std::string_view b) {
  const auto u32 = [&](std::size_t at) { return little_endian<std::uint32_t>(b, at); };
  const auto u64 = [&](std::size_t at) { return little_endian<std::uint64_t>(b, at); };
  const auto flags = little_endian<std::uint16_t>(b, 10);
  return {.encrypted = (flags & kEncrypted) != 0,
          .compared = (flags & kCompared) != 0,
          .fork = (flags & kFork) != 0,
          .page_size = u32(12),
          .lineage = u64(16),
          .epoch = u64(24),
          .first = u64(32),
          .last = u64(40),
          .begun = time_at(b, 48),
          .captured = time_at(b, 56),
          .commits = u64(64),
          .pages_before = u32(72),
          .pages_after = u32(76),
          .before = digest_at(b, 80),
          .after = digest_at(b, 96),
          .previous = array_at<32>(b, 112),
          .represents = array_at<32>(b, 144),
          .position = {.kind = static_cast<Position::Kind>(u32(176)),
                       .wal = {.salt1 = u32(180),
                               .salt2 = u32(184),
                               .frames = u64(200),
                               .checksum = {.first = u32(188), .second = u32(192)}},
                       .change_counter = u32(196)},
          .key_id = array_at<8>(b, 208),
          .pages = u32(216)};
}

// What holds of every header that the writer makes.
Result<> check(const SegmentHeader& h) {
  const auto kind = static_cast<std::uint32_t>(h.position.kind);
  if (!is_page_size(h.page_size)) return broken("a page size that is none");
  if (h.first == 0 || h.last < h.first) return broken("its sequence numbers make no range");
  if (kind < 1 || kind > 3) return broken("an unknown kind of position");
  if (h.pages > content_pages(h.pages_after, h.page_size)) return broken("more pages than the database has");
  if (!h.encrypted && h.key_id != std::array<char, 8>{}) return broken("a key, but no encryption");
  if (h.first == h.last && h.represents != Hash{}) return broken("not merged, but it represents another");
  if (h.first != h.last && h.represents == Hash{}) return broken("merged, but it represents none");
  if (h.is_snapshot() && (h.pages_before != 0 || h.before != Digest{} || h.previous != Hash{}))
    return broken("a snapshot that something comes before");
  if (h.is_snapshot() && h.pages != content_pages(h.pages_after, h.page_size))
    return broken("a snapshot that lacks pages");
  return {};
}

Result<SegmentHeader> parse(std::string_view bytes) {
  if (bytes.size() != kSegmentHeaderBytes) return broken("it is cut off in its header");
  if (bytes.substr(0, kMagic.size()) != kMagic) return failure(Code::kInvalid, "this is no segment");
  const auto version = little_endian<std::uint16_t>(bytes, 8);
  if (version != kVersion)
    return failure(Code::kInvalid, "the segment has format " + std::to_string(version) +
                                       ", this version of nines reads " + std::to_string(kVersion));
  if ((little_endian<std::uint16_t>(bytes, 10) & ~kKnownFlags) != 0) return broken("unknown flags");
  if (little_endian<std::uint32_t>(bytes, 220) != 0) return broken("its reserved bytes are in use");
  const SegmentHeader header = fields_of(bytes);
  if (auto checked = check(header); !checked) return failure(std::move(checked.error()));
  return header;
}

// Each block is bound to its header and place.
std::string associated(std::string_view header_bytes, std::uint32_t block) {
  std::string bytes(header_bytes);
  append_little_endian(bytes, block);
  return bytes;
}

std::string encrypt(std::string_view plain, const SegmentKey& key, std::string_view bound) {
  std::string stored(kNonce + plain.size() + kTag, '\0');
  randombytes_buf(stored.data(), kNonce);
  unsigned long long size = 0;
  crypto_aead_xchacha20poly1305_ietf_encrypt(out(stored) + kNonce, &size, in(plain), plain.size(), in(bound),
                                             bound.size(), nullptr, in(stored), in(key.bytes()));
  INVARIANT(size + kNonce == stored.size());
  return stored;
}

std::optional<std::string> decrypt(std::string_view stored, const SegmentKey& key, std::string_view bound) {
  if (stored.size() < kNonce + kTag) return std::nullopt;
  std::string plain(stored.size() - kNonce - kTag, '\0');
  unsigned long long size = 0;
  if (crypto_aead_xchacha20poly1305_ietf_decrypt(out(plain), &size, nullptr, in(stored) + kNonce,
                                                 stored.size() - kNonce, in(bound), bound.size(), in(stored),
                                                 in(key.bytes())) != 0)
    return std::nullopt;
  return plain;
}

Result<std::size_t> read_fully(const Source& source, std::span<char> buffer) {
  std::size_t done = 0;
  while (done < buffer.size()) {
    const auto got = source(buffer.subspan(done));
    if (!got) return failure(got.error());
    if (*got == 0) break;
    done += *got;
  }
  return done;
}

}  // namespace

std::string encode_header(const SegmentHeader& header) { return encode(header); }
Result<SegmentHeader> parse_header(std::string_view bytes) { return parse(bytes); }

Hash link_of(const SegmentHeader& header, const Hash& content_hash) {
  return header.represents == Hash{} ? content_hash : header.represents;
}

Result<SegmentKey> SegmentKey::make(std::string_view bytes) {
  SegmentKey key;
  if (bytes.size() != key.bytes_.size())
    return failure(Code::kInvalid, "a backup key has 32 bytes, not " + std::to_string(bytes.size()) +
                                       "; `head -c 32 /dev/urandom > backup.key` makes one");
  INVARIANT(sodium_init() >= 0);
  std::ranges::copy(bytes, key.bytes_.begin());
  std::array<unsigned char, crypto_generichash_BYTES> hash{};
  crypto_generichash(hash.data(), hash.size(), in(bytes), bytes.size(), nullptr, 0);
  std::copy_n(hash.begin(), key.id_.size(), key.id_.begin());
  return key;
}

void ContentHash::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

ContentHash::ContentHash() : context_(EVP_MD_CTX_new()) {
  INVARIANT(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
}

void ContentHash::update(std::string_view bytes) {
  INVARIANT(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
}

Hash ContentHash::finish() {
  Hash hash{};
  INVARIANT(EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(hash.data()), nullptr) == 1);
  return hash;
}

void SegmentWriter::Free::operator()(ZSTD_CCtx_s* context) const { ZSTD_freeCCtx(context); }

SegmentWriter::SegmentWriter(SegmentHeader header, std::optional<SegmentKey> key, Sink sink)
    : header_(header), key_(key), sink_(std::move(sink)), context_(ZSTD_createCCtx()) {
  header_.encrypted = key_.has_value();
  header_.key_id = key_ ? key_->id() : std::array<char, 8>{};
  INVARIANT(context_ != nullptr && check(header_));
  header_bytes_ = encode(header_);
}

Result<> SegmentWriter::write(std::string_view bytes) {
  hash_.update(bytes);
  return sink_(bytes);
}

Result<> SegmentWriter::add(std::uint32_t page, std::string_view content) {
  INVARIANT(page > last_page_ && page <= header_.pages_after && page != lock_page(header_.page_size));
  INVARIANT(content.size() == header_.page_size && added_ < header_.pages);
  last_page_ = page;
  ++added_;
  append_little_endian(block_, page);
  block_ += content;
  if (block_.size() + record_bytes(header_) <= kBlockBytes) return {};
  return flush();
}

Result<> SegmentWriter::flush() {
  if (blocks_ == 0) {
    if (auto written = write(header_bytes_); !written) return written;
  }
  if (block_.empty()) return {};
  std::string packed(ZSTD_compressBound(block_.size()), '\0');
  const std::size_t size =
      ZSTD_compressCCtx(context_.get(), packed.data(), packed.size(), block_.data(), block_.size(), kLevel);
  if (ZSTD_isError(size) != 0) return failure(Code::kIo, std::string("compress: ") + ZSTD_getErrorName(size));
  packed.resize(size);
  if (key_) packed = encrypt(packed, *key_, associated(header_bytes_, blocks_));
  std::string sizes;
  append_little_endian(sizes, static_cast<std::uint32_t>(block_.size()));
  append_little_endian(sizes, static_cast<std::uint32_t>(packed.size()));
  ++blocks_;
  block_.clear();
  if (auto written = write(sizes); !written) return written;
  return write(packed);
}

Result<Hash> SegmentWriter::finish() {
  INVARIANT(added_ == header_.pages);
  if (auto flushed = flush(); !flushed) return failure(std::move(flushed.error()));
  const Hash hash = hash_.finish();
  if (auto written = sink_({hash.data(), hash.size()}); !written) return failure(std::move(written.error()));
  return hash;
}

void SegmentReader::Free::operator()(ZSTD_DCtx_s* context) const { ZSTD_freeDCtx(context); }

SegmentReader::SegmentReader(Source source) : source_(std::move(source)), context_(ZSTD_createDCtx()) {
  INVARIANT(context_ != nullptr);
}

Result<SegmentHeader> SegmentReader::peek(const Source& source) {
  std::string bytes(kSegmentHeaderBytes, '\0');
  const auto got = read_fully(source, bytes);
  if (!got) return failure(got.error());
  return parse(std::string_view(bytes).substr(0, *got));
}

Result<> SegmentReader::read(std::string& into, std::size_t size) {
  into.resize(size);
  const auto got = read_fully(source_, into);
  if (!got) return failure(got.error());
  if (*got < size) return broken("it is cut off");
  return {};
}

Result<SegmentReader> SegmentReader::open(Source source, std::optional<SegmentKey> key) {
  SegmentReader reader(std::move(source));
  if (auto got = reader.read(reader.header_bytes_, kSegmentHeaderBytes); !got) return failure(std::move(got.error()));
  auto header = parse(reader.header_bytes_);
  if (!header) return failure(std::move(header.error()));
  reader.header_ = *header;
  reader.hash_.update(reader.header_bytes_);
  if (header->encrypted && !key)
    return failure(Code::kRefused, "the segment is encrypted, and there is no key: set `encrypt: {key: …}`");
  if (header->encrypted && key->id() != header->key_id)
    return failure(Code::kRefused, "the segment was encrypted with another key than the one given");
  reader.key_ = key;
  return reader;
}

Result<> SegmentReader::read_block() {
  const std::uint32_t records = std::min(header_.pages - seen_, records_per_block(header_));
  const std::size_t plain_size = records * record_bytes(header_);
  std::string sizes;
  if (auto got = read(sizes, kBlockHeader); !got) return got;
  hash_.update(sizes);
  const std::size_t stored_size = little_endian<std::uint32_t>(sizes, 4);
  if (little_endian<std::uint32_t>(sizes, 0) != plain_size)
    return broken("a block of another size than its pages have");
  if (stored_size > ZSTD_compressBound(plain_size) + kNonce + kTag) return broken("a block that is too large");
  if (auto got = read(stored_, stored_size); !got) return got;
  hash_.update(stored_);
  if (header_.encrypted) {
    auto plain = decrypt(stored_, *key_, associated(header_bytes_, blocks_));
    if (!plain) return broken("a block is not what was encrypted");
    stored_ = std::move(*plain);
  }
  block_.resize(plain_size);
  const std::size_t frame = ZSTD_findFrameCompressedSize(stored_.data(), stored_.size());
  if (ZSTD_isError(frame) != 0 || frame != stored_.size()) return broken("a block is not one zstd frame");
  const std::size_t size =
      ZSTD_decompressDCtx(context_.get(), block_.data(), block_.size(), stored_.data(), stored_.size());
  if (ZSTD_isError(size) != 0) return broken(std::string("a block cannot be decompressed: ") + ZSTD_getErrorName(size));
  if (size != plain_size) return broken("a block is shorter than it says");
  block_at_ = 0;
  ++blocks_;
  return {};
}

Result<> SegmentReader::finish() {
  std::string stored, beyond(1, '\0');
  if (auto got = read(stored, content_hash_.size()); !got) return got;
  content_hash_ = hash_.finish();
  if (stored != std::string_view(content_hash_.data(), content_hash_.size())) return broken("its SHA-256 is another");
  const auto more = source_(beyond);
  if (!more) return failure(more.error());
  if (*more != 0) return broken("something follows its end");
  return {};
}

Result<std::optional<SegmentReader::Page>> SegmentReader::next() {
  if (seen_ == header_.pages) {
    if (auto finished = finish(); !finished) return failure(std::move(finished.error()));
    return std::optional<Page>();
  }
  if (block_at_ == block_.size()) {
    if (auto got = read_block(); !got) return failure(std::move(got.error()));
  }
  const std::string_view block(block_);
  const Page page{.number = little_endian<std::uint32_t>(block, block_at_),
                  .content = block.substr(block_at_ + 4, header_.page_size)};
  block_at_ += record_bytes(header_);
  ++seen_;
  if (page.number <= last_page_) return broken("its pages are not in order");
  if (page.number > header_.pages_after) return broken("a page beyond the end of the database");
  if (page.number == lock_page(header_.page_size)) return broken("the page of the lock bytes");
  last_page_ = page.number;
  return std::optional(page);
}

}  // namespace nines::backup::continuous
