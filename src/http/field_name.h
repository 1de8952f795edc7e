// Fields the data path decides by, known by number from the moment their line is parsed, and what may stand in a
// field (RFC 9110, 5.1, 5.5 and 5.6.2).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace nines::http {

enum class Name : std::uint8_t {
  kOther,
  // A name that becomes one of those below once `_` is read as `-`. CGI, WSGI and Rack do so: for them
  // `X_Forwarded_For` and `X-Forwarded-For` are the same variable, and the last one wins.
  kDisguised,
  kConnection,
  kContentEncoding,
  kContentLength,
  kContentType,
  kExpect,
  kForwarded,
  kHost,
  kHttp2Settings,
  kIdempotencyKey,
  kKeepAlive,
  kProxyConnection,
  kRetryAfter,
  kTe,
  kTrailer,
  kTransferEncoding,
  kUpgrade,
  kXForwardedFor,
  kXForwardedHost,
  kXForwardedProto,
  kXNinesProbe,  // a probe of nines itself, at the public address
  kXRequestId,
};
inline constexpr int kNameCount = static_cast<int>(Name::kXRequestId) + 1;

// REQUIRES: a token.
Name name_of_field(std::string_view field_name);

namespace detail {
constexpr std::array<bool, 256> make_token_chars() {
  std::array<bool, 256> is{};
  for (const char c : std::string_view("0123456789!#$%&'*+-.^_`|~")) is[static_cast<unsigned char>(c)] = true;
  for (unsigned char c = 'a'; c <= 'z'; ++c) is[c] = is[c ^ 0x20U] = true;
  return is;
}
inline constexpr std::array<bool, 256> kTokenChars = make_token_chars();
}  // namespace detail

// A token: letters, digits and !#$%&'*+-.^_`|~.
inline bool is_token_char(char c) { return detail::kTokenChars[static_cast<unsigned char>(c)]; }
bool is_token(std::string_view text);

// No control characters but the tab: no NUL, no CR, no LF. Bytes from 0x80 on are allowed (obs-text).
bool is_field_value(std::string_view value);

}  // namespace nines::http
