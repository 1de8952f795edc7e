// The chunked coding of a body (RFC 9112, 7.1), decoded in place as it arrives. Pure.
//
// Strict: a size is 1 to 16 hex digits, lines end with CRLF, nothing stands between a size and its CRLF but an
// extension, which begins with ';' and has no control characters. Extensions are ignored, trailers are checked like
// fields and dropped; both are bounded, because a sender could otherwise keep us reading for ever without a byte of
// body (as CVE-2023-39326 did to Go).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace nines::http {

class ChunkDecoder {
 public:
  struct Limits {
    std::uint32_t extension_bytes = 256;            // of one chunk
    std::uint32_t all_extension_bytes = 16 * 1024;  // of a body
    std::uint32_t trailer_bytes = 8 * 1024;         // of all trailers together
  };
  ChunkDecoder() = default;
  explicit ChunkDecoder(Limits limits) : limits_(limits) {}

  struct Decoded {
    std::string_view data;          // of the body; it lies at the front of the bytes that were given
    std::size_t used = 0;           // what follows belongs to the next message, once done()
    const char* problem = nullptr;  // what is wrong behind the data; null: nothing
  };
  // REQUIRES: not done(), and no problem before.
  Decoded feed(std::span<char> bytes);
  bool done() const { return state_ == State::kDone; }

 private:
  enum class State : std::uint8_t {
    kSizeStart,
    kSize,
    kExtension,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailerStart,
    kTrailerName,
    kTrailerValue,
    kTrailerLf,
    kLastLf,
    kDone,
  };
  const char* step(char c);
  const char* size_digit(char c);
  const char* trailer(char c);

  Limits limits_;
  State state_ = State::kSizeStart;
  std::uint8_t digits_ = 0;
  std::uint64_t left_ = 0;  // of the present chunk
  std::uint32_t extension_ = 0, extensions_ = 0, trailers_ = 0;
};

}  // namespace nines::http
