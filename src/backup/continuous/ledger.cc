#include "backup/continuous/ledger.h"

#define XXH_STATIC_LINKING_ONLY  // for a state without an allocation
#include <xxhash.h>

#include <cstdio>

#include "backup/continuous/bytes.h"
#include "base/check.h"

namespace nines::backup::continuous {

Digest& Digest::operator+=(const Digest& other) {
  low += other.low;
  high += other.high + (low < other.low ? 1 : 0);
  return *this;
}

Digest& Digest::operator-=(const Digest& other) {
  high -= other.high + (low < other.low ? 1 : 0);
  low -= other.low;
  return *this;
}

std::string Digest::hex() const {
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(high),
                static_cast<unsigned long long>(low));
  return text;
}

Digest hash_page(std::uint32_t page, std::string_view content) {
  std::string number;
  append_little_endian(number, page);
  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  XXH3_128bits_update(&state, number.data(), number.size());
  XXH3_128bits_update(&state, content.data(), content.size());
  const XXH128_hash_t hash = XXH3_128bits_digest(&state);
  return {hash.low64, hash.high64};
}

const Digest& PageLedger::at(std::uint32_t page) const {
  INVARIANT(page >= 1 && page <= pages());
  return hashes_[page - 1];
}

void PageLedger::set(std::uint32_t page, const Digest& hash) {
  INVARIANT(page >= 1 && page <= pages());
  digest_ -= hashes_[page - 1];
  digest_ += hash;
  hashes_[page - 1] = hash;
}

void PageLedger::resize(std::uint32_t pages) {
  while (hashes_.size() > pages) {
    digest_ -= hashes_.back();
    hashes_.pop_back();
  }
  hashes_.resize(pages);
}

}  // namespace nines::backup::continuous
