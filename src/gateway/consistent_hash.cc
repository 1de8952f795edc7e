#include "gateway/consistent_hash.h"

#include <cmath>

#include "base/random.h"

namespace nines::gateway {
namespace {

// Uniform in (0, 1), by key and replica.
double draw(std::uint64_t key, std::size_t slot) {
  // Two rounds of the mixer: neighbouring slots must not have neighbouring scores.
  const std::uint64_t mixed = Random(Random(key).next() + slot).next();
  return (static_cast<double>(mixed >> 11) + 0.5) * 0x1.0p-53;
}

}  // namespace

std::uint64_t hash_of(std::string_view key) {
  // FNV-1a, 64 bits; draw() mixes it further.
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : key) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

std::optional<std::size_t> choose_by_hash(std::span<const Candidate> candidates, std::uint64_t key, double bound) {
  double weights = 0, in_flight = 1;  // with the one to be sent
  for (const Candidate& c : candidates) {
    weights += c.weight;
    in_flight += static_cast<double>(c.in_flight);
  }
  std::optional<std::size_t> best;
  double best_score = 0;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& c = candidates[i];
    // Rounded up, so that the shares of all together always have room for one more.
    const double share = std::ceil(bound * in_flight * c.weight / weights);
    if (static_cast<double>(c.in_flight + 1) > share) continue;
    const double score = -static_cast<double>(c.weight) / std::log(draw(key, c.slot));
    if (!best || score > best_score) {
      best = i;
      best_score = score;
    }
  }
  return best;
}

}  // namespace nines::gateway
