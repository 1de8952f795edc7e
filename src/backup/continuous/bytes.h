// Integers in byte sequences, independent of the machine.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"

namespace nines::backup::continuous {

template <std::unsigned_integral T>
T little_endian(std::string_view bytes, std::size_t at) {
  INVARIANT(at + sizeof(T) <= bytes.size());
  T value = 0;
  for (std::size_t i = sizeof(T); i-- > 0;)
    value = static_cast<T>(static_cast<std::uint64_t>(value) << 8 | static_cast<unsigned char>(bytes[at + i]));
  return value;
}

template <std::unsigned_integral T>
void append_little_endian(std::string& to, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) to += static_cast<char>(value >> (8 * i) & 0xff);
}

inline std::uint32_t big_endian_32(std::string_view bytes, std::size_t at) {
  INVARIANT(at + 4 <= bytes.size());
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

}  // namespace nines::backup::continuous
