#include "backup/continuous/ledger.h"

#include <doctest/doctest.h>

#include <map>

#include "base/random.h"

namespace nines::backup::continuous {
namespace {

TEST_CASE("the hash of a page is what the format says, and of its number, too") {
  // From XXH3_128bits over 01 00 00 00 "abcd" in one piece.
  CHECK(hash_page(1, "abcd").hex() == "21a2d5e2c6badcc914a6077e80e34b6a");
  CHECK(hash_page(1, "abcd") != hash_page(2, "abcd"));
  CHECK(hash_page(1, std::string(512, '\0')) != hash_page(2, std::string(512, '\0')));
}

TEST_CASE("sums carry, and subtracting is the opposite of adding") {
  Digest digest{~0ULL, 4};
  digest += {1, 1};
  CHECK(digest == Digest{0, 6});
  digest -= {1, 1};
  CHECK(digest == Digest{~0ULL, 4});
  Digest around{0, 0};
  around -= {1, 0};
  CHECK(around == Digest{~0ULL, ~0ULL});
}

TEST_CASE("property: kept step by step, the digest is that of the whole database") {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    PageLedger ledger;
    std::map<std::uint32_t, std::string> pages;
    for (int step = 0; step < 60; ++step) {
      if (random.below(4) == 0) {
        const std::uint32_t size = random.below(20);
        const std::uint32_t before = ledger.pages();
        ledger.resize(size);
        pages.erase(pages.upper_bound(size), pages.end());
        for (std::uint32_t page = before + 1; page <= size; ++page) {
          pages[page] = std::to_string(random.next());
          ledger.set(page, hash_page(page, pages[page]));
        }
      } else if (ledger.pages() > 0) {
        const std::uint32_t page = 1 + random.below(ledger.pages());
        pages[page] = std::to_string(random.next());
        ledger.set(page, hash_page(page, pages[page]));
      }
      Digest whole;
      for (const auto& [page, content] : pages) whole += hash_page(page, content);
      REQUIRE(ledger.digest() == whole);
    }
  }
}

TEST_CASE("the page of the lock bytes") {
  CHECK(lock_page(512) == 2097153);
  CHECK(lock_page(4096) == 262145);
  CHECK(lock_page(65536) == 16385);
}

}  // namespace
}  // namespace nines::backup::continuous
