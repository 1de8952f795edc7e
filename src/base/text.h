// Small text helpers with more than one user. Nothing here allocates more than its result.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace nines {

// The candidate a person most likely meant by `typed`: smallest Damerau-Levenshtein distance, and only if
// it is at most a third of the longer word (at least 1); nullopt when nothing is that close.
std::optional<std::string_view> nearest(std::string_view typed, std::span<const std::string_view> candidates);

// Decimal digits only, no sign, no space, no overflow.
std::optional<std::uint64_t> parse_unsigned(std::string_view digits);

// ASCII only, as HTTP field names compare.
bool equals_ignoring_case(std::string_view a, std::string_view b);

std::string_view trim(std::string_view text);

}  // namespace nines
