#include "ledger/slice.h"

#include <algorithm>

#include "base/check.h"

namespace nines::ledger {
namespace {

constexpr std::uint8_t kHistogramForm = 1;

std::uint64_t sum_of(std::uint64_t a, std::uint64_t b) {
  return std::min(std::min(a, kCountMax) + std::min(b, kCountMax), kCountMax);
}

void put_number(std::string& out, std::uint64_t number) {
  for (; number >= 0x80; number >>= 7) out += static_cast<char>((number & 0x7f) | 0x80);
  out += static_cast<char>(number);
}

// nullopt: cut short, longer than needed, or more than 64 bits.
std::optional<std::uint64_t> take_number(std::span<const std::uint8_t>& bytes) {
  std::uint64_t number = 0;
  for (unsigned shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const std::uint8_t byte = bytes.front();
    bytes = bytes.subspan(1);
    if ((shift == 63 && byte > 1) || (shift > 0 && byte == 0)) return std::nullopt;
    number |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return number;
  }
  return std::nullopt;
}

}  // namespace

std::uint64_t Slice::known() const {
  std::uint64_t seconds = 0;
  for (const SliceCount count : kSeconds) seconds = sum_of(seconds, this->*count);
  return seconds;
}

void add(Slice& to, const Slice& more) {
  for (const SliceCount count : kCounts) to.*count = sum_of(to.*count, more.*count);
  for (const auto& [bucket, count] : more.latency) {
    if (count == 0) continue;  // or two that say the same would differ
    std::uint64_t& sum = to.latency[bucket];
    sum = sum_of(sum, count);
  }
}

std::string_view name_of(Grain grain) {
  switch (grain) {
    case Grain::kTenSeconds: return "ten seconds";
    case Grain::kMinute: return "minute";
    case Grain::kHour: return "hour";
    case Grain::kDay: return "day";
  }
  return "unknown";
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
    INVARIANT(bucket < kBucketsMax);
    if (count == 0) continue;
    if (bytes.empty()) bytes += static_cast<char>(kHistogramForm);
    put_number(bytes, bucket);
    put_number(bytes, std::min(count, kCountMax));
  }
  return bytes;
}

Result<Histogram> decoded_histogram(std::span<const std::uint8_t> bytes) {
  Histogram histogram;
  if (bytes.empty()) return histogram;
  const auto damaged = [] { return failure(Code::kInvalid, "its latencies are damaged"); };
  if (bytes.front() != kHistogramForm || bytes.size() == 1) return damaged();
  bytes = bytes.subspan(1);
  std::uint64_t next = 0;
  while (!bytes.empty()) {
    const auto bucket = take_number(bytes), count = take_number(bytes);
    if (!bucket || !count || *bucket < next || *bucket >= kBucketsMax || *count == 0 || *count > kCountMax)
      return damaged();
    histogram.emplace_hint(histogram.end(), static_cast<std::uint16_t>(*bucket), *count);
    next = *bucket + 1;
  }
  return histogram;
}

}  // namespace nines::ledger
