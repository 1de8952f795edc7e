// The event that the backend sends and the client counts: all of one size, and each says when it left the backend.
#pragma once

#include <cstddef>
#include <string_view>

namespace nines::bench {

inline constexpr char kEventFormat[] = "data: {\"sent\":%020llu,\"token\":\" word\"}\n\n";
inline constexpr std::string_view kEventSent = "{\"sent\":";
inline constexpr std::size_t kSentDigits = 20;
inline constexpr std::size_t kEventSize = sizeof "data: {\"sent\":00000000000000000000,\"token\":\" word\"}\n\n" - 1;

}  // namespace nines::bench
