#include "http/field_name.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace nines::http {
namespace {

constexpr std::array<bool, 256> make_token_chars() {
  std::array<bool, 256> is{};
  for (const char c : std::string_view("0123456789!#$%&'*+-.^_`|~")) is[static_cast<unsigned char>(c)] = true;
  for (unsigned char c = 'a'; c <= 'z'; ++c) is[c] = is[c ^ 0x20U] = true;
  return is;
}
constexpr std::array<bool, 256> kTokenChars = make_token_chars();

struct Known {
  std::string_view text;
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
    while (first[length] < std::size(kKnown) && kKnown[first[length]].text.size() < length) ++first[length];
  }
  return first;
}
constexpr std::array<std::uint8_t, kLongest + 2> kFirst = make_first();

char folded(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c == '_' ? '-' : c; }

// Whether one of eight bytes is below 0x20 or is 0x7f (Sean Anderson, Bit Twiddling Hacks, "hasless"). Exact.
bool has_control(std::uint64_t eight) {
  constexpr std::uint64_t kOnes = 0x0101010101010101, kTops = 0x8080808080808080;
  const std::uint64_t del = eight ^ (kOnes * 0x7f);
  return ((((eight - kOnes * 0x20) & ~eight) | ((del - kOnes) & ~del)) & kTops) != 0;
}

}  // namespace

Name name_of_field(std::string_view field_name) {
  if (field_name.size() > kLongest) return Name::kOther;
  for (std::size_t i = kFirst[field_name.size()]; i < kFirst[field_name.size() + 1]; ++i) {
    const Known& known = kKnown[i];
    if (folded(field_name[0]) != known.text[0]) continue;
    if (!std::ranges::equal(field_name, known.text, {}, folded)) continue;
    return field_name.contains('_') ? Name::kDisguised : known.name;
  }
  return Name::kOther;
}

bool is_token_char(char c) { return kTokenChars[static_cast<unsigned char>(c)]; }

bool is_token(std::string_view text) { return !text.empty() && std::ranges::all_of(text, is_token_char); }

bool is_field_value(std::string_view value) {
  std::size_t i = 0;
  for (; i + 8 <= value.size(); i += 8) {
    std::uint64_t eight;
    std::memcpy(&eight, value.data() + i, 8);
    if (has_control(eight)) break;  // it may be a tab: look closer
  }
  return std::all_of(value.begin() + static_cast<std::ptrdiff_t>(i), value.end(),
                     [](char c) { return (static_cast<unsigned char>(c) >= 0x20 || c == '\t') && c != 0x7f; });
}

}  // namespace nines::http
