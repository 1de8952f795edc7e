// The same key to the same replica, so that what it has cached for it (a prompt's prefix, a session) is used again;
// bounded, so that a popular key overloads nobody.
//
// Weighted rendezvous hashing (Thaler and Ravishankar 1998; weights: -w / ln u): every replica scores every key, the
// highest score wins. When a replica goes, only its keys move, and they spread over all others; no ring, no memory.
// Bounded load (Mirrokni, Thorup, Zadimoghaddam 2016): a replica that has `bound` times its share of what is in flight
// is passed over for the next in the key's order. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "gateway/balance.h"

namespace nines::gateway {

// Of a key that clients choose: not secret, well mixed. The same in every process and version, or a restart would
// move every key.
std::uint64_t hash_of(std::string_view key);

inline constexpr double kLoadBound = 1.5;

// The index of the chosen candidate; nullopt when there is none.
std::optional<std::size_t> choose_by_hash(std::span<const Candidate> candidates, std::uint64_t key,
                                          double bound = kLoadBound);

}  // namespace nines::gateway
