#include "backup/continuous/segment.h"

#include <doctest/doctest.h>

#include <map>

#include "base/random.h"

namespace nines::backup::continuous {
namespace {

using Pages = std::map<std::uint32_t, std::string>;

Source source_of(const std::string& bytes, std::size_t piece = 1 << 20) {
  return [&bytes, piece, at = std::size_t{0}](std::span<char> buffer) mutable -> Result<std::size_t> {
    const std::size_t size = std::min({buffer.size(), bytes.size() - at, piece});
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), size, buffer.begin());
    at += size;
    return size;
  };
}

SegmentHeader header_for(const Pages& pages, std::uint32_t page_size) {
  return {.page_size = page_size,
          .lineage = 0x1122334455667788,
          .epoch = 3,
          .first = 7,
          .last = 7,
          .begun = WallTime(1s),
          .captured = WallTime(2s),
          .commits = 4,
          .pages_before = 20,
          .pages_after = pages.empty() ? 20 : std::max(20U, pages.rbegin()->first),
          .before = {1, 2},
          .after = {3, 4},
          .previous = {'p'},
          .represents = {},
          .position = {.kind = Position::Kind::kWal, .wal = {5, 6, 7, {8, 9}}, .change_counter = 0},
          .key_id = {},
          .pages = static_cast<std::uint32_t>(pages.size())};
}

std::string encode(const SegmentHeader& header, const Pages& pages, const std::optional<SegmentKey>& key = {}) {
  std::string bytes;
  SegmentWriter writer(header, key, [&](std::string_view piece) -> Result<> {
    bytes += piece;
    return {};
  });
  for (const auto& [page, content] : pages) REQUIRE(writer.add(page, content));
  const auto hash = writer.finish();
  REQUIRE(hash);
  REQUIRE(bytes.ends_with(std::string_view(hash->data(), hash->size())));
  return bytes;
}

Result<Pages> decode(const std::string& bytes, const std::optional<SegmentKey>& key = {}, std::size_t piece = 1 << 20) {
  auto reader = SegmentReader::open(source_of(bytes, piece), key);
  if (!reader) return failure(std::move(reader.error()));
  Pages pages;
  while (true) {
    auto page = reader->next();
    if (!page) return failure(std::move(page.error()));
    if (!*page) return pages;
    pages[(*page)->number] = (*page)->content;
  }
}

Pages random_pages(Random& random, std::uint32_t page_size, std::uint32_t count) {
  Pages pages;
  for (std::uint32_t page = 0; count > 0; --count) {
    page += 1 + random.below(3);
    std::string content(page_size, static_cast<char>(random.next()));
    for (std::uint32_t i = random.below(page_size); i < page_size; ++i) content[i] = static_cast<char>(random.next());
    pages[page] = content;
  }
  return pages;
}

SegmentKey key_of(char c) { return *SegmentKey::make(std::string(32, c)); }

TEST_CASE("property: what is read is what was written, in whatever pieces, plain and encrypted") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    const std::uint32_t page_size = 512U << random.below(8);
    const Pages pages = random_pages(random, page_size, random.below(seed % 10 == 0 ? 1200 : 20));
    const std::optional<SegmentKey> key = random.below(2) == 0 ? std::optional(key_of('k')) : std::nullopt;
    SegmentHeader header = header_for(pages, page_size);
    const std::string bytes = encode(header, pages, key);
    const auto read = decode(bytes, key, 1 + random.below(100000));
    REQUIRE(read);
    CHECK(*read == pages);
    header.encrypted = key.has_value();
    if (key) header.key_id = key->id();
    CHECK(*SegmentReader::peek(source_of(bytes)) == header);
  }
}

TEST_CASE("every flipped bit and every cut is refused") {
  Random random(7);
  const Pages pages = random_pages(random, 512, 6);
  for (const auto& key : {std::optional<SegmentKey>(), std::optional(key_of('k'))}) {
    const std::string bytes = encode(header_for(pages, 512), pages, key);
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      CAPTURE(at);
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << random.below(8)));
      REQUIRE_FALSE(decode(damaged, key));
      REQUIRE_FALSE(decode(bytes.substr(0, at), key));
    }
    CHECK_FALSE(decode(bytes + "x", key));
  }
}

TEST_CASE("a key that is missing, wrong or no key is a clear error, and a segment without one needs none") {
  Random random(8);
  const Pages pages = random_pages(random, 512, 3);
  const std::string bytes = encode(header_for(pages, 512), pages, key_of('k'));
  CHECK(decode(bytes, key_of('k')));
  CHECK(decode(bytes, key_of('x')).error().code() == Code::kRefused);
  CHECK(decode(bytes).error().code() == Code::kRefused);
  CHECK(SegmentKey::make("short").error().code() == Code::kInvalid);
  CHECK(decode(encode(header_for(pages, 512), pages), key_of('k')));
  // Nothing of the content is to be seen.
  const Pages text = {{1, std::string(512, 'A')}};
  CHECK(encode(header_for(text, 512), text, key_of('k')).find("AAAA") == std::string::npos);
}

TEST_CASE("headers that no writer makes are refused, whatever their hash says") {
  Random random(9);
  const Pages pages = random_pages(random, 512, 3);
  const std::string bytes = encode(header_for(pages, 512), pages);
  struct Row {
    const char* what;
    std::size_t at;
    char value;
  };
  for (const Row& row : {Row{"magic", 0, 'n'}, Row{"version", 8, 2}, Row{"flags", 10, 8}, Row{"page size", 12, 1},
                         Row{"first is zero", 32, 0}, Row{"last before first", 40, 6}, Row{"merged of nothing", 40, 8},
                         Row{"a snapshot after something", 32, 1}, Row{"represents", 144, 1}, Row{"position", 176, 0},
                         Row{"position", 176, 4}, Row{"key without encryption", 208, 1}, Row{"too many pages", 216, 21},
                         Row{"reserved", 220, 1}}) {
    CAPTURE(row.what);
    std::string changed = bytes.substr(0, bytes.size() - 32);
    changed[row.at] = row.value;
    ContentHash hash;
    hash.update(changed);
    const Hash end = hash.finish();
    changed.append(end.data(), end.size());
    CHECK(decode(changed).error().code() == Code::kInvalid);
    CHECK(SegmentReader::peek(source_of(changed)).error().code() == Code::kInvalid);
  }
}

}  // namespace
}  // namespace nines::backup::continuous
