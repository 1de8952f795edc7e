#include "http/field_name.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace nines::http {
namespace {

// A name in three words, without its case: comparing those costs less than a loop over its letters, and every field of
// every message is looked up here. Setting 0x20 makes a capital small and leaves '-' and digits as they are; no other
// character of a token becomes one of those it is compared with. What is missing at the end is 0x20, too.
struct Words {
  static constexpr std::size_t kBytes = 24;
  std::uint64_t word[kBytes / 8];
  bool operator==(const Words&) const = default;
};

constexpr std::uint64_t kOnes = 0x0101010101010101;

Words words_of(std::string_view text) {
  Words words{};
  std::memcpy(words.word, text.data(), text.size());
  for (std::uint64_t& word : words.word) word |= kOnes * 0x20;
  return words;
}

consteval Words known_words(std::string_view text) {
  Words words{kOnes * 0x20, kOnes * 0x20, kOnes * 0x20};
  for (std::size_t i = 0; i < text.size(); ++i) {
    const unsigned shift = static_cast<unsigned>(i % 8) * 8;
    words.word[i / 8] |= static_cast<std::uint64_t>(static_cast<unsigned char>(text[i])) << shift;
  }
  return words;
}
static_assert(std::endian::native == std::endian::little);

struct Known {
  consteval Known(std::string_view text, Name n) : length(text.size()), words(known_words(text)), name(n) {}
  std::size_t length;
  Words words;
  Name name;
};

// By length, so that a name is compared with those of its own length only.
constexpr Known kKnown[] = {
    {"te", Name::kTe},
    {"host", Name::kHost},
    {"expect", Name::kExpect},
    {"trailer", Name::kTrailer},
    {"upgrade", Name::kUpgrade},
    {"forwarded", Name::kForwarded},
    {"connection", Name::kConnection},
    {"keep-alive", Name::kKeepAlive},
    {"retry-after", Name::kRetryAfter},
    {"content-type", Name::kContentType},
    {"x-request-id", Name::kXRequestId},
    {"x-nines-probe", Name::kXNinesProbe},
    {"content-length", Name::kContentLength},
    {"http2-settings", Name::kHttp2Settings},
    {"idempotency-key", Name::kIdempotencyKey},
    {"x-forwarded-for", Name::kXForwardedFor},
    {"content-encoding", Name::kContentEncoding},
    {"proxy-connection", Name::kProxyConnection},
    {"x-forwarded-host", Name::kXForwardedHost},
    {"transfer-encoding", Name::kTransferEncoding},
    {"x-forwarded-proto", Name::kXForwardedProto},
};
constexpr std::size_t kLongest = 17;

// kFirst[n]: the first of those that have n letters.
constexpr std::array<std::uint8_t, kLongest + 2> make_first() {
  std::array<std::uint8_t, kLongest + 2> first{};
  for (std::size_t length = 0; length < first.size(); ++length) {
    while (first[length] < std::size(kKnown) && kKnown[first[length]].length < length) ++first[length];
  }
  return first;
}
constexpr std::array<std::uint8_t, kLongest + 2> kFirst = make_first();

// Whether one of eight bytes is below 0x20 or is 0x7f (Sean Anderson, Bit Twiddling Hacks, "hasless"). Exact.
bool has_control(std::uint64_t eight) {
  constexpr std::uint64_t kTops = kOnes * 0x80;
  const std::uint64_t del = eight ^ (kOnes * 0x7f);
  return ((((eight - kOnes * 0x20) & ~eight) | ((del - kOnes) & ~del)) & kTops) != 0;
}

}  // namespace

Name name_of_field(std::string_view field_name) {
  const std::size_t length = field_name.size();
  if (length > kLongest || kFirst[length] == kFirst[length + 1]) return Name::kOther;
  char dashed[kLongest];
  const bool disguised = field_name.contains('_');
  if (disguised) {
    std::ranges::replace_copy(field_name, dashed, '_', '-');
    field_name = {dashed, length};
  }
  const Words words = words_of(field_name);
  for (std::size_t i = kFirst[length]; i < kFirst[length + 1]; ++i) {
    if (kKnown[i].words == words) return disguised ? Name::kDisguised : kKnown[i].name;
  }
  return Name::kOther;
}

bool is_token(std::string_view text) { return !text.empty() && std::ranges::all_of(text, is_token_char); }

bool is_field_value(std::string_view value) {
  if (value.size() >= 8) {
    const auto eight_at = [&](std::size_t at) {
      std::uint64_t eight;
      std::memcpy(&eight, value.data() + at, 8);
      return eight;
    };
    bool control = has_control(eight_at(value.size() - 8));
    for (std::size_t i = 0; i + 8 <= value.size(); i += 8) control |= has_control(eight_at(i));
    if (!control) return true;  // else it may be a tab
  }
  return std::ranges::all_of(value,
                             [](char c) { return (static_cast<unsigned char>(c) >= 0x20 || c == '\t') && c != 0x7f; });
}

}  // namespace nines::http
