#include "http/chunks.h"

#include <algorithm>
#include <cstring>

#include "http/field_name.h"

namespace nines::http {
namespace {

constexpr int kDigitsMax = 16;

bool is_control(char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

ChunkDecoder::Decoded ChunkDecoder::feed(std::span<char> bytes) {
  char* data = bytes.data();
  std::size_t filled = 0, at = 0;
  const char* problem = nullptr;
  while (at < bytes.size() && !done() && problem == nullptr) {
    if (state_ != State::kData) {
      problem = step(bytes[at++]);
      continue;
    }
    const auto n = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size() - at));
    if (filled == 0) {
      data = bytes.data() + at;  // stays where it is; what follows moves up to it, over what separated them
    } else {
      std::memmove(data + filled, bytes.data() + at, n);
    }
    filled += n;
    at += n;
    left_ -= n;
    if (left_ == 0) state_ = State::kDataCr;
  }
  return {{data, filled}, at, problem};
}

const char* ChunkDecoder::step(char c) {
  switch (state_) {
    case State::kSizeStart:
      left_ = 0;
      digits_ = 0;
      extension_ = 0;
      state_ = State::kSize;
      return hex_digit(c) < 0 ? "a chunk without a size" : size_digit(c);
    case State::kSize: return size_digit(c);
    case State::kExtension:
      if (c == '\r') {
        state_ = State::kSizeLf;
        return nullptr;
      }
      if (is_control(c)) return "a control character in a chunk extension";
      if (++extension_ > limits_.extension_bytes || ++extensions_ > limits_.all_extension_bytes)
        return "chunk extensions are too long";
      return nullptr;
    case State::kSizeLf:
      state_ = left_ > 0 ? State::kData : State::kTrailerStart;
      return c == '\n' ? nullptr : "a chunk size is not followed by CRLF";
    case State::kDataCr: state_ = State::kDataLf; return c == '\r' ? nullptr : "a chunk is longer than its size";
    case State::kDataLf: state_ = State::kSizeStart; return c == '\n' ? nullptr : "a chunk is not followed by CRLF";
    case State::kData:
    case State::kDone: return nullptr;
    default: return trailer(c);
  }
}

const char* ChunkDecoder::size_digit(char c) {
  if (const int digit = hex_digit(c); digit >= 0) {
    left_ = left_ << 4 | static_cast<std::uint64_t>(digit);
    return ++digits_ > kDigitsMax ? "a chunk size beyond all bounds" : nullptr;
  }
  if (c != '\r' && c != ';') return "a bad chunk size";
  state_ = c == ';' ? State::kExtension : State::kSizeLf;
  return nullptr;
}

const char* ChunkDecoder::trailer(char c) {
  if (++trailers_ > limits_.trailer_bytes) return "trailers are too long";
  switch (state_) {
    case State::kTrailerStart:
      state_ = c == '\r' ? State::kLastLf : State::kTrailerName;
      return c == '\r' || is_token_char(c) ? nullptr : "a bad trailer";
    case State::kTrailerName:
      if (c == ':') state_ = State::kTrailerValue;
      return c == ':' || is_token_char(c) ? nullptr : "a bad trailer";
    case State::kTrailerValue:
      if (c == '\r') state_ = State::kTrailerLf;
      return c == '\r' || !is_control(c) ? nullptr : "a control character in a trailer";
    case State::kTrailerLf:
      state_ = State::kTrailerStart;
      return c == '\n' ? nullptr : "a trailer is not followed by CRLF";
    default: state_ = State::kDone; return c == '\n' ? nullptr : "a body does not end with CRLF";
  }
}

}  // namespace nines::http
