// What every page of a database is, as hashes: so that what changed can be found, and said to be all of it, without
// keeping the pages. 16 bytes a page.
//
//   hash of a page        XXH3-128 over its number (4 bytes, little-endian), then its bytes
//   digest of a database  the sum of those, modulo 2^128: a page that changes costs one subtraction and one addition
//
// XXH3 finds accidents, not malice; what protects a stored segment from a forger is its SHA-256 chain and encryption.
//
// The page at 1 GiB that SQLite puts its locks on is never written, has no content, and counts as nothing here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nines::backup::continuous {

struct Digest {
  std::uint64_t low = 0, high = 0;
  bool operator==(const Digest&) const = default;
  Digest& operator+=(const Digest& other);
  Digest& operator-=(const Digest& other);
  std::string hex() const;  // 32 digits, the highest first
};

// Pages count from 1.
Digest hash_page(std::uint32_t page, std::string_view content);

// The number of the page that holds the lock bytes.
constexpr std::uint32_t lock_page(std::uint32_t page_size) { return (1U << 30) / page_size + 1; }

class PageLedger {
 public:
  std::uint32_t pages() const { return static_cast<std::uint32_t>(hashes_.size()); }
  const Digest& digest() const { return digest_; }
  // REQUIRES 1 <= page <= pages(). One that was never set is zero.
  const Digest& at(std::uint32_t page) const;
  void set(std::uint32_t page, const Digest& hash);
  // What is cut off leaves the digest; what is new is zero until it is set.
  void resize(std::uint32_t pages);

 private:
  std::vector<Digest> hashes_;
  Digest digest_;
};

}  // namespace nines::backup::continuous
