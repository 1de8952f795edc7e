// Segments of the continuous backup: what the decoder accepts is what a writer could have made. Input: a byte, the
// lowest bit of which says that the SHA-256 at the end is to be put right, since it cannot be found by chance; then the
// segment.
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "backup/continuous/segment.h"
#include "report.h"

namespace nines::fuzz {
namespace {

namespace continuous = backup::continuous;

struct Decoded {
  continuous::SegmentHeader header;
  std::map<std::uint32_t, std::string> pages;
  bool operator==(const Decoded&) const = default;
};

continuous::SegmentKey key() { return *continuous::SegmentKey::make(std::string(32, 'k')); }

std::optional<Decoded> decode(const std::string& bytes) {
  std::size_t at = 0;
  auto reader = continuous::SegmentReader::open(
      [&](std::span<char> buffer) -> Result<std::size_t> {
        const std::size_t size = std::min(buffer.size(), bytes.size() - at);
        std::copy_n(bytes.data() + at, size, buffer.data());
        at += size;
        return size;
      },
      key());
  if (!reader) return std::nullopt;
  Decoded decoded{.header = reader->header(), .pages = {}};
  while (true) {
    const auto page = reader->next();
    if (!page) return std::nullopt;
    if (!*page) break;
    decoded.pages[(*page)->number] = (*page)->content;
  }
  if (at != bytes.size()) report("bytes were left over", bytes);
  return decoded;
}

void run(std::string bytes, bool put_right) {
  constexpr std::size_t kHash = 32;
  if (put_right && bytes.size() >= kHash) {
    bytes.resize(bytes.size() - kHash);
    continuous::ContentHash hash;
    hash.update(bytes);
    const auto end = hash.finish();
    bytes.append(end.data(), end.size());
  }
  const auto first = decode(bytes);
  if (!first) return;
  if (first->pages.size() != first->header.pages) report("another number of pages than announced", bytes);
  std::string again;
  continuous::SegmentWriter writer(first->header, first->header.encrypted ? std::optional(key()) : std::nullopt,
                                   [&](std::string_view piece) -> Result<> {
                                     again += piece;
                                     return {};
                                   });
  for (const auto& [page, content] : first->pages)
    if (!writer.add(page, content)) report("what was read cannot be written", bytes);
  if (!writer.finish() || decode(again) != first) report("written again, it is another", bytes);
}

}  // namespace
}  // namespace nines::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  nines::fuzz::run({reinterpret_cast<const char*>(data) + 1, size - 1}, (data[0] & 1) != 0);
  return 0;
}
