#include "supervise/comparison.h"

#include <numeric>
#include <optional>

namespace nines::supervise {
namespace {

constexpr std::uint64_t kErrorsMin = 3;
constexpr std::uint64_t kForMedian = 20;
constexpr std::uint64_t kForTail = 100;

std::string part(const Evidence& evidence) {
  return std::to_string(evidence.errors) + " of " + std::to_string(evidence.requests) + " requests failed";
}

double share(const Evidence& evidence) {
  return evidence.requests == 0 ? 0 : static_cast<double>(evidence.errors) / static_cast<double>(evidence.requests);
}

std::uint64_t answered(const Evidence& e) { return std::accumulate(e.latency.begin(), e.latency.end(), 0ULL); }

struct Quantile {
  const char* name;
  double q;
  std::uint64_t samples;  // that both must have
  Duration floor;         // less is no difference
};

std::optional<std::string> slower_at(const Quantile& quantile, const Evidence& old, const Evidence& fresh,
                                     double most) {
  if (answered(old) < quantile.samples || answered(fresh) < quantile.samples) return std::nullopt;
  const auto before = plane::quantile(old.latency, quantile.q), now = plane::quantile(fresh.latency, quantile.q);
  if (!before || !now || *now - *before < quantile.floor) return std::nullopt;
  if (static_cast<double>(now->count()) <= most * static_cast<double>(before->count())) return std::nullopt;
  return std::string("its ") + quantile.name + " latency is " + format_duration(*now) + " instead of " +
         format_duration(*before);
}

}  // namespace

Evidence& Evidence::operator+=(const Evidence& other) {
  requests += other.requests;
  errors += other.errors;
  for (std::size_t i = 0; i < latency.size(); ++i) latency[i] += other.latency[i];
  return *this;
}

Evidence operator-(Evidence later, const Evidence& earlier) {
  // Counters are read while they are written: one that seems to run back says nothing has happened.
  const auto less = [](std::uint64_t a, std::uint64_t b) { return a > b ? a - b : 0; };
  later.requests = less(later.requests, earlier.requests);
  later.errors = less(later.errors, earlier.errors);
  for (std::size_t i = 0; i < later.latency.size(); ++i) later.latency[i] = less(later.latency[i], earlier.latency[i]);
  return later;
}

std::optional<std::string> more_errors(const Evidence& old, const Evidence& fresh, const Tolerance& tolerance) {
  if (fresh.errors < kErrorsMin || share(fresh) <= share(old) + tolerance.errors) return std::nullopt;
  return part(fresh) + ", of the old one " + part(old);
}

bool enough_to_compare(const Evidence& fresh) { return answered(fresh) >= kForMedian; }

std::optional<std::string> slower(const Evidence& old, const Evidence& fresh, const Tolerance& tolerance) {
  auto why = slower_at({"median", 0.5, kForMedian, 2ms}, old, fresh, tolerance.latency);
  return why ? why : slower_at({"p95", 0.95, kForTail, 20ms}, old, fresh, tolerance.latency);
}

}  // namespace nines::supervise
