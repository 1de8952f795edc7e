#include "ledger/slice.h"

namespace nines::ledger {
namespace {

void put_number(std::string& out, std::uint64_t number) {
  for (; number >= 0x80; number >>= 7) out += static_cast<char>((number & 0x7f) | 0x80);
  out += static_cast<char>(number);
}

// nullopt: cut short, or more than 64 bits.
std::optional<std::uint64_t> take_number(std::span<const std::uint8_t>& bytes) {
  std::uint64_t number = 0;
  for (unsigned shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const std::uint8_t byte = bytes.front();
    bytes = bytes.subspan(1);
    if (shift == 63 && byte > 1) return std::nullopt;
    number |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return number;
  }
  return std::nullopt;
}

}  // namespace

void add(Slice& to, const Slice& more) {
  to.good += more.good;
  to.bad += more.bad;
  to.excluded += more.excluded;
  to.aborted += more.aborted;
  to.probes_good += more.probes_good;
  to.probes_bad += more.probes_bad;
  to.up += more.up;
  to.degraded += more.degraded;
  to.down += more.down;
  to.maintenance_up += more.maintenance_up;
  to.maintenance_degraded += more.maintenance_degraded;
  to.maintenance_down += more.maintenance_down;
  for (const auto& [bucket, count] : more.latency) to.latency[bucket] += count;
}

std::int64_t seconds_of(Grain grain) {
  switch (grain) {
    case Grain::kTenSeconds: return 10;
    case Grain::kMinute: return 60;
    case Grain::kHour: return 3600;
    case Grain::kDay: return 86'400;
  }
  return 10;
}

std::optional<Duration> kept_for(Grain grain) {
  switch (grain) {
    case Grain::kTenSeconds: return 48h;
    case Grain::kMinute: return 35 * 24h;
    case Grain::kHour: return 400 * 24h;
    case Grain::kDay: break;
  }
  return std::nullopt;
}

std::int64_t start_of(Grain grain, std::int64_t second) {
  const std::int64_t length = seconds_of(grain), rest = second % length;
  return second - (rest < 0 ? rest + length : rest);
}

std::string encoded(const Histogram& histogram) {
  std::string bytes;
  for (const auto& [bucket, count] : histogram) {
    if (count == 0) continue;
    put_number(bytes, bucket);
    put_number(bytes, count);
  }
  return bytes;
}

Result<Histogram> decoded_histogram(std::span<const std::uint8_t> bytes) {
  Histogram histogram;
  std::uint64_t next = 0;
  while (!bytes.empty()) {
    const auto bucket = take_number(bytes), count = take_number(bytes);
    if (!bucket || !count || *bucket < next || *bucket >= kBucketsMax || *count == 0)
      return failure(Code::kInvalid, "the latencies of a slice are damaged");
    histogram.emplace_hint(histogram.end(), static_cast<std::uint16_t>(*bucket), *count);
    next = *bucket + 1;
  }
  return histogram;
}

}  // namespace nines::ledger
