// Chunked bodies: whatever the pieces, the decoder finds the body that a plain reader of the grammar finds in the
// whole, and refuses what that refuses. Input: a byte that decides how it is split, then the coded body and what
// follows it.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "http/chunks.h"
#include "report.h"

namespace nines::fuzz {
namespace {

struct Outcome {
  enum class End { kWhole, kCut, kWrong } end = End::kCut;
  std::string body;
  std::size_t used = 0;  // with kWhole
  bool operator==(const Outcome&) const = default;
};
using End = Outcome::End;

bool visible(std::string_view text) {
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f) return false;
  }
  return true;
}

// Line by line on the whole text. A line that is cut may still be wrong already: that is left to the decoder.
Outcome read_plainly(const std::string& text) {
  Outcome outcome;
  std::size_t at = 0;
  const auto line = [&]() -> std::optional<std::string> {
    const auto end = text.find("\r\n", at);
    if (end == std::string::npos) return std::nullopt;
    std::string found = text.substr(at, end - at);
    at = end + 2;
    return found;
  };
  const auto ended = [&](End end) {
    outcome.end = end;
    outcome.used = end == End::kWhole ? at : 0;
    return outcome;
  };
  std::size_t extensions = 0;
  while (true) {
    const auto head = line();
    if (!head) return ended(End::kCut);
    const auto digits = std::min(head->find_first_not_of("0123456789abcdefABCDEF"), head->size());
    const std::string extension = head->substr(digits);
    extensions += extension.empty() ? 0 : extension.size() - 1;
    if (digits < 1 || digits > 16 || extension.size() > 257 || extensions > 16 * 1024) return ended(End::kWrong);
    if (!extension.empty() && (extension[0] != ';' || !visible(extension))) return ended(End::kWrong);
    const std::uint64_t size = std::stoull(head->substr(0, digits), nullptr, 16);
    if (size == 0) break;
    const std::uint64_t there = std::min<std::uint64_t>(size, text.size() - at);
    outcome.body += text.substr(at, static_cast<std::size_t>(there));
    at += static_cast<std::size_t>(there);
    if (text.size() - at < 2) return ended(End::kCut);
    if (text.substr(at, 2) != "\r\n") return ended(End::kWrong);
    at += 2;
  }
  for (const std::size_t trailers = at; auto trailer = line();) {
    if (at - trailers > 8 * 1024) return ended(End::kWrong);
    if (trailer->empty()) return ended(End::kWhole);
    const auto colon = trailer->find(':');
    const bool named =
        colon != std::string::npos && colon > 0 &&
        trailer->substr(0, colon).find_first_not_of(
            "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") == std::string::npos;
    if (!named || !visible(*trailer)) return ended(End::kWrong);
  }
  return ended(End::kCut);
}

Outcome decode(const std::string& text, std::uint64_t seed) {
  Random random(seed);
  const bool small = random.below(2) == 0;
  http::ChunkDecoder decoder;
  Outcome outcome;
  for (std::size_t at = 0; at < text.size() && !decoder.done();) {
    std::string piece = text.substr(at, 1 + random.below(small ? 4 : 200));
    const auto decoded = decoder.feed(piece);
    outcome.body += decoded.data;
    if (decoded.used > piece.size() || (!decoder.done() && decoded.problem == nullptr && decoded.used < piece.size()))
      report("bytes were left over", text);
    at += decoded.used;
    if (decoded.problem != nullptr) {
      outcome.end = End::kWrong;
      return outcome;
    }
    if (decoder.done()) outcome.used = at;
  }
  outcome.end = decoder.done() ? End::kWhole : End::kCut;
  return outcome;
}

void run(const std::string& text, std::uint64_t seed) {
  const Outcome plain = read_plainly(text), ours = decode(text, seed);
  // Wrong within a line that has not ended: only the decoder says so already.
  const bool earlier = plain.end == End::kCut && ours.end == End::kWrong && plain.body == ours.body;
  if (!(plain == ours) && !earlier) report("two readings of one body", text);
}

}  // namespace
}  // namespace nines::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  nines::fuzz::run({reinterpret_cast<const char*>(data) + 1, size - 1}, data[0]);
  return 0;
}
